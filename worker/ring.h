// Ring: the worker's io_uring, behind the few operations a server needs. The only door to liburing.
//
// Operations are queued by arm_*() and submitted together by the next turn(), which also waits: one system call per
// turn. Each operation carries a Tag that its completions bring back. Multishot operations (accept, receive) complete
// many times; the completion without `more` is the last. Memory given to arm_send() must stay until it completed.
// Created after the fork and used by one thread (IORING_SETUP_SINGLE_ISSUER). Needs Linux 6.1 (DEFER_TASKRUN).
#pragma once

#include <liburing.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "common/clock.h"
#include "common/result.h"

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

struct RingSettings {
  std::uint32_t submissions = 1024;  // a full queue is submitted early, nothing is lost
  std::uint32_t completions = 8192;  // past it the kernel keeps them aside (IORING_FEAT_NODROP)
  std::uint16_t buffers = 256;  // a power of two; when all are in use receives end with ENOBUFS and are re-armed
  std::uint32_t buffer_bytes = 4096;
};

class Ring {
 public:
  static common::Result<std::unique_ptr<Ring>> create(const RingSettings& settings);
  ~Ring();
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;

  void arm_accept(int listener, Tag tag, Repeat repeat);  // results are new descriptors, close-on-exec
  void arm_receive(int socket, Tag tag);  // multishot
  void arm_send(int socket, std::string_view bytes, Tag tag);
  void arm_close(int fd, Tag tag);
  void arm_readable(int fd, Tag tag);  // one-shot poll
  void arm_cancel(Tag victim);  // completes as Op::kCancel, and the victim with ECANCELED if it was armed

  // Submits, waits until something completed, `until` passed or a signal came, and returns.
  void turn(std::optional<common::TimePoint> until, common::TimePoint now);

  // The next completion, if any; call until empty, at most as often as the caller's fairness allows.
  std::optional<Completion> next();
  bool has_completions() const;
  void release(std::uint16_t buffer);

  int fd() const { return ring_.ring_fd; }

 private:
  explicit Ring(const RingSettings& settings) : settings_(settings) {}
  common::Result<void> set_up();
  common::Result<void> set_up_buffers();
  io_uring_sqe* submission();

  RingSettings settings_;
  io_uring ring_{};
  io_uring_buf_ring* buffer_ring_ = nullptr;  // mapped, page-aligned: the kernel reads it
  std::span<char> buffer_memory_;  // mapped: settings_.buffers times settings_.buffer_bytes
};

// Why io_uring cannot be used here and what to do about it; empty if it can. Creates a ring and drops it.
common::Result<void> probe_ring();

// The words for a failed io_uring_setup(2): kernel, sysctl or seccomp. `sysctl` is kernel.io_uring_disabled (-1 = no
// such file), `seccomp` the mode of /proc/self/status (0 = none).
std::string explain_ring_error(int errnum, int sysctl, int seccomp);

}  // namespace worker
