// A library whose code symbols_test.cc asks about: functions that return the address they were called back to.
//
// Lines are found by the marker at their end. It is built with debug information, and once more without and stripped.
#include <cstddef>
#include <cstdint>

namespace target {
namespace {

// The address inside its caller to which it returns.
[[gnu::noinline]] std::uint64_t here() {
  asm volatile("");
  return reinterpret_cast<std::uint64_t>(__builtin_return_address(0));
}

[[gnu::always_inline]] inline std::uint64_t inlined_opening(int number) {
  const std::uint64_t address = here() + static_cast<std::uint64_t>(number);  // line: inlined_opening
  asm volatile("");
  return address - static_cast<std::uint64_t>(number);
}

template <typename T>
[[gnu::noinline]] T of_template(T more) {
  const std::uint64_t address = here() + more;  // line: of_template
  asm volatile("");
  return address - more;
}

}  // namespace

inline std::uint64_t as_if_of_the_system();

class Pool {
 public:
  [[gnu::noinline]] std::uint64_t connect(const char* name, int port) const;
};

std::uint64_t Pool::connect(const char* name, int port) const {
  const std::uint64_t address = here();  // line: connect
  asm volatile("" ::"r"(name), "r"(port));
  return address;
}

}  // namespace target

extern "C" {

[[gnu::visibility("default")]] std::uint64_t target_exported() {
  const std::uint64_t address = target::here();  // line: target_exported
  asm volatile("");
  return address;
}
[[gnu::visibility("default")]] std::uint64_t target_fortified() {
  const std::uint64_t address = target::as_if_of_the_system();  // line: target_fortified
  asm volatile("");
  return address;
}
[[gnu::visibility("default")]] std::uint64_t target_connect() { return target::Pool().connect("redis", 6379) + 0; }
[[gnu::visibility("default")]] std::uint64_t target_inlined() { return target::inlined_opening(3); }
[[gnu::visibility("default")]] std::uint64_t target_template() { return target::of_template(std::uint64_t{5}); }
}

// Calls of the C library can be inline functions of its headers, as open(2) with _FORTIFY_SOURCE. To the end of file.
#line 41 "/usr/include/x86_64-linux-gnu/bits/fcntl2.h"
[[gnu::always_inline]] inline std::uint64_t target::as_if_of_the_system() { return here(); }
