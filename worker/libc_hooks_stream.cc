// LibcHooks, streams: whatever opens a descriptor inside a FILE, and what closes it with the FILE or the DIR.
#include "worker/libc_hooks.h"

namespace worker {

LIBC_HOOK(FILE*, fopen, const char* path, const char* mode) { return opened(next_fopen(path, mode), LIBC_CALL_SITE()); }
LIBC_HOOK(FILE*, fopen64, const char* path, const char* mode) {
  return opened(next_fopen64(path, mode), LIBC_CALL_SITE());
}
LIBC_HOOK(FILE*, tmpfile, void) { return opened(next_tmpfile(), LIBC_CALL_SITE()); }
LIBC_HOOK(FILE*, tmpfile64, void) { return opened(next_tmpfile64(), LIBC_CALL_SITE()); }
LIBC_HOOK(FILE*, popen, const char* command, const char* mode) {
  return opened(next_popen(command, mode), LIBC_CALL_SITE());
}

// The old descriptor is closed whether a new one follows or not.
LIBC_HOOK(FILE*, freopen, const char* path, const char* mode, FILE* stream) {
  closing(stream, LIBC_CALL_SITE());
  return opened(next_freopen(path, mode, stream), LIBC_CALL_SITE());
}
LIBC_HOOK(FILE*, freopen64, const char* path, const char* mode, FILE* stream) {
  closing(stream, LIBC_CALL_SITE());
  return opened(next_freopen64(path, mode, stream), LIBC_CALL_SITE());
}

LIBC_HOOK(int, fclose, FILE* stream) {
  closing(stream, LIBC_CALL_SITE());
  return next_fclose(stream);
}
LIBC_HOOK(int, pclose, FILE* stream) {
  closing(stream, LIBC_CALL_SITE());
  return next_pclose(stream);
}
LIBC_HOOK(int, closedir, DIR* directory) {
  if (directory != nullptr) closing(dirfd(directory), LIBC_CALL_SITE());
  return next_closedir(directory);
}

}  // namespace worker
