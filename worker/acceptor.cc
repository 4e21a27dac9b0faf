// Acceptor: arming, cancelling and pausing of accepts.
#include "worker/acceptor.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "common/check.h"

namespace worker {
namespace {

constexpr common::Duration kPauseFirst = std::chrono::milliseconds(10);
constexpr common::Duration kPauseMax = std::chrono::seconds(1);

bool is_unix(int fd) {
  int domain = 0;
  socklen_t size = sizeof domain;
  return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && domain == AF_UNIX;
}

}  // namespace

AcceptFailure decide_accept_failure(int errnum) {
  switch (errnum) {
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM: return AcceptFailure::kPause;
    // accept(2), "Error handling": pending network errors of the new socket; and a client that gave up in the queue.
    case EAGAIN:
    case EINTR:
    case ECONNABORTED:
    case EPROTO:
    case EPERM:
    case ENETDOWN:
    case ENOPROTOOPT:
    case EHOSTDOWN:
    case ENONET:
    case EHOSTUNREACH:
    case EOPNOTSUPP:
    case ENETUNREACH: return AcceptFailure::kRetry;
  }
  return AcceptFailure::kPause;  // unknown: never a loop without a delay
}

Acceptor::Acceptor(Ring& ring, std::vector<common::UniqueFd> listeners) : ring_(ring) {
  for (common::UniqueFd& fd : listeners) {
    const Sharing sharing = is_unix(fd.get()) ? Sharing::kShared : Sharing::kOwn;
    listeners_.push_back({.fd = std::move(fd), .sharing = sharing, .accept = Arm::kNone, .watch = Arm::kNone});
  }
}

void Acceptor::start() {
  if (mode_ == Mode::kStopped) return;
  mode_ = Mode::kAccepting;
  arm_all();
}

void Acceptor::hold() {
  if (mode_ != Mode::kAccepting) return;
  mode_ = Mode::kHeld;
  cancel_all();
}

void Acceptor::stop() {
  mode_ = Mode::kStopped;
  cancel_all();
}

void Acceptor::pause(common::TimePoint now) {
  if (mode_ != Mode::kAccepting) return;
  delay_ = delay_ == common::Duration::zero() ? kPauseFirst : std::min(2 * delay_, kPauseMax);
  mode_ = Mode::kPaused;
  resume_at_ = now + delay_;
  cancel_all();
}

void Acceptor::on_time(common::TimePoint now) {
  if (own_at_ && *own_at_ <= now) {
    own_at_.reset();
    taking_ = Taking::kAccepting;
    if (mode_ == Mode::kAccepting) {
      cancel_all();  // the polls; an accept that is armed now takes what is waiting at once
      arm_all();
    }
  }
  if (mode_ == Mode::kPaused && resume_at_ <= now) start();
}

void Acceptor::own_slot(common::TimePoint now) {
  if (taking_ == Taking::kWatching && !own_at_) own_at_ = now + kRingLinger;
}

void Acceptor::on_accept(const Completion& completion) {
  Listener& listener = listeners_.at(completion.tag.index);
  if (completion.result >= 0) delay_ = common::Duration::zero();
  if (completion.more == Completion::More::kYes) return;
  listener.accept = Arm::kNone;
  if (mode_ != Mode::kAccepting) return;
  const bool failed = completion.result < 0 && completion.result != -ECANCELED;
  if (!failed || decide_accept_failure(-completion.result) == AcceptFailure::kRetry) arm(completion.tag.index);
}

// The poll comes back with the accept (see arm): before that it would complete again for the same connection.
void Acceptor::on_readable(const Completion& completion) {
  Listener& listener = listeners_.at(completion.tag.index);
  listener.watch = Arm::kNone;
  if (mode_ != Mode::kAccepting || taking(listener) != Taking::kWatching) return;
  if (listener.accept == Arm::kArmed) return cancel(completion.tag.index);
  if (listener.accept == Arm::kNone) arm(completion.tag.index);
}

std::optional<common::TimePoint> Acceptor::next_deadline() const {
  if (mode_ != Mode::kPaused) return own_at_;
  return own_at_ ? std::min(*own_at_, resume_at_) : resume_at_;
}

bool Acceptor::armed() const {
  return std::ranges::any_of(listeners_, [](const Listener& listener) {
    return listener.accept != Arm::kNone || listener.watch != Arm::kNone;
  });
}

void Acceptor::close_listeners() {
  CHECK(!armed());
  listeners_.clear();
}

Acceptor::Taking Acceptor::taking(const Listener& listener) const {
  return listener.sharing == Sharing::kShared ? Taking::kWatching : taking_;
}

void Acceptor::arm_all() {
  for (std::uint32_t i = 0; i < listeners_.size(); ++i) arm(i);
}

void Acceptor::arm(std::uint32_t index) {
  Listener& listener = listeners_[index];
  const bool watching = taking(listener) == Taking::kWatching;
  if (listener.accept == Arm::kNone) {
    listener.accept = Arm::kArmed;
    ring_.arm_accept(listener.fd.get(), {.op = Op::kAccept, .index = index},
                     watching ? Repeat::kOnce : Repeat::kMultishot);
  }
  if (watching && listener.watch == Arm::kNone) {
    listener.watch = Arm::kArmed;
    ring_.arm_readable(listener.fd.get(), {.op = Op::kListener, .index = index});
  }
}

void Acceptor::cancel_all() {
  for (std::uint32_t i = 0; i < listeners_.size(); ++i) cancel(i);
}

void Acceptor::cancel(std::uint32_t index) {
  Listener& listener = listeners_[index];
  if (listener.accept == Arm::kArmed) {
    listener.accept = Arm::kCancelling;
    ring_.arm_cancel({.op = Op::kAccept, .index = index});
  }
  if (listener.watch == Arm::kArmed) {
    listener.watch = Arm::kCancelling;
    ring_.arm_cancel({.op = Op::kListener, .index = index});
  }
}

}  // namespace worker
