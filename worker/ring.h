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
#include "worker/operation.h"

namespace worker {

struct RingSettings {
  std::uint32_t submissions = 1024;  // a full queue is submitted early, nothing is lost
  std::uint32_t completions = 8192;  // past it the kernel keeps them aside (IORING_FEAT_NODROP)
  std::uint16_t buffers = 256;  // a power of two; when all are in use receives end with ENOBUFS and are re-armed
  std::uint32_t buffer_bytes = 4096;
};

// What to do after io_uring_enter(2) failed with `errnum`; pure.
enum class TurnFailure {
  kNone,    // nothing was to be done, or a signal came: look at what there is
  kWait,    // the kernel is short of something: the same again a little later
  kBroken,  // the ring is gone or has lost completions, and with them what is in flight
};
TurnFailure decide_turn_failure(int errnum);

class Ring final : public AcceptRing {
 public:
  static common::Result<std::unique_ptr<Ring>> create(const RingSettings& settings);
  ~Ring();
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;

  void arm_accept(int listener, Tag tag, Repeat repeat) override;
  void arm_receive(int socket, Tag tag);  // multishot
  void arm_send(int socket, std::string_view bytes, Tag tag);
  void arm_close(int fd, Tag tag);
  void arm_readable(int fd, Tag tag) override;
  void arm_cancel(Tag victim) override;

  // Submits, waits until something completed, `until` passed or a signal came, and returns. A failure that may pass is
  // waited out, by a longer sleep each time; one that may not ends the process (worker/give_up.h).
  void turn(std::optional<common::TimePoint> until, common::TimePoint now);

  // The next completion, if any; call until empty, at most as often as the caller's fairness allows.
  std::optional<Completion> next();
  bool has_completions() const;
  // Whether next() will bring bytes for a connection whose index `match` likes. Yes, too, when nobody can tell because
  // the kernel keeps completions aside.
  template <typename Match>
  bool may_have_received(Match match) const;
  void release(std::uint16_t buffer);

  int fd() const { return ring_.ring_fd; }
  // Descriptors that are open and that nobody has been told of, or that were given to arm_close() and are open still.
  std::uint32_t unsettled_descriptors() const;
  // For the end: gives them some turns to become none. Connections that come meanwhile are closed.
  void settle();
  // Those of them that were accepted.
  template <typename Visit>
  void each_accepted(Visit visit) const;

 private:
  explicit Ring(const RingSettings& settings) : settings_(settings) {}
  common::Result<void> set_up();
  common::Result<void> set_up_buffers();
  io_uring_sqe* submission();
  static Tag decode(std::uint64_t data);
  void move_ring_fd_high();
  void on_entered(int result);

  RingSettings settings_;
  std::uint32_t closing_ = 0;
  int failures_ = 0;  // of io_uring_enter, in a row
  io_uring ring_{};
  io_uring_buf_ring* buffer_ring_ = nullptr;  // mapped, page-aligned: the kernel reads it
  std::span<char> buffer_memory_;  // mapped: settings_.buffers times settings_.buffer_bytes
};

template <typename Visit>
void Ring::each_accepted(Visit visit) const {
  unsigned head = 0;
  const io_uring_cqe* entry = nullptr;
  io_uring_for_each_cqe(&ring_, head, entry) {
    if (decode(entry->user_data).op == Op::kAccept && entry->res >= 0) visit(entry->res);
  }
}

template <typename Match>
bool Ring::may_have_received(Match match) const {
  if (io_uring_cq_has_overflow(&ring_)) return true;
  unsigned head = 0;
  const io_uring_cqe* entry = nullptr;
  io_uring_for_each_cqe(&ring_, head, entry) {
    const Tag tag = decode(entry->user_data);
    if (tag.op == Op::kReceive && entry->res > 0 && match(tag.index)) return true;
  }
  return false;
}

// Why io_uring cannot be used here and what to do about it; empty if it can. Creates a ring and drops it.
common::Result<void> probe_ring();

// The words for a failed io_uring_setup(2): kernel, sysctl or seccomp. `sysctl` is kernel.io_uring_disabled (-1 = no
// such file), `seccomp` the mode of /proc/self/status (0 = none).
std::string explain_ring_error(int errnum, int sysctl, int seccomp);

}  // namespace worker
