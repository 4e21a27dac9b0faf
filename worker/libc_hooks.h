// LibcHook: one function of libc that this program defines in its place, and the definition behind it.
//
// The program comes first in every lookup of a symbol, so a call from the application or from any library arrives in
// the hook; libc_hooks.list makes the linker export them all. A hook has the name of the function only for the linker
// (an asm label): libc's own headers, with their macros and inline variants, do not get in the way. Functions with
// optional arguments are declared with all of them: on x86-64, aarch64 and riscv64 they travel in the same registers
// either way, and one that was not given is passed on unread.
//
// Not noexcept: a thread may be cancelled in most of these.
#pragma once

#include <dirent.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <type_traits>

#include "worker/dynamic_linker.h"
#include "worker/fd_trace.h"

namespace worker {

// The definition that ours hides: libc's, or a sanitizer's. Looked up when first called, which may be before main().
template <typename Function>
class NextFunction;

template <typename Returned, typename... Arguments>
class NextFunction<Returned(Arguments...)> {
 public:
  constexpr explicit NextFunction(const char* name) : name_(name) {}

  Returned operator()(Arguments... arguments) {
    void* found = found_.load(std::memory_order_relaxed);
    if (found == nullptr) [[unlikely]] {
      found = next_definition(name_);
      if (found == nullptr) return missing();
      found_.store(found, std::memory_order_relaxed);  // two threads store the same
    }
    return reinterpret_cast<Returned (*)(Arguments...)>(found)(arguments...);
  }

 private:
  static Returned missing() {
    errno = ENOSYS;
    if constexpr (std::is_pointer_v<Returned>) return nullptr;
    if constexpr (std::is_integral_v<Returned>) return -1;
  }

  const char* name_;
  std::atomic<void*> found_{nullptr};
};

inline bool is_tracing() { return active_tracer.load(std::memory_order_relaxed) != nullptr; }

inline int opened(int fd, const CallSite& site) {
  if (is_tracing()) note_opened(fd, site);
  return fd;
}

inline FILE* opened(FILE* stream, const CallSite& site) {
  if (is_tracing() && stream != nullptr) note_opened(fileno(stream), site);
  return stream;
}

// Two at once, if the call has succeeded.
inline int opened_pair(int result, const int* fds, const CallSite& site) {
  if (is_tracing() && result == 0) {
    note_opened(fds[0], site);
    note_opened(fds[1], site);
  }
  return result;
}

// One that took the place of another. A child of vfork(2), which arranges its standard streams so, is not us.
inline int replaced(int fd, const CallSite& site) {
  if (is_tracing() && fd >= 0 && is_traced_process()) note_opened(fd, site);
  return fd;
}

inline void closing(int fd, const CallSite& site) {
  if (is_tracing()) note_closing(fd, site);
}

inline void closing(FILE* stream, const CallSite& site) {
  if (!is_tracing()) return;
  const int saved = errno;
  note_closing(fileno(stream), site);  // -1, and errno, for a stream without a descriptor
  errno = saved;
}

}  // namespace worker

#define LIBC_CALL_SITE()                                                          \
  (::worker::CallSite{__builtin_extract_return_addr(__builtin_return_address(0)), \
                      static_cast<const std::uintptr_t*>(__builtin_frame_address(0))})

// LIBC_HOOK(result, name, parameters...) { body }: defines `name` for everybody; next_name(...) is what it hides.
#define LIBC_HOOK(result, name, ...)                                                                \
  static constinit ::worker::NextFunction<result(__VA_ARGS__)> next_##name{#name};                  \
  extern "C" __attribute__((visibility("default"))) result hook_##name(__VA_ARGS__) __asm__(#name); \
  result hook_##name(__VA_ARGS__)
