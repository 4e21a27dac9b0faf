// LibcHooks, files: whatever makes a descriptor of a path, or of another descriptor.
#include <fcntl.h>
#include <mqueue.h>
#include <sys/types.h>

#include "worker/libc_hooks.h"

namespace worker {

LIBC_HOOK(int, open, const char* path, int flags, mode_t mode) {
  return opened(next_open(path, flags, mode), LIBC_CALL_SITE());
}
LIBC_HOOK(int, open64, const char* path, int flags, mode_t mode) {
  return opened(next_open64(path, flags, mode), LIBC_CALL_SITE());
}
LIBC_HOOK(int, openat, int directory, const char* path, int flags, mode_t mode) {
  return opened(next_openat(directory, path, flags, mode), LIBC_CALL_SITE());
}
LIBC_HOOK(int, openat64, int directory, const char* path, int flags, mode_t mode) {
  return opened(next_openat64(directory, path, flags, mode), LIBC_CALL_SITE());
}
LIBC_HOOK(int, creat, const char* path, mode_t mode) { return opened(next_creat(path, mode), LIBC_CALL_SITE()); }
LIBC_HOOK(int, creat64, const char* path, mode_t mode) { return opened(next_creat64(path, mode), LIBC_CALL_SITE()); }

// What open(2) becomes in code built with _FORTIFY_SOURCE.
LIBC_HOOK(int, __open_2, const char* path, int flags) { return opened(next___open_2(path, flags), LIBC_CALL_SITE()); }
LIBC_HOOK(int, __open64_2, const char* path, int flags) {
  return opened(next___open64_2(path, flags), LIBC_CALL_SITE());
}
LIBC_HOOK(int, __openat_2, int directory, const char* path, int flags) {
  return opened(next___openat_2(directory, path, flags), LIBC_CALL_SITE());
}
LIBC_HOOK(int, __openat64_2, int directory, const char* path, int flags) {
  return opened(next___openat64_2(directory, path, flags), LIBC_CALL_SITE());
}

LIBC_HOOK(int, open_by_handle_at, int mount, struct file_handle* handle, int flags) {
  return opened(next_open_by_handle_at(mount, handle, flags), LIBC_CALL_SITE());
}
LIBC_HOOK(int, mkstemp, char* path) { return opened(next_mkstemp(path), LIBC_CALL_SITE()); }
LIBC_HOOK(int, mkstemp64, char* path) { return opened(next_mkstemp64(path), LIBC_CALL_SITE()); }
LIBC_HOOK(int, mkostemp, char* path, int flags) { return opened(next_mkostemp(path, flags), LIBC_CALL_SITE()); }
LIBC_HOOK(int, mkostemp64, char* path, int flags) { return opened(next_mkostemp64(path, flags), LIBC_CALL_SITE()); }
LIBC_HOOK(int, mkstemps, char* path, int suffix) { return opened(next_mkstemps(path, suffix), LIBC_CALL_SITE()); }
LIBC_HOOK(int, mkstemps64, char* path, int suffix) { return opened(next_mkstemps64(path, suffix), LIBC_CALL_SITE()); }
LIBC_HOOK(int, mkostemps, char* path, int suffix, int flags) {
  return opened(next_mkostemps(path, suffix, flags), LIBC_CALL_SITE());
}
LIBC_HOOK(int, mkostemps64, char* path, int suffix, int flags) {
  return opened(next_mkostemps64(path, suffix, flags), LIBC_CALL_SITE());
}

LIBC_HOOK(int, shm_open, const char* name, int flags, mode_t mode) {
  return opened(next_shm_open(name, flags, mode), LIBC_CALL_SITE());
}
LIBC_HOOK(mqd_t, mq_open, const char* name, int flags, mode_t mode, mq_attr* attributes) {
  return opened(next_mq_open(name, flags, mode, attributes), LIBC_CALL_SITE());
}
LIBC_HOOK(mqd_t, __mq_open_2, const char* name, int flags) {
  return opened(next___mq_open_2(name, flags), LIBC_CALL_SITE());
}
LIBC_HOOK(int, posix_openpt, int flags) { return opened(next_posix_openpt(flags), LIBC_CALL_SITE()); }
LIBC_HOOK(int, getpt, void) { return opened(next_getpt(), LIBC_CALL_SITE()); }
LIBC_HOOK(int, openpty, int* master, int* terminal, char* name, const struct termios* mode,
          const struct winsize* size) {
  const int result = next_openpty(master, terminal, name, mode, size);
  if (result == 0) {
    opened(*master, LIBC_CALL_SITE());
    opened(*terminal, LIBC_CALL_SITE());
  }
  return result;
}
LIBC_HOOK(pid_t, forkpty, int* master, char* name, const struct termios* mode, const struct winsize* size) {
  const pid_t child = next_forkpty(master, name, mode, size);
  if (child > 0) opened(*master, LIBC_CALL_SITE());
  return child;
}

LIBC_HOOK(DIR*, opendir, const char* path) {
  DIR* const directory = next_opendir(path);
  if (directory != nullptr) opened(dirfd(directory), LIBC_CALL_SITE());
  return directory;
}

LIBC_HOOK(int, dup, int fd) { return opened(next_dup(fd), LIBC_CALL_SITE()); }
LIBC_HOOK(int, dup2, int fd, int target) {
  const int result = next_dup2(fd, target);
  return fd == target ? result : replaced(result, LIBC_CALL_SITE());  // dup2(fd, fd) does nothing
}
LIBC_HOOK(int, dup3, int fd, int target, int flags) { return replaced(next_dup3(fd, target, flags), LIBC_CALL_SITE()); }

static bool is_duplication(int command) { return command == F_DUPFD || command == F_DUPFD_CLOEXEC; }
LIBC_HOOK(int, fcntl, int fd, int command, void* argument) {
  const int result = next_fcntl(fd, command, argument);
  return is_duplication(command) ? opened(result, LIBC_CALL_SITE()) : result;
}
LIBC_HOOK(int, fcntl64, int fd, int command, void* argument) {
  const int result = next_fcntl64(fd, command, argument);
  return is_duplication(command) ? opened(result, LIBC_CALL_SITE()) : result;
}

}  // namespace worker
