// Acceptor: arming, cancelling and pausing of accepts.
#include "worker/acceptor.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "common/check.h"
#include "common/high_fd.h"

namespace worker {
namespace {

constexpr common::Duration kPauseFirst = std::chrono::milliseconds(10);
constexpr common::Duration kPauseMax = std::chrono::seconds(1);

bool is_readable(int fd) {
  pollfd queue{.fd = fd, .events = POLLIN, .revents = 0};
  return poll(&queue, 1, 0) > 0 && (queue.revents & POLLIN) != 0;
}

bool is_unix(int fd) {
  int domain = 0;
  socklen_t size = sizeof domain;
  return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && domain == AF_UNIX;
}

// Whoever else has the socket may have made it non-blocking, which is a property of the socket and not of the
// descriptor; then accepts fail at once instead of waiting.
void make_blocking(int fd) {
  const int flags = fcntl(fd, F_GETFL);
  if (flags >= 0 && (flags & O_NONBLOCK) != 0) fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
}

}  // namespace

AcceptFailure decide_accept_failure(int errnum) {
  switch (errnum) {
    case EMFILE:
    case ENFILE: return AcceptFailure::kNoDescriptor;
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
    // The number is closed, another file, or a socket that does not listen: the application took it away.
    case EBADF:
    case ENOTSOCK:
    case EINVAL: return AcceptFailure::kBroken;
  }
  return AcceptFailure::kPause;  // unknown: never a loop without a delay
}

Acceptor::Acceptor(AcceptRing& ring, std::vector<common::UniqueFd> listeners, std::uint64_t shared) : ring_(ring) {
  for (std::size_t i = 0; i < listeners.size(); ++i) {
    common::UniqueFd& fd = listeners[i];
    const bool is_told = i < 64 && ((shared >> i) & 1) != 0;
    const Sharing sharing = is_told || is_unix(fd.get()) ? Sharing::kShared : Sharing::kOwn;
    listeners_.push_back({.fd = common::move_high(std::move(fd)),
                          .sharing = sharing,
                          .accept = Arm::kNone,
                          .watch = Arm::kNone,
                          .repeat = Repeat::kOnce,
                          .use = Use::kInUse});
  }
}

void Acceptor::start() {
  if (mode_ == Mode::kStopped) return;
  mode_ = Mode::kAccepting;
  arm_all();
}

void Acceptor::hold() {
  if (mode_ == Mode::kStopped) return;
  mode_ = Mode::kHeld;
  cancel_all();
}

void Acceptor::stop() {
  mode_ = Mode::kStopped;
  cancel_all();
}

void Acceptor::leave(std::uint32_t index) {
  listeners_.at(index).use = Use::kLeft;
  cancel(index);
}

void Acceptor::pause(common::TimePoint now) {
  if (mode_ != Mode::kAccepting && mode_ != Mode::kHeld) return;
  delay_ = delay_ == common::Duration::zero() ? kPauseFirst : std::min(2 * delay_, kPauseMax);
  mode_ = Mode::kPaused;
  resume_at_ = now + delay_;
  cancel_all();
}

void Acceptor::on_time(common::TimePoint now) {
  if (own_at_ && *own_at_ <= now) {
    own_at_.reset();
    taking_ = Taking::kAccepting;
    // The polls, too; an accept that is armed now takes what is waiting at once.
    if (mode_ == Mode::kAccepting) renew();
  }
  if (mode_ == Mode::kPaused && resume_at_ <= now) start();
}

void Acceptor::set_repeat(Repeat repeat) {
  repeat_ = repeat;
  for (std::uint32_t i = 0; i < listeners_.size(); ++i) {
    if (listeners_[i].repeat == Repeat::kMultishot && repeat == Repeat::kOnce) cancel_accept(i);
  }
}

void Acceptor::renew() {
  if (mode_ != Mode::kAccepting) return;
  cancel_all();
  arm_all();  // what is being cancelled follows when that has come back
}

void Acceptor::own_slot(common::TimePoint now) {
  if (taking_ == Taking::kWatching && !own_at_) own_at_ = now + kRingLinger;
}

void Acceptor::on_accept(const Completion& completion, common::TimePoint now) {
  Listener& listener = listeners_.at(completion.tag.index);
  if (completion.more == Completion::More::kNo) listener.accept = Arm::kNone;
  if (completion.result >= 0) {
    delay_ = common::Duration::zero();
    retries_ = 0;
  } else if (completion.result != -ECANCELED) {
    if (decide_accept_failure(-completion.result) != AcceptFailure::kRetry) return;
    if (completion.result == -EAGAIN) make_blocking(listener.fd.get());
    if (++retries_ >= kRetriesMax) pause(now);
  }
}

void Acceptor::go_on(std::uint32_t index) {
  if (mode_ == Mode::kAccepting) arm(index);
}

void Acceptor::on_readable(const Completion& completion) {
  Listener& listener = listeners_.at(completion.tag.index);
  listener.watch = Arm::kNone;
  if (mode_ != Mode::kAccepting || taking(listener) != Taking::kWatching) return;
  // The poll comes back with the accept: before that it would complete again for the same connection.
  if (completion.result >= 0 && listener.accept == Arm::kArmed) return cancel(completion.tag.index);
  arm(completion.tag.index);
}

std::optional<std::uint32_t> Acceptor::waiting() const {
  for (std::uint32_t i = 0; i < listeners_.size(); ++i) {
    if (listeners_[i].accept != Arm::kNone || listeners_[i].use == Use::kLeft) continue;
    if (is_readable(listeners_[i].fd.get())) return i;
  }
  return std::nullopt;
}

bool Acceptor::has_queue() const {
  return std::ranges::any_of(listeners_, [](const Listener& listener) {
    return listener.use == Use::kInUse && is_readable(listener.fd.get());
  });
}

void Acceptor::watch() {
  CHECK(mode_ == Mode::kHeld);
  for (std::uint32_t i = 0; i < listeners_.size(); ++i) {
    if (listeners_[i].use == Use::kInUse) arm_watch(i);
  }
}

void Acceptor::take_one(std::uint32_t index) {
  CHECK(mode_ == Mode::kHeld && listeners_.at(index).accept == Arm::kNone);
  arm_accept(index, Repeat::kOnce);
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

void Acceptor::close_listeners(common::FdLedger ledger) {
  CHECK(!armed());
  for (const Listener& listener : listeners_) ledger.forget(listener.fd.get());
  listeners_.clear();
}

void Acceptor::note(common::FdLedger ledger, common::TimePoint now) const {
  for (const Listener& listener : listeners_) ledger.note_server(listener.fd.get(), common::FdRole::kListener, now);
}

Acceptor::Taking Acceptor::taking(const Listener& listener) const {
  return listener.sharing == Sharing::kShared ? Taking::kWatching : taking_;
}

Repeat Acceptor::wanted_repeat(const Listener& listener) const {
  return taking(listener) == Taking::kWatching ? Repeat::kOnce : repeat_;
}

void Acceptor::arm_all() {
  for (std::uint32_t i = 0; i < listeners_.size(); ++i) arm(i);
}

void Acceptor::arm(std::uint32_t index) {
  if (listeners_[index].use == Use::kLeft) return;
  arm_accept(index, wanted_repeat(listeners_[index]));
  if (taking(listeners_[index]) == Taking::kWatching) arm_watch(index);
}

void Acceptor::arm_accept(std::uint32_t index, Repeat repeat) {
  Listener& listener = listeners_[index];
  if (listener.accept != Arm::kNone) return;
  listener.accept = Arm::kArmed;
  listener.repeat = repeat;
  ring_.arm_accept(listener.fd.get(), {.op = Op::kAccept, .index = index}, repeat);
}

void Acceptor::arm_watch(std::uint32_t index) {
  Listener& listener = listeners_[index];
  if (listener.watch != Arm::kNone) return;
  listener.watch = Arm::kArmed;
  ring_.arm_readable(listener.fd.get(), {.op = Op::kListener, .index = index});
}

void Acceptor::cancel_all() {
  for (std::uint32_t i = 0; i < listeners_.size(); ++i) cancel(i);
}

void Acceptor::cancel(std::uint32_t index) {
  cancel_accept(index);
  Listener& listener = listeners_[index];
  if (listener.watch == Arm::kArmed) {
    listener.watch = Arm::kCancelling;
    ring_.arm_cancel({.op = Op::kListener, .index = index});
  }
}

void Acceptor::cancel_accept(std::uint32_t index) {
  Listener& listener = listeners_[index];
  if (listener.accept != Arm::kArmed) return;
  listener.accept = Arm::kCancelling;
  ring_.arm_cancel({.op = Op::kAccept, .index = index});
}

}  // namespace worker
