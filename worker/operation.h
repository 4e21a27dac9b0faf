// Operation: what a worker asks of its ring, how it marks it, and what comes back.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace worker {

enum class Repeat { kOnce, kMultishot };
enum class Op : std::uint8_t { kAccept, kReceive, kSend, kClose, kCancel, kChannel, kSignal, kListener };

// Which operation of which object: `index` is a connection or a listener.
struct Tag {
  Op op;
  std::uint32_t index;
};

struct Completion {
  Tag tag;
  std::int32_t result;  // >= 0, or a negated errno
  enum class More { kNo, kYes } more;
  std::string_view data;  // of a receive; valid until release() of `buffer`
  std::optional<std::uint16_t> buffer;
};

// The part of a ring that accepting needs: a seam, so that tests see what is armed and say what completes.
class AcceptRing {
 public:
  virtual void arm_accept(int listener, Tag tag, Repeat repeat) = 0;  // results are new descriptors, close-on-exec
  virtual void arm_readable(int fd, Tag tag) = 0;                     // one-shot poll
  virtual void arm_cancel(Tag victim) = 0;  // completes as Op::kCancel, and the victim with ECANCELED if it was armed

 protected:
  ~AcceptRing() = default;
};

}  // namespace worker
