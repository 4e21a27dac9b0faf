// DescriptorList: reading of /proc/PID/fd and /proc/PID/fdinfo (proc(5)).
#include "master/descriptor_list.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/stat.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "common/format.h"
#include "common/unique_fd.h"

namespace master {
namespace {

constexpr std::string_view kDeleted = " (deleted)";
constexpr std::size_t kLinkBytesMax = 4096;
// Of one fdinfo; an epoll has about 90 bytes for each descriptor it watches.
constexpr std::size_t kFdinfoBytesMax = std::size_t{8} << 20;

struct CloseDirectory {
  void operator()(DIR* directory) const { closedir(directory); }
};
using Directory = std::unique_ptr<DIR, CloseDirectory>;

struct AnonymousName {
  std::string_view name;
  DescriptorKind kind;
};
// The names behind "anon_inode:", brackets removed.
constexpr AnonymousName kAnonymousNames[] = {
    {"eventfd", DescriptorKind::kEventfd}, {"eventpoll", DescriptorKind::kEpoll},
    {"timerfd", DescriptorKind::kTimerfd}, {"signalfd", DescriptorKind::kSignalfd},
    {"inotify", DescriptorKind::kInotify}, {"io_uring", DescriptorKind::kIoUring},
    {"pidfd", DescriptorKind::kPidfd},     {"userfaultfd", DescriptorKind::kUserfaultfd},
    {"bpf-map", DescriptorKind::kBpf},     {"bpf-prog", DescriptorKind::kBpf},
    {"bpf_link", DescriptorKind::kBpf},    {"bpf_iter", DescriptorKind::kBpf},
    {"btf", DescriptorKind::kBpf},
};

template <typename Number>
Number number_in(std::string_view text, int radix = 10) {
  Number value{};
  text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
  std::from_chars(text.data(), text.data() + text.size(), value, radix);
  return value;  // 0 if there is none
}

// What follows `name` in `line`, if it is there.
std::optional<std::string_view> after(std::string_view line, std::string_view name) {
  const std::size_t at = line.find(name);
  if (at == line.npos) return std::nullopt;
  return line.substr(at + name.size());
}

template <typename Each>
void for_each_line(std::string_view text, const Each& each) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    each(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

// A memfd is a file without a directory: "/memfd:name (deleted)". Its name may be anything.
void classify_path(OpenDescriptor& descriptor, std::string_view link) {
  constexpr std::string_view kMemfd = "/memfd:";
  descriptor.kind = DescriptorKind::kFile;
  descriptor.deleted = link.ends_with(kDeleted);
  if (descriptor.deleted) link.remove_suffix(kDeleted.size());
  if (descriptor.deleted && link.starts_with(kMemfd)) {
    descriptor.kind = DescriptorKind::kMemfd;
    descriptor.deleted = false;
    link.remove_prefix(kMemfd.size());
  }
  descriptor.path = link;
}

void classify_anonymous(OpenDescriptor& descriptor, std::string_view name) {
  if (name.starts_with('[') && name.ends_with(']')) name = name.substr(1, name.size() - 2);
  descriptor.path = name;
  for (const AnonymousName& known : kAnonymousNames) {
    if (known.name != name) continue;
    descriptor.kind = known.kind;
    if (known.kind != DescriptorKind::kBpf) descriptor.path.clear();
  }
}

std::string read_fdinfo(pid_t pid, int fd) {
  const common::UniqueFd file(open(common::format("/proc/{}/fdinfo/{}", pid, fd).c_str(), O_RDONLY | O_CLOEXEC));
  std::string text;
  std::array<char, 4096> buffer;
  while (file && text.size() < kFdinfoBytesMax) {
    const auto size = read(file.get(), buffer.data(), buffer.size());
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) break;
    text.append(buffer.data(), static_cast<std::size_t>(size));
  }
  return text;
}

// What the link does not say of a file. The file system is not asked again: it may be a network's that hangs.
void ask_file(int directory, OpenDescriptor& descriptor) {
  struct statx about{};
  const std::string name = std::to_string(descriptor.fd);
  if (statx(directory, name.c_str(), AT_STATX_DONT_SYNC, STATX_TYPE | STATX_NLINK, &about) < 0) return;
  const unsigned type = about.stx_mode & S_IFMT;
  if (type == S_IFDIR) descriptor.kind = DescriptorKind::kDirectory;
  if (type == S_IFCHR) descriptor.kind = DescriptorKind::kCharacterDevice;
  if (type == S_IFBLK) descriptor.kind = DescriptorKind::kBlockDevice;
  if (type == S_IFIFO) descriptor.kind = DescriptorKind::kPipe;
  if (descriptor.deleted && about.stx_nlink > 0) {
    // Its name ends like this, or it lives on under another one: both are told by showing the link as it is.
    descriptor.deleted = false;
    descriptor.path += kDeleted;
  }
}

void ask_fdinfo(pid_t pid, OpenDescriptor& descriptor) {
  if (descriptor.kind == DescriptorKind::kEventfd) {
    for_each_line(read_fdinfo(pid, descriptor.fd), [&](std::string_view line) {
      if (const auto count = after(line, "eventfd-count:")) descriptor.count = number_in<std::uint64_t>(*count, 16);
    });
  } else if (descriptor.kind == DescriptorKind::kInotify) {
    for_each_line(read_fdinfo(pid, descriptor.fd),
                  [&](std::string_view line) { descriptor.count += line.starts_with("inotify wd:") ? 1 : 0; });
  } else if (descriptor.kind == DescriptorKind::kEpoll) {
    descriptor.watches = read_watches(pid, descriptor.fd);
    descriptor.watches_total = descriptor.watches.size();
    if (descriptor.watches.size() > kWatchesMax) descriptor.watches.resize(kWatchesMax);
    descriptor.watches.shrink_to_fit();
  }
}

// Nothing if it has been closed since it was listed.
std::optional<OpenDescriptor> read_one(pid_t pid, int directory, const char* name) {
  char link[kLinkBytesMax];
  const auto size = readlinkat(directory, name, link, sizeof link);
  if (size <= 0) return std::nullopt;
  OpenDescriptor descriptor =
      classify_link(number_in<int>(name), std::string_view(link, static_cast<std::size_t>(size)));
  if (descriptor.kind == DescriptorKind::kFile) ask_file(directory, descriptor);
  ask_fdinfo(pid, descriptor);
  return descriptor;
}

// A process that has ended and is not waited for has no descriptors any more, and says so by an empty list.
bool has_ended(pid_t pid) {
  char link[8];
  return readlink(common::format("/proc/{}/exe", pid).c_str(), link, sizeof link) < 0 && errno == ENOENT;
}

}  // namespace

OpenDescriptor classify_link(int fd, std::string_view link) {
  OpenDescriptor descriptor{.fd = fd};
  if (link.starts_with('/')) {
    classify_path(descriptor, link);
  } else if (const auto socket = after(link, "socket:["); socket && link.starts_with("socket:[")) {
    descriptor.kind = DescriptorKind::kOtherSocket;
    descriptor.inode = number_in<std::uint64_t>(*socket);
  } else if (const auto pipe = after(link, "pipe:["); pipe && link.starts_with("pipe:[")) {
    descriptor.kind = DescriptorKind::kPipe;
    descriptor.inode = number_in<std::uint64_t>(*pipe);
  } else if (const auto name = after(link, "anon_inode:"); name && link.starts_with("anon_inode:")) {
    classify_anonymous(descriptor, *name);
  } else if (link.starts_with("pidfd:")) {  // with a file system of its own, since Linux 6.9
    descriptor.kind = DescriptorKind::kPidfd;
  } else {
    descriptor.path = link;  // "net:[4026531840]", "(unreachable)/path"
  }
  return descriptor;
}

std::vector<WatchedDescriptor> parse_watches(std::string_view fdinfo) {
  std::vector<WatchedDescriptor> list;
  for_each_line(fdinfo, [&](std::string_view line) {
    const auto fd = line.starts_with("tfd:") ? after(line, "tfd:") : std::nullopt;
    const auto events = after(line, "events:");
    const auto data = after(line, "data:");
    if (!fd || !events || !data) return;
    list.push_back({.fd = number_in<int>(*fd),
                    .events = number_in<std::uint32_t>(*events, 16),
                    .data = number_in<std::uint64_t>(*data, 16)});
  });
  return list;
}

std::vector<WatchedDescriptor> read_watches(pid_t pid, int epoll_fd) {
  return parse_watches(read_fdinfo(pid, epoll_fd));
}

common::Result<std::vector<OpenDescriptor>> read_descriptors(pid_t pid) {
  const std::string path = common::format("/proc/{}/fd", pid);
  const Directory directory(opendir(path.c_str()));
  if (!directory && errno == ENOENT) return common::fail(common::format("process {} has ended", pid), ENOENT);
  if (!directory && errno == EACCES) {
    return common::fail(
        common::format("{}: Permission denied; the supervisor must run as the worker's user, or have CAP_SYS_PTRACE",
                       path),
        EACCES);
  }
  if (!directory) return common::fail_errno("open " + path, errno);
  std::vector<OpenDescriptor> list;
  while (const dirent* entry = readdir(directory.get())) {
    if (entry->d_name[0] == '.') continue;
    if (auto descriptor = read_one(pid, dirfd(directory.get()), entry->d_name)) list.push_back(*std::move(descriptor));
  }
  if (list.empty() && has_ended(pid)) return common::fail(common::format("process {} has ended", pid), ENOENT);
  std::ranges::sort(list, {}, &OpenDescriptor::fd);
  return list;
}

void join_ledger(const common::FdLedger& ledger, std::vector<OpenDescriptor>& list) {
  for (OpenDescriptor& each : list) {
    common::FdNote note = ledger.read(each.fd);
    each.owner = note.owner == common::FdOwner::kServer ? common::FdOwner::kServer : common::FdOwner::kApplication;
    each.role = note.role;
    each.since = each.fd <= STDERR_FILENO ? common::FdSince::kStart : note.since;
    each.opened_at = note.opened_at;
    each.stack = std::move(note.stack);
  }
}

}  // namespace master
