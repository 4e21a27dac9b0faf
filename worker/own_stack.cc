// OwnStack: bounds that glibc's layout gives away, checked against the kernel's map.
#include "worker/own_stack.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>

// Where the main thread began, from ld.so.
extern "C" const void* const stack_end_of_main __asm__("__libc_stack_end");

namespace worker {

constinit StackBounds main_stack;
constinit thread_local StackBounds thread_stack;

namespace {

constinit thread_local int lookups_left = 3;  // a thread that lives on foreign stacks must not look for ever

// The kernel keeps at least so much room for the main stack (mmap_base()), whatever the limit says.
constexpr std::uintptr_t kMainStackMax = std::uintptr_t{128} << 20U;

// Reads the map character by character: begin, '-', end, ' ', what we do not need, '\n'.
class MapReader {
 public:
  explicit MapReader(std::uintptr_t wanted) : wanted_(wanted) {}

  // True when the mapping has been found.
  bool take(char character) {
    if (character == '\n') {
      part_ = Part::kBegin;
      now_ = {};
    } else if (part_ == Part::kBegin && character == '-') {
      part_ = Part::kEnd;
    } else if (part_ == Part::kEnd && character == ' ') {
      part_ = Part::kRest;
      return now_.contain(wanted_);
    } else if (part_ != Part::kRest) {
      std::uintptr_t& number = part_ == Part::kBegin ? now_.begin : now_.end;
      number = number * 16 + static_cast<std::uintptr_t>(character <= '9' ? character - '0' : character - 'a' + 10);
    }
    return false;
  }
  StackBounds found() const { return now_; }

 private:
  enum class Part { kBegin, kEnd, kRest };
  std::uintptr_t wanted_;
  Part part_ = Part::kBegin;
  StackBounds now_{};
};

StackBounds mapping_of(std::uintptr_t address) {
  const int fd = static_cast<int>(syscall(SYS_openat, AT_FDCWD, "/proc/self/maps", O_RDONLY | O_CLOEXEC));
  if (fd < 0) return {};
  MapReader reader(address);
  StackBounds found;
  std::array<char, 1024> part;
  for (ssize_t length = 1; found.end == 0 && length > 0;) {
    length = read(fd, part.data(), part.size());
    for (ssize_t i = 0; i < length && found.end == 0; ++i) {
      if (reader.take(part[static_cast<std::size_t>(i)])) found = reader.found();
    }
  }
  syscall(SYS_close, fd);
  return found;
}

// glibc keeps a thread's descriptor, whose address pthread_self(3) is, at the upper end of its stack, also of one that
// the application allocated. So a mapping with both in it is this thread's own, and all between can be read; the stack
// of a fibre lies in another.
void look_up(std::uintptr_t address) {
  const int saved = errno;
  --lookups_left;
  const std::uintptr_t descriptor = pthread_self();
  const StackBounds mapping = mapping_of(address);
  if (address < descriptor && mapping.contain(descriptor)) thread_stack = {.begin = mapping.begin, .end = descriptor};
  errno = saved;
}

}  // namespace

void own_stack_begin() {
  rlimit limit{};
  getrlimit(RLIMIT_STACK, &limit);
  const auto end = reinterpret_cast<std::uintptr_t>(stack_end_of_main);
  main_stack = {.begin = end - std::min<std::uintptr_t>(limit.rlim_cur, kMainStackMax), .end = end};
}

std::uintptr_t look_up_own_stack_end(std::uintptr_t address) {
  if (lookups_left == 0 || thread_stack.end != 0) return 0;
  look_up(address);
  return thread_stack.contain(address) ? thread_stack.end : 0;
}

}  // namespace worker
