// The openers of files and streams.
#include <dirent.h>
#include <fcntl.h>
#include <mqueue.h>
#include <pty.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "openers.h"

extern "C" {
int __open_2(const char* path, int flags);
int __open64_2(const char* path, int flags);
int __openat_2(int directory, const char* path, int flags);
int __openat64_2(int directory, const char* path, int flags);
mqd_t __mq_open_2(const char* name, int flags);
}

namespace {

const char* const kQueue = "/supervisor-hooks-test";

template <std::size_t N>
int unlinked(Opened* out, int fd, std::array<char, N>& path) {
  if (fd >= 0) unlink(path.data());
  return one(out, fd);
}

int stream(Opened* out, FILE* opened) {
  out->handle = opened;
  return one(out, opened == nullptr ? -1 : fileno(opened));
}

}  // namespace

OPENER(by_open) { return one(out, open("/dev/null", O_RDONLY | O_CLOEXEC)); }
OPENER(by_open64) { return one(out, open64("/dev/null", O_RDONLY | O_CLOEXEC)); }
OPENER(by_openat) { return one(out, openat(AT_FDCWD, "/dev/null", O_RDONLY | O_CLOEXEC)); }
OPENER(by_openat64) { return one(out, openat64(AT_FDCWD, "/dev/null", O_RDONLY | O_CLOEXEC)); }
OPENER(by_creat) { return one(out, creat("/dev/null", 0600)); }
OPENER(by_creat64) { return one(out, creat64("/dev/null", 0600)); }
OPENER(by_open_2) { return one(out, __open_2("/dev/null", O_RDONLY)); }
OPENER(by_open64_2) { return one(out, __open64_2("/dev/null", O_RDONLY)); }
OPENER(by_openat_2) { return one(out, __openat_2(AT_FDCWD, "/dev/null", O_RDONLY)); }
OPENER(by_openat64_2) { return one(out, __openat64_2(AT_FDCWD, "/dev/null", O_RDONLY)); }
OPENER(by_open_by_handle_at) {
  alignas(file_handle) std::array<char, sizeof(file_handle) + MAX_HANDLE_SZ> room{};
  auto* const handle = reinterpret_cast<file_handle*>(room.data());
  handle->handle_bytes = MAX_HANDLE_SZ;
  int mount = 0;
  if (name_to_handle_at(AT_FDCWD, "/tmp", handle, &mount, 0) < 0) return errno;
  return one(out, open_by_handle_at(AT_FDCWD, handle, O_RDONLY | O_CLOEXEC));
}

OPENER(by_mkstemp) {
  std::array path = std::to_array("/tmp/hooks-XXXXXX");
  return unlinked(out, mkstemp(path.data()), path);
}
OPENER(by_mkstemp64) {
  std::array path = std::to_array("/tmp/hooks-XXXXXX");
  return unlinked(out, mkstemp64(path.data()), path);
}
OPENER(by_mkostemp) {
  std::array path = std::to_array("/tmp/hooks-XXXXXX");
  return unlinked(out, mkostemp(path.data(), O_CLOEXEC), path);
}
OPENER(by_mkostemp64) {
  std::array path = std::to_array("/tmp/hooks-XXXXXX");
  return unlinked(out, mkostemp64(path.data(), O_CLOEXEC), path);
}
OPENER(by_mkstemps) {
  std::array path = std::to_array("/tmp/hooks-XXXXXX.t");
  return unlinked(out, mkstemps(path.data(), 2), path);
}
OPENER(by_mkstemps64) {
  std::array path = std::to_array("/tmp/hooks-XXXXXX.t");
  return unlinked(out, mkstemps64(path.data(), 2), path);
}
OPENER(by_mkostemps) {
  std::array path = std::to_array("/tmp/hooks-XXXXXX.t");
  return unlinked(out, mkostemps(path.data(), 2, O_CLOEXEC), path);
}
OPENER(by_mkostemps64) {
  std::array path = std::to_array("/tmp/hooks-XXXXXX.t");
  return unlinked(out, mkostemps64(path.data(), 2, O_CLOEXEC), path);
}

OPENER(by_shm_open) {
  const int fd = shm_open(kQueue, O_RDWR | O_CREAT, 0600);
  shm_unlink(kQueue);
  return one(out, fd);
}
OPENER(by_mq_open) {
  const mqd_t queue = mq_open(kQueue, O_RDWR | O_CREAT, 0600, nullptr);
  return one(out, queue);
}
OPENER(by_mq_open_2) {
  const mqd_t queue = __mq_open_2(kQueue, O_RDWR);
  mq_unlink(kQueue);
  return one(out, queue);
}
OPENER(by_posix_openpt) { return one(out, posix_openpt(O_RDWR | O_NOCTTY)); }
OPENER(by_getpt) { return one(out, getpt()); }
OPENER(by_openpty) { return two(out, openpty(&out->fds[0], &out->fds[1], nullptr, nullptr, nullptr)); }
OPENER(by_forkpty) {
  int master = -1;
  const pid_t child = forkpty(&master, nullptr, nullptr, nullptr);
  if (child == 0) _exit(0);
  out->handle = reinterpret_cast<void*>(static_cast<long>(child));
  return one(out, child < 0 ? -1 : master);
}

OPENER(by_dup) { return one(out, dup(STDERR_FILENO)); }
OPENER(by_dup2) { return one(out, dup2(STDERR_FILENO, kFreeNumber)); }
OPENER(by_dup3) { return one(out, dup3(STDERR_FILENO, kFreeNumber, O_CLOEXEC)); }
OPENER(by_fcntl) { return one(out, fcntl(STDERR_FILENO, F_DUPFD, 0)); }
OPENER(by_fcntl_cloexec) { return one(out, fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 100)); }
OPENER(by_fcntl64) { return one(out, fcntl64(STDERR_FILENO, F_DUPFD_CLOEXEC, 0)); }

OPENER(by_opendir) {
  DIR* const directory = opendir("/");
  out->handle = directory;
  return one(out, directory == nullptr ? -1 : dirfd(directory));
}
OPENER(by_fopen) { return stream(out, fopen("/dev/null", "re")); }
OPENER(by_fopen64) { return stream(out, fopen64("/dev/null", "re")); }
OPENER(by_tmpfile) { return stream(out, tmpfile()); }
OPENER(by_tmpfile64) { return stream(out, tmpfile64()); }
OPENER(by_popen) { return stream(out, popen("exit 0", "r")); }
OPENER(by_freopen) { return stream(out, freopen("/dev/null", "re", fopen("/dev/zero", "re"))); }
OPENER(by_freopen64) { return stream(out, freopen64("/dev/null", "re", fopen("/dev/zero", "re"))); }
OPENER(by_syscall) {
  return one(out, static_cast<int>(syscall(SYS_openat, AT_FDCWD, "/dev/null", O_RDONLY | O_CLOEXEC)));
}
