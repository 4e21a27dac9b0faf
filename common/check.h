// CHECK: an invariant of ours; a violation is a bug, is printed, and aborts the process. Always on.
#pragma once

#include <cstdio>
#include <cstdlib>

namespace common {

[[noreturn]] inline void check_failed(const char* expression, const char* file, int line) {
  std::fprintf(stderr, "supervisor: internal error: CHECK(%s) failed at %s:%d\n", expression, file, line);
  std::abort();
}

}  // namespace common

#define CHECK(expression)                                                     \
  do {                                                                        \
    if (!(expression)) common::check_failed(#expression, __FILE__, __LINE__); \
  } while (false)
