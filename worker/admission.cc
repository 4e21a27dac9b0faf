// Admission: holding, evicting, refusing, and finding out that it is over.
#include "worker/admission.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <initializer_list>
#include <utility>

#include "common/check.h"
#include "worker/give_up.h"

namespace worker {
namespace {

// One multishot accept may bring a whole listen queue in one turn (listen.backlog). Nearer to the limit than this
// connections are accepted one by one, so that the limit is not passed.
constexpr std::uint32_t kQueue = 4096;

// Telling a client costs some 50 us, and one that reconnects at once will be back: about 1 % of a CPU, lastingly.
constexpr std::uint32_t kRefusalBurst = 256;
constexpr common::Duration kRefusalInterval = std::chrono::milliseconds(5);
constexpr common::Duration kRefusalPause = std::chrono::milliseconds(50);

constexpr std::string_view kNoPlace = "all places are taken";

std::string_view words_for(int errnum) {
  switch (errnum) {
    case EMFILE: return "the limit of open files is reached (EMFILE)";
    case ENFILE: return "the system's table of open files is full (ENFILE)";
    case ENOBUFS:
    case ENOMEM: return "the kernel has no memory for them";
    case EPERM: return "every accept is forbidden (EPERM); look for a seccomp filter or a security module";
  }
  return "every accept fails";
}

void increment(std::atomic<std::uint64_t>& gauge) {
  gauge.store(gauge.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
}

}  // namespace

Admission::Admission(Acceptor& acceptor, ConnectionTable& table, common::WorkerGauges& record, common::FdLedger ledger,
                     const AdmissionSettings& settings)
    : acceptor_(acceptor),
      table_(table),
      record_(record),
      ledger_(ledger),
      settings_(settings),
      reserve_(ledger),
      refused_(ledger),
      refusals_(kRefusalBurst, kRefusalInterval) {
  CHECK(settings_.places > 0);
  choose_repeat();
}

void Admission::start(common::TimePoint now) {
  acceptor_.note(ledger_, now);
  reserve_.take(now);
  acceptor_.start();
}

// ---- what comes

void Admission::on_accept(const Completion& completion, common::TimePoint now) {
  acceptor_.on_accept(completion, now);
  const bool was_refusing = std::exchange(refusing_, std::nullopt) == completion.tag.index;
  if (completion.result >= 0 || completion.result == -ECANCELED) return;
  const int errnum = -completion.result;
  switch (decide_accept_failure(errnum)) {
    case AcceptFailure::kRetry:
      if (acceptor_.mode() == Acceptor::Mode::kPaused) on_paused(errnum);
      return;
    case AcceptFailure::kBroken: give_up("accept on a listener that the application has taken away", errnum);
    case AcceptFailure::kNoDescriptor:
      if (!was_refusing) return hold(Shortage::kDescriptors, words_for(errnum), now);
      reserve_.refill(now);
      return pause(errnum, now);
    case AcceptFailure::kPause: return pause(errnum, now);
  }
}

Admission::Verdict Admission::judge(common::TimePoint now) {
  // The reserve comes first, else nobody could be told any more. Those who were told may have what is missing of it.
  reserve_.refill(now);
  if (reserve_.missing() > refused_.size()) return Verdict::kRefuse;
  while (reserve_.missing() > 0) {
    if (refused_.close_oldest() == RefusedClients::Closed::kNo) return Verdict::kRefuse;
    reserve_.refill(now);
  }
  if (shortage_ == Shortage::kDescriptors && acceptor_.mode() == Acceptor::Mode::kHeld) resume();
  if (!is_full() || settings_.on_full == common::OnFull::kEvict) return Verdict::kServe;
  return table_.first_to_go(now) != nullptr ? Verdict::kServe : Verdict::kRefuse;
}

void Admission::refuse(common::UniqueFd client, common::TimePoint now) {
  increment(record_.refused);
  refused_.refuse(std::move(client), now);
  log_.add(AdmissionLog::Event::kRefused, is_full() ? kNoPlace : words_for(EMFILE));
}

void Admission::on_opened(common::TimePoint now) {
  choose_repeat();
  if (is_full() && settings_.on_full == common::OnFull::kEvict) hold(Shortage::kPlaces, kNoPlace, now);
}

void Admission::on_closed() {
  choose_repeat();
  if (is_held() && !is_full()) resume();
}

void Admission::on_readable(const Completion& completion, common::TimePoint now) {
  acceptor_.on_readable(completion);
  if (completion.result >= 0 || completion.result == -ECANCELED) return;
  if (decide_accept_failure(-completion.result) == AcceptFailure::kBroken) {
    give_up("poll of a listener that the application has taken away", -completion.result);
  }
  pause(-completion.result, now);
}

void Admission::on_time(common::TimePoint now) {
  refused_.on_time(now);
  const bool was_paused = acceptor_.mode() == Acceptor::Mode::kPaused;
  acceptor_.on_time(now);
  if (was_paused && acceptor_.mode() == Acceptor::Mode::kAccepting) {
    shortage_ = Shortage::kNone;  // until an accept says otherwise
    if (is_full() && settings_.on_full == common::OnFull::kEvict) hold(Shortage::kPlaces, kNoPlace, now);
  }
  if (is_held() && look_at_ <= now) look(now);
  log_.flush(table_.size(), settings_.places, now);
}

// Descriptors may be had again without any doing of ours.
void Admission::look(common::TimePoint now) {
  look_at_ = now + kLook;
  if (shortage_ != Shortage::kDescriptors || is_full()) return;
  if (reserve_.refill(now) == ReserveFds::Level::kFull && ReserveFds::has_spare()) resume();
}

std::optional<common::TimePoint> Admission::next_deadline() const {
  std::optional<common::TimePoint> next = acceptor_.next_deadline();
  if (is_held()) next = std::min(next.value_or(look_at_), look_at_);
  for (const auto& other : {refused_.next_deadline(), log_.next_deadline()}) {
    if (other) next = std::min(next.value_or(*other), *other);
  }
  return next;
}

// ---- what to do about it

Connection* Admission::seek_room(common::TimePoint now) {
  if (acceptor_.mode() == Acceptor::Mode::kStopped) return nullptr;
  const std::uint32_t staying = table_.size() - table_.count(ConnectionState::kClosing);
  if (staying > settings_.places) {
    if (Connection* leaver = evict(now)) return leaver;
  }
  // Room is on its way already, or a client that will be told that there is none.
  if (!is_held() || staying < table_.size() || refusing_) return nullptr;
  const std::optional<std::uint32_t> listener = acceptor_.waiting();
  if (!listener) {
    acceptor_.watch();
    return nullptr;
  }
  if (Connection* leaver = evict(now)) return leaver;
  if (shortage_ == Shortage::kDescriptors) take_one_to_refuse(*listener, now);
  return nullptr;
}

Connection* Admission::evict(common::TimePoint now) {
  Connection* leaver = table_.first_to_go(now);
  if (leaver == nullptr) return nullptr;
  increment(record_.evicted);
  log_.add(AdmissionLog::Event::kEvicted, shortage_ == Shortage::kDescriptors ? words_for(EMFILE) : kNoPlace);
  return leaver;
}

void Admission::take_one_to_refuse(std::uint32_t listener, common::TimePoint now) {
  if (!refusals_.take(now)) {
    look_at_ = std::min(look_at_, now + kRefusalPause);
    return;
  }
  if (reserve_.size() == 0 && refused_.close_oldest() == RefusedClients::Closed::kYes) reserve_.refill(now);
  if (reserve_.give_up() == ReserveFds::Given::kNo) return pause(EMFILE, now);
  acceptor_.take_one(listener);
  refusing_ = listener;
}

void Admission::hold(Shortage shortage, std::string_view why, common::TimePoint now) {
  const Acceptor::Mode mode = acceptor_.mode();
  if (mode != Acceptor::Mode::kAccepting && mode != Acceptor::Mode::kHeld) return;
  shortage_ = shortage;
  if (mode == Acceptor::Mode::kHeld) return;
  acceptor_.hold();
  look_at_ = now + kLook;
  log_.add(AdmissionLog::Event::kShort, why);
}

void Admission::resume() {
  shortage_ = Shortage::kNone;
  acceptor_.start();
}

void Admission::pause(int errnum, common::TimePoint now) {
  const Acceptor::Mode mode = acceptor_.mode();
  if (mode != Acceptor::Mode::kAccepting && mode != Acceptor::Mode::kHeld) return;  // another listener's failure did
  acceptor_.pause(now);
  on_paused(errnum);
}

void Admission::on_paused(int errnum) {
  shortage_ = Shortage::kDescriptors;
  increment(record_.accept_pauses);
  log_.add(AdmissionLog::Event::kPaused, words_for(errnum));
}

void Admission::choose_repeat() {
  const std::uint32_t room = settings_.places - std::min(settings_.places, table_.size());
  // Not one threshold but two: changing back and forth would cost a cancellation each time.
  const Repeat wanted = room < kQueue ? Repeat::kOnce : room >= 2 * kQueue ? Repeat::kMultishot : repeat_;
  if (wanted == repeat_) return;
  repeat_ = wanted;
  acceptor_.set_repeat(wanted);
}

void Admission::set_places(std::uint32_t places, common::TimePoint now) {
  settings_.places = std::max(places, 1U);
  choose_repeat();
  if (acceptor_.mode() == Acceptor::Mode::kStopped) return;
  if (is_full() && settings_.on_full == common::OnFull::kEvict) return hold(Shortage::kPlaces, kNoPlace, now);
  if (acceptor_.mode() == Acceptor::Mode::kAccepting) return acceptor_.renew();
  resume();
}

void Admission::close_listeners() {
  acceptor_.close_listeners(ledger_);
  reserve_.release();
}

common::Accepting Admission::state(common::TimePoint now) {
  if (shortage_ == Shortage::kDescriptors) return common::Accepting::kStarving;
  return is_full() && table_.first_to_go(now) == nullptr ? common::Accepting::kFull : common::Accepting::kYes;
}

}  // namespace worker
