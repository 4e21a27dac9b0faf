// Activator: a datagram socket, a thread that reads it, and a shell that sets LISTEN_PID.
#include "support/activator.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <sstream>
#include <stdexcept>

#include "common/address.h"

namespace support {
namespace {

constexpr int kFirstFd = 3;     // SD_LISTEN_FDS_START
constexpr int kHighFds = 200;   // where nothing of a test lies
constexpr std::size_t kFdsMax = 16;
constexpr std::size_t kWordsMax = 4096;  // PIPE_BUF: what systemd reads of a message

void check(bool done, const char* what) {
  if (!done) throw std::runtime_error(std::string(what) + ": " + std::strerror(errno));
}

struct stat status_of(int fd) {
  struct stat status{};
  check(::fstat(fd, &status) == 0, "fstat");
  return status;
}

bool is_same(int one, int other) {
  const struct stat its = status_of(one);
  const struct stat others = status_of(other);
  return its.st_dev == others.st_dev && its.st_ino == others.st_ino;
}

}  // namespace

common::UniqueFd listening_socket(const std::string& text, ReusePort reuse) {
  const auto address = common::Address::parse(text);
  check(address.has_value(), "address");
  common::UniqueFd fd(::socket(address->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (reuse == ReusePort::kYes) ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  check(::bind(fd.get(), address->get(), address->length) == 0, "bind");
  check(::listen(fd.get(), 512) == 0, "listen");
  return fd;
}

std::string address_of(int socket) {
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  check(::getsockname(socket, reinterpret_cast<sockaddr*>(&storage), &length) == 0, "getsockname");
  return common::format_address(storage, length);
}

Activator::Activator(Notify notify) {
  if (notify == Notify::kNo) return;
  stop_event_ = common::UniqueFd(::eventfd(0, EFD_CLOEXEC));
  socket_ = common::UniqueFd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = directory_.path("notify");
  std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
  check(::bind(socket_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0, "bind notify");
  thread_ = std::thread([this] { listen(); });
}

Activator::~Activator() {
  if (!thread_.joinable()) return;
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t told = ::write(stop_event_.get(), &one, sizeof one);
  thread_.join();
}

std::string Activator::pass(common::UniqueFd socket, const std::string& name) {
  passed_.push_back({.name = name, .fd = common::UniqueFd(::fcntl(socket.get(), F_DUPFD, kHighFds))});
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  return ::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&storage), &length) == 0
             ? common::format_address(storage, length)
             : "";
}

SupervisorOptions Activator::options(SupervisorOptions rest) {
  std::string moves;
  std::string closes;
  std::string names;
  int next = kFirstFd;
  const auto add = [&](int fd, const std::string& name) {
    moves += " " + std::to_string(next++) + "<&" + std::to_string(fd);
    closes += " " + std::to_string(fd) + ">&-";
    names += (names.empty() ? "" : ":") + name;
  };
  for (const Passed& passed : passed_) add(passed.fd.get(), passed.name);
  {
    const std::lock_guard lock(mutex_);
    catch_up();
    for (auto stored = stored_.rbegin(); stored != stored_.rend(); ++stored) add(stored->second.get(), stored->first);
  }
  std::string script;
  if (next > kFirstFd) {
    script = "export LISTEN_PID=$$ LISTEN_FDS=" + std::to_string(next - kFirstFd) + " LISTEN_FDNAMES='" + names +
             "'; exec" + moves + closes + "; ";
  }
  rest.launcher = {"bash", "-c", script + "exec \"$@\"", "bash"};
  if (socket_) rest.variables.push_back("NOTIFY_SOCKET=" + directory_.path("notify"));
  return rest;
}

std::vector<std::string> Activator::words() {
  const std::lock_guard lock(mutex_);
  catch_up();
  return words_;
}

std::size_t Activator::count(std::string_view line) {
  const std::lock_guard lock(mutex_);
  catch_up();
  return static_cast<std::size_t>(
      std::ranges::count_if(words_, [line](const std::string& word) { return word.starts_with(line); }));
}

std::vector<common::TimePoint> Activator::times(std::string_view line) {
  const std::lock_guard lock(mutex_);
  catch_up();
  std::vector<common::TimePoint> result;
  for (std::size_t i = 0; i < words_.size(); ++i) {
    if (words_[i].starts_with(line)) result.push_back(times_[i]);
  }
  return result;
}

bool Activator::wait_words(std::string_view line, std::size_t times, Deadline deadline) {
  return wait_until([&] { return count(line) >= times; }, deadline);
}

std::vector<std::string> Activator::stored() {
  const std::lock_guard lock(mutex_);
  catch_up();
  std::vector<std::string> names;
  for (const auto& [name, fd] : stored_) {
    if (S_ISSOCK(status_of(fd.get()).st_mode)) names.push_back(name);
  }
  return names;
}

common::UniqueFd Activator::stored_copy(const std::string& name) {
  const std::lock_guard lock(mutex_);
  catch_up();
  const auto found = stored_.find(name);
  return common::UniqueFd(found == stored_.end() ? -1 : ::fcntl(found->second.get(), F_DUPFD_CLOEXEC, 0));
}

void Activator::put(const std::string& name, int fd) {
  const std::lock_guard lock(mutex_);
  catch_up();
  stored_[name] = common::UniqueFd(::fcntl(fd, F_DUPFD, kHighFds));
}

void Activator::forget_words() {
  const std::lock_guard lock(mutex_);
  catch_up();
  words_.clear();
  times_.clear();
}

void Activator::listen() {
  while (true) {
    pollfd entries[] = {{.fd = socket_.get(), .events = POLLIN, .revents = 0},
                        {.fd = stop_event_.get(), .events = POLLIN, .revents = 0}};
    ::poll(entries, 2, -1);
    if (entries[1].revents != 0) return;
    if (entries[0].revents == 0) continue;
    const std::lock_guard lock(mutex_);
    catch_up();
  }
}

void Activator::catch_up() {
  while (socket_ && receive() == Queue::kRead) continue;
}

Activator::Queue Activator::receive() {
  std::array<char, 8192> text{};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * kFdsMax) + CMSG_SPACE(64)> control{};
  iovec part{.iov_base = text.data(), .iov_len = text.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  const ssize_t size = ::recvmsg(socket_.get(), &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  if (size < 0) return errno == EINTR ? Queue::kRead : Queue::kEmpty;
  std::vector<common::UniqueFd> fds;
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(header) + i * sizeof fd, sizeof fd);
      fds.emplace_back(fd);
    }
  }
  const std::string words(text.data(), static_cast<std::size_t>(size));
  const bool is_ignored = words.find('\0') != std::string::npos || words.size() > kWordsMax;  // by systemd, all of it
  if (!is_ignored) obey(words, std::move(fds));
  return Queue::kRead;
}

// As systemd does: what is stored already is not stored again, a removal takes all of the name.
void Activator::obey(const std::string& message, std::vector<common::UniqueFd> fds) {
  std::istringstream lines(message);
  std::string name;
  enum class Order { kNone, kStore, kRemove } order = Order::kNone;
  for (std::string line; std::getline(lines, line);) {
    if (line == "FDSTORE=1") order = Order::kStore;
    if (line == "FDSTOREREMOVE=1") order = Order::kRemove;
    if (line.starts_with("FDNAME=")) name = line.substr(std::strlen("FDNAME="));
    words_.push_back(std::move(line));
    times_.push_back(common::Clock::now());
  }
  if (order == Order::kRemove) stored_.erase(name);
  if (order != Order::kStore) return;
  for (common::UniqueFd& fd : fds) {
    const bool is_known =
        std::ranges::any_of(stored_, [&](const auto& entry) { return is_same(entry.second.get(), fd.get()); });
    if (!is_known) stored_[name] = common::UniqueFd(::fcntl(fd.get(), F_DUPFD, kHighFds));
  }
}

}  // namespace support
