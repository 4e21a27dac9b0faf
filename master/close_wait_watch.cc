// CloseWaitWatch: the list by the kernel, the search by /proc/PID/fd.
#include "master/close_wait_watch.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <ctime>
#include <iterator>
#include <memory>
#include <string_view>
#include <utility>

namespace master {
namespace {

constexpr int kRestFactor = 100;       // rest for so many times what the work took: 1 %
constexpr std::size_t kLinksMax = 4096;  // read in one look; about 1 us each

// The number of "socket:[4026531840]"; 0 for anything else.
std::uint64_t socket_inode(int directory, const char* name) {
  char target[64];
  const ssize_t size = readlinkat(directory, name, target, sizeof target);
  std::string_view text(target, size > 0 ? static_cast<std::size_t>(size) : 0);
  constexpr std::string_view kSocket = "socket:[";
  if (!text.starts_with(kSocket)) return 0;
  text.remove_prefix(kSocket.size());
  std::uint64_t inode = 0;
  std::from_chars(text.data(), text.data() + text.size(), inode);
  return inode;
}

// Of this thread. On a busy machine the time by the clock would mostly be that of others.
common::Duration cpu_time() {
  timespec used{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
  return std::chrono::seconds(used.tv_sec) + std::chrono::nanoseconds(used.tv_nsec);
}

std::string fd_directory(pid_t pid) { return "/proc/" + std::to_string(pid) + "/fd"; }

struct CloseDirectory {
  void operator()(DIR* directory) const { closedir(directory); }
};

// Calls `visit(fd, inode)` for each socket, for at most `links` descriptors from `position` on. Returns where to go on,
// 0 at the end. The kernel makes a position of a descriptor's number (proc_readfd_common() in fs/proc/fd.c), so it
// means the same after the directory was opened again.
template <typename Visit>
long visit_sockets(pid_t pid, long position, std::size_t& links, Visit visit) {
  const std::unique_ptr<DIR, CloseDirectory> directory(opendir(fd_directory(pid).c_str()));
  if (!directory) return 0;  // it has gone
  if (position != 0) seekdir(directory.get(), position);
  for (; links > 0; --links) {
    const dirent* entry = readdir(directory.get());
    if (entry == nullptr) return 0;
    const std::string_view name = entry->d_name;
    int fd = -1;
    if (std::from_chars(name.data(), name.data() + name.size(), fd).ec != std::errc{}) continue;  // "." and ".."
    const std::uint64_t inode = socket_inode(dirfd(directory.get()), entry->d_name);
    if (inode != 0) visit(fd, inode);
  }
  return telldir(directory.get());
}

const SocketHolder* find_holder(std::span<const SocketHolder> holders, WorkerId id) {
  const auto found = std::ranges::find(holders, id, &SocketHolder::id);
  return found == holders.end() ? nullptr : &*found;
}

}  // namespace

std::optional<std::string> CloseWaitWatch::look(std::span<const SocketHolder> holders, common::TimePoint now) {
  if (now < not_before_) return std::nullopt;
  const common::Duration begun = cpu_time();
  const auto listed = list_();
  if (!listed) {
    book_.clear();
    search_.reset();
    sockets_.clear();
    if (std::exchange(knowledge_, Knowledge::kRefused) == Knowledge::kRefused) return std::nullopt;
    return "sockets in CLOSE_WAIT cannot be counted, so recycle.close_wait has no effect: " + listed.error().message +
           "; allow AF_NETLINK in the sandbox (RestrictAddressFamilies= in the unit)";
  }
  knowledge_ = Knowledge::kFresh;
  book_.note(*listed, now);
  welcome(holders);
  search(holders);
  sockets_ = book_.by_worker([&](WorkerId worker, int fd) {
    const SocketHolder* holder = find_holder(holders, worker);
    return holder != nullptr && worker != kNoWorker && !holder->ledger.is_server(fd);
  });
  not_before_ = now + kRestFactor * (cpu_time() - begun);
  return std::nullopt;
}

// What nobody was found to hold may be held by a process that was not there, or not known, at the time.
void CloseWaitWatch::welcome(std::span<const SocketHolder> holders) {
  std::set<WorkerId> present;
  for (const SocketHolder& holder : holders) {
    present.insert(holder.id);
    if (seen_.contains(holder.id)) continue;
    book_.seek_unheld();
    if (search_) search_->to_visit.insert(search_->to_visit.begin(), holder.id);
  }
  seen_ = std::move(present);
}

void CloseWaitWatch::search(std::span<const SocketHolder> holders) {
  if (!search_) {
    if (!book_.wants_search()) return;
    book_.begin_search();
    std::vector<WorkerId> everybody;
    everybody.reserve(holders.size());
    for (const SocketHolder& holder : holders) everybody.push_back(holder.id);
    search_ = Search{.to_visit = std::move(everybody), .position = 0};
  }
  std::size_t links = kLinksMax;
  while (!search_->to_visit.empty() && links > 0) {
    const SocketHolder* holder = find_holder(holders, search_->to_visit.back());
    if (holder != nullptr) {
      search_->position = visit_sockets(holder->pid, search_->position, links, [&](int fd, std::uint64_t inode) {
        if (!book_.is_sought(inode)) return;
        const bool is_server = holder->ledger.is_server(fd);
        book_.found(holder->id, fd, inode, is_server ? SocketOwner::kServer : SocketOwner::kApplication);
      });
      if (search_->position != 0) return;  // more of it in the next look
    }
    search_->position = 0;
    search_->to_visit.pop_back();
  }
  if (!search_->to_visit.empty()) return;
  book_.end_search();
  search_.reset();
}

std::optional<CloseWaitCount> CloseWaitWatch::count(WorkerId worker, common::Duration age_min,
                                                    common::TimePoint now) const {
  if (knowledge_ != Knowledge::kFresh) return std::nullopt;
  const auto found = sockets_.find(worker);
  return count_close_wait(found == sockets_.end() ? nullptr : &found->second, age_min, now);
}

std::vector<int> CloseWaitWatch::descriptors(WorkerId worker) const {
  std::vector<int> fds;
  const auto found = sockets_.find(worker);
  if (found == sockets_.end()) return fds;
  for (const CloseWaitSocket& socket : found->second) fds.push_back(socket.fd);
  return fds;
}

std::vector<CloseWaitSocket> CloseWaitWatch::aged(WorkerId worker, common::Duration age_min,
                                                  common::TimePoint now) const {
  std::vector<CloseWaitSocket> aged;
  const auto found = sockets_.find(worker);
  if (found == sockets_.end()) return aged;
  std::ranges::copy_if(found->second, std::back_inserter(aged),
                       [&](const CloseWaitSocket& socket) { return now - socket.since >= age_min; });
  return aged;
}

bool is_still(pid_t pid, const CloseWaitSocket& socket) {
  const std::string path = fd_directory(pid) + "/" + std::to_string(socket.fd);
  return socket.inode != 0 && socket_inode(AT_FDCWD, path.c_str()) == socket.inode;
}

}  // namespace master
