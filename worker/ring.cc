// Ring: set-up, submission and completion over liburing, and the provided buffers for receives.
#include "worker/ring.h"

#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>

#include "common/high_fd.h"
#include "common/unique_fd.h"
#include "worker/give_up.h"

namespace worker {
namespace {

constexpr int kBufferGroup = 0;

// 1 ms doubling to 128 ms: about 12 s in all until a ring that takes nothing is given up.
constexpr int kFailuresMax = 100;
constexpr int kDoublings = 7;

constexpr int kSettlingTurnsMax = 16;

std::uint64_t encode(Tag tag) {
  return static_cast<std::uint64_t>(tag.index) << 8 | static_cast<std::uint64_t>(tag.op);
}

void* map_memory(std::size_t bytes) {
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return memory == MAP_FAILED ? nullptr : memory;
}

int read_sysctl() {
  std::ifstream file("/proc/sys/kernel/io_uring_disabled");
  int value = -1;
  file >> value;
  return value;
}

int read_seccomp_mode() {
  std::ifstream file("/proc/self/status");
  for (std::string word; file >> word;) {
    int mode = 0;
    if (word == "Seccomp:" && file >> mode) return mode;
  }
  return 0;
}

}  // namespace

common::Result<std::unique_ptr<Ring>> Ring::create(const RingSettings& settings) {
  std::unique_ptr<Ring> ring(new Ring(settings));
  if (auto done = ring->set_up(); !done) return std::unexpected(done.error());
  return ring;
}

common::Result<void> Ring::set_up() {
  io_uring_params params{};
  params.flags =
      IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE;
  params.cq_entries = settings_.completions;
  if (const int error = io_uring_queue_init_params(settings_.submissions, &ring_, &params); error < 0) {
    ring_.ring_fd = -1;
    return common::fail(explain_ring_error(-error, read_sysctl(), read_seccomp_mode()), -error);
  }
  move_ring_fd_high();
  io_uring_register_ring_fd(&ring_);  // saves a descriptor look-up per turn; an older kernel goes without
  return set_up_buffers();
}

common::Result<void> Ring::set_up_buffers() {
  const std::size_t ring_bytes = settings_.buffers * sizeof(io_uring_buf);
  const std::size_t data_bytes = std::size_t{settings_.buffers} * settings_.buffer_bytes;
  buffer_ring_ = static_cast<io_uring_buf_ring*>(map_memory(ring_bytes));
  auto* data = static_cast<char*>(map_memory(data_bytes));
  if (data != nullptr) buffer_memory_ = {data, data_bytes};
  if (buffer_ring_ == nullptr || data == nullptr) return common::fail_errno("mmap of the receive buffers", errno);
  io_uring_buf_reg registration{};
  registration.ring_addr = reinterpret_cast<std::uintptr_t>(buffer_ring_);
  registration.ring_entries = settings_.buffers;
  registration.bgid = kBufferGroup;
  if (const int error = io_uring_register_buf_ring(&ring_, &registration, 0); error < 0) {
    return common::fail_errno("io_uring_register_buf_ring (needs Linux 5.19)", -error);
  }
  io_uring_buf_ring_init(buffer_ring_);
  for (std::uint32_t id = 0; id < settings_.buffers; ++id) release(static_cast<std::uint16_t>(id));
  return {};
}

Ring::~Ring() {
  if (ring_.ring_fd >= 0) io_uring_queue_exit(&ring_);
  if (buffer_ring_ != nullptr) munmap(buffer_ring_, settings_.buffers * sizeof(io_uring_buf));
  if (!buffer_memory_.empty()) munmap(buffer_memory_.data(), buffer_memory_.size());
}

// Before the ring is registered: from then on enter_ring_fd is an index. The mappings do not depend on the number.
void Ring::move_ring_fd_high() {
  ring_.ring_fd = common::move_high(common::UniqueFd(ring_.ring_fd)).release();
  ring_.enter_ring_fd = ring_.ring_fd;
}

io_uring_sqe* Ring::submission() {
  io_uring_sqe* entry = io_uring_get_sqe(&ring_);
  while (entry == nullptr) {
    const int submitted = io_uring_submit(&ring_);
    // Nothing taken although the queue is full: not to be asked again without a pause.
    on_entered(submitted == 0 || submitted == -EBUSY ? -EAGAIN : submitted);
    entry = io_uring_get_sqe(&ring_);
  }
  return entry;
}

void Ring::arm_accept(int listener, Tag tag, Repeat repeat) {
  io_uring_sqe* entry = submission();
  switch (repeat) {
    case Repeat::kOnce: io_uring_prep_accept(entry, listener, nullptr, nullptr, SOCK_CLOEXEC); break;
    case Repeat::kMultishot: io_uring_prep_multishot_accept(entry, listener, nullptr, nullptr, SOCK_CLOEXEC); break;
  }
  entry->user_data = encode(tag);
}

void Ring::arm_receive(int socket, Tag tag) {
  io_uring_sqe* entry = submission();
  io_uring_prep_recv_multishot(entry, socket, nullptr, 0, 0);
  entry->flags |= IOSQE_BUFFER_SELECT;
  entry->buf_group = kBufferGroup;
  entry->user_data = encode(tag);
}

void Ring::arm_send(int socket, std::string_view bytes, Tag tag) {
  io_uring_sqe* entry = submission();
  io_uring_prep_send(entry, socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  entry->user_data = encode(tag);
}

void Ring::arm_close(int fd, Tag tag) {
  io_uring_sqe* entry = submission();
  io_uring_prep_close(entry, fd);
  entry->user_data = encode(tag);
  ++closing_;
}

void Ring::arm_readable(int fd, Tag tag) {
  io_uring_sqe* entry = submission();
  io_uring_prep_poll_add(entry, fd, POLLIN | POLLHUP);
  entry->user_data = encode(tag);
}

void Ring::arm_cancel(Tag victim) {
  const Tag tag{.op = Op::kCancel, .index = victim.index};
  io_uring_sqe* entry = submission();
  io_uring_prep_cancel64(entry, encode(victim), 0);
  entry->user_data = encode(tag);
}

void Ring::turn(std::optional<common::TimePoint> until, common::TimePoint now) {
  io_uring_cqe* first = nullptr;
  if (!until) return on_entered(io_uring_submit_and_wait_timeout(&ring_, &first, 1, nullptr, nullptr));
  const auto wait = std::max(*until - now, common::TimePoint::duration::zero());
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(wait);
  __kernel_timespec limit{.tv_sec = seconds.count(),
                          .tv_nsec = std::chrono::duration_cast<std::chrono::nanoseconds>(wait - seconds).count()};
  on_entered(io_uring_submit_and_wait_timeout(&ring_, &first, 1, &limit, nullptr));
}

void Ring::on_entered(int result) {
  switch (result < 0 ? decide_turn_failure(-result) : TurnFailure::kNone) {
    case TurnFailure::kNone: failures_ = 0; return;
    case TurnFailure::kWait:
      if (failures_ >= kFailuresMax) break;
      // What was to be submitted stays in the queue and goes with the next turn.
      poll(nullptr, 0, 1 << std::min(failures_++, kDoublings));
      return;
    case TurnFailure::kBroken: break;
  }
  give_up("io_uring_enter", -result);
}

TurnFailure decide_turn_failure(int errnum) {
  switch (errnum) {
    case ETIME:
    case EINTR:
    case EBUSY: return TurnFailure::kNone;  // completions are kept aside, and taken by the coming reads
    case EAGAIN:
    case ENOMEM:
    case ENOBUFS: return TurnFailure::kWait;
  }
  return TurnFailure::kBroken;  // EBADR: completions lost; EBADF, EBADFD, ENXIO ...: no ring of ours any more
}

bool Ring::has_completions() const { return io_uring_cq_ready(&ring_) != 0; }

Tag Ring::decode(std::uint64_t data) {
  return {.op = static_cast<Op>(data & 0xff), .index = static_cast<std::uint32_t>(data >> 8)};
}

std::optional<Completion> Ring::next() {
  if (io_uring_cq_ready(&ring_) == 0) return std::nullopt;
  io_uring_cqe* entry = nullptr;
  if (io_uring_peek_cqe(&ring_, &entry) != 0) return std::nullopt;
  Completion completion{
      .tag = decode(entry->user_data),
      .result = entry->res,
      .more = (entry->flags & IORING_CQE_F_MORE) != 0 ? Completion::More::kYes : Completion::More::kNo,
      .data = {},
      .buffer = std::nullopt};
  if ((entry->flags & IORING_CQE_F_BUFFER) != 0) {
    const auto id = static_cast<std::uint16_t>(entry->flags >> IORING_CQE_BUFFER_SHIFT);
    completion.buffer = id;
    if (entry->res > 0) {
      completion.data = {buffer_memory_.data() + std::size_t{id} * settings_.buffer_bytes,
                         static_cast<std::size_t>(entry->res)};
    }
  }
  io_uring_cqe_seen(&ring_, entry);
  if (completion.tag.op == Op::kClose) --closing_;
  return completion;
}

// next() has not brought everything yet: what it will bring has happened all the same.
std::uint32_t Ring::unsettled_descriptors() const {
  std::uint32_t open = closing_;
  unsigned head = 0;
  const io_uring_cqe* entry = nullptr;
  io_uring_for_each_cqe(&ring_, head, entry) {
    const Op op = decode(entry->user_data).op;
    if (op == Op::kAccept && entry->res >= 0) ++open;
    if (op == Op::kClose) --open;
  }
  return open;
}

void Ring::settle() {
  auto now = common::Clock::now();
  for (int turns = 0; unsettled_descriptors() > 0 && turns < kSettlingTurnsMax; ++turns) {
    turn(now + std::chrono::milliseconds(10), now);
    while (const auto completion = next()) {
      if (completion->tag.op == Op::kAccept && completion->result >= 0) close(completion->result);
    }
    now = common::Clock::now();
  }
}

void Ring::release(std::uint16_t buffer) {
  io_uring_buf_ring_add(buffer_ring_, buffer_memory_.data() + std::size_t{buffer} * settings_.buffer_bytes,
                        settings_.buffer_bytes, buffer, io_uring_buf_ring_mask(settings_.buffers), 0);
  io_uring_buf_ring_advance(buffer_ring_, 1);
}

common::Result<void> probe_ring() {
  auto ring = Ring::create({.submissions = 4, .completions = 8, .buffers = 4, .buffer_bytes = 4096});
  if (!ring) return std::unexpected(ring.error());
  return {};
}

std::string explain_ring_error(int errnum, int sysctl, int seccomp) {
  const std::string what = "io_uring is not available: " + common::errno_text(errnum) + "; ";
  if ((errnum == EPERM || errnum == EACCES) && sysctl == 2) {
    return what + "the sysctl kernel.io_uring_disabled is 2; set it to 0 (sysctl -w kernel.io_uring_disabled=0)";
  }
  if ((errnum == EPERM || errnum == EACCES) && sysctl == 1) {
    return what +
           "the sysctl kernel.io_uring_disabled is 1 (only members of kernel.io_uring_group may use it); set it "
           "to 0, or add the user to that group";
  }
  if ((errnum == EPERM || errnum == ENOSYS || errnum == EACCES) && seccomp != 0) {
    return what +
           "a seccomp filter forbids it, as the default profile of Docker and containerd does; allow "
           "io_uring_setup, io_uring_enter and io_uring_register (docker run --security-opt seccomp=PROFILE)";
  }
  if (errnum == ENOSYS) return what + "this kernel has no io_uring; Linux 6.1 or newer is needed";
  if (errnum == EINVAL) return what + "this kernel is too old; Linux 6.1 or newer is needed";
  if (errnum == EMFILE || errnum == ENFILE)
    return what + "no descriptor is left for the ring; raise the open files limit";
  if (errnum == ENOMEM) return what + "no memory for the ring; raise the memory limit, or ulimit -l (LimitMEMLOCK=)";
  return what + "a security module may forbid it; look into the kernel log";
}

}  // namespace worker
