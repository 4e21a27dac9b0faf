// The library that tests open with dlopen(3): its table, and calls that are more than one call.
#include <dirent.h>
#include <fcntl.h>
#include <mqueue.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include <array>
#include <climits>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <string_view>

#include "openers.h"

namespace {

void close_close(Opened* opened) {
  for (const int fd : opened->fds) {
    if (fd >= 0) close(fd);
  }
  if (opened->handle != nullptr) waitpid(static_cast<pid_t>(reinterpret_cast<long>(opened->handle)), nullptr, 0);
}
void close_close_range(Opened* opened) {
  const auto fd = static_cast<unsigned>(opened->fds[0]);
  close_range(fd, fd, 0);
}
// Up to the end: the test has nothing open beyond.
void close_closefrom(Opened* opened) { closefrom(opened->fds[0]); }
void close_syscall(Opened* opened) { syscall(SYS_close, opened->fds[0]); }
void close_mq_close(Opened* opened) { mq_close(opened->fds[0]); }
void close_fclose(Opened* opened) { fclose(static_cast<FILE*>(opened->handle)); }
void close_pclose(Opened* opened) { pclose(static_cast<FILE*>(opened->handle)); }
void close_closedir(Opened* opened) { closedir(static_cast<DIR*>(opened->handle)); }

#define ROW(function, place, closing) {#function, #place, place, #closing, close_##closing},
constexpr Opener kOpeners[] = {OPENERS_OF_FILES(ROW) OPENERS_OF_EVENTS(ROW)};
#undef ROW

// What keeps a call from being the last thing a function does, and thereby a jump.
template <typename T>
T kept(T value) {
  __asm__ volatile("" : "+r"(value));
  return value;
}

ucontext_t caller_context;
ucontext_t other_context;
int opened_on_other_stack = -1;

}  // namespace

#define LIBRARY_FUNCTION extern "C" __attribute__((visibility("default"), noinline))

LIBRARY_FUNCTION int open_deep(int depth) {
  return kept(depth == 0 ? open("/dev/null", O_RDONLY | O_CLOEXEC) : open_deep(depth - 1));
}

LIBRARY_FUNCTION void open_close_deep(int depth) {
  if (depth > 0) return static_cast<void>(kept((open_close_deep(depth - 1), depth)));
  close(kept(open("/dev/null", O_RDONLY | O_CLOEXEC)));
}

LIBRARY_FUNCTION int open_on_line(Line line) {
  static std::array<std::ifstream, 64> kept_open;
  static std::size_t next = 0;
  const int expected = dup(STDERR_FILENO);
  close(expected);  // the next one gets the number
  if (line == Line::kFirst) {
    kept_open.at(next++).open("/dev/null");
    __asm__ volatile("# first");
  } else {
    kept_open.at(next++).open("/dev/null");
    __asm__ volatile("# second");
  }
  return expected;
}

LIBRARY_FUNCTION void churn(int times) {
  for (int i = 0; i < times; ++i) {
    const int fd = eventfd(0, EFD_CLOEXEC);
    if (i % 1000 != 0) close(fd);
  }
}

LIBRARY_FUNCTION int open_and_close(int closed) {
  const int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
  close(fd);
  close(closed);
  return fd < 0 ? 1 : 0;
}

LIBRARY_FUNCTION void close_in_vfork(int closed) {
  const pid_t child = vfork();
  if (child == 0) {
    close(closed);
    dup2(STDERR_FILENO, closed);
    close_range(3, UINT_MAX, 0);
    _exit(0);
  }
  waitpid(child, nullptr, 0);
}

LIBRARY_FUNCTION void open_for_other_stack() { opened_on_other_stack = kept(open("/dev/null", O_RDONLY | O_CLOEXEC)); }

LIBRARY_FUNCTION int open_on_other_stack() {
  static std::array<char, 65536> stack;
  getcontext(&other_context);
  other_context.uc_stack.ss_sp = stack.data();
  other_context.uc_stack.ss_size = stack.size();
  other_context.uc_link = &caller_context;
  makecontext(&other_context, open_for_other_stack, 0);
  swapcontext(&caller_context, &other_context);
  return opened_on_other_stack;
}

LIBRARY_FUNCTION void keep_marked(int fd) {
  close_range(static_cast<unsigned>(fd), static_cast<unsigned>(fd), CLOSE_RANGE_CLOEXEC);
}

LIBRARY_FUNCTION void replace(int fd) { kept(dup2(STDERR_FILENO, fd)); }

LIBRARY_FUNCTION int fail() { return open("/nowhere/at/all", O_RDONLY) < 0 ? errno : 0; }

LIBRARY_FUNCTION void wait_ready(int epoll_fd, int times) {
  for (int i = 0; i < times; ++i) {
    epoll_event event{};
    const timespec no_time{};
    if (i % 3 == 0) epoll_wait(epoll_fd, &event, 1, 0);
    if (i % 3 == 1) epoll_pwait(epoll_fd, &event, 1, 0, nullptr);
    if (i % 3 == 2) epoll_pwait2(epoll_fd, &event, 1, &no_time, nullptr);
  }
}

extern "C" __attribute__((visibility("default"))) const HookLibrary* hook_library() {
  static const HookLibrary library = {.openers = kOpeners,
                                      .count = std::size(kOpeners),
                                      .open_deep = open_deep,
                                      .open_close_deep = open_close_deep,
                                      .open_on_line = open_on_line,
                                      .churn = churn,
                                      .open_and_close = open_and_close,
                                      .close_in_vfork = close_in_vfork,
                                      .open_on_other_stack = open_on_other_stack,
                                      .keep_marked = keep_marked,
                                      .replace = replace,
                                      .fail = fail,
                                      .wait = wait_ready};
  return &library;
}
