// UpgradeDesk: its states.
#include "master/upgrade_desk.h"

#include <algorithm>

#include "common/check.h"

namespace master {

void UpgradeDesk::ask(common::TimePoint now, common::Duration patience) {
  if (state_ != State::kIdle) return;
  state_ = State::kWaiting;
  give_up_at_ = now + patience;
}

void UpgradeDesk::begin_check(pid_t pid, common::TimePoint now) {
  CHECK(state_ == State::kWaiting);
  state_ = State::kChecking;
  pid_ = pid;
  check_until_ = now + kCheckPatience;
}

void UpgradeDesk::pass() {
  CHECK(state_ == State::kChecking);
  state_ = State::kReady;
  pid_ = 0;
}

void UpgradeDesk::end(const std::string& error) {
  state_ = State::kIdle;
  pid_ = 0;
  last_error_ = error;
}

std::optional<common::TimePoint> UpgradeDesk::deadline() const {
  switch (state_) {
    case State::kIdle: return std::nullopt;
    case State::kChecking: return check_until_;
    case State::kWaiting:
    case State::kReady: return give_up_at_;
  }
  return std::nullopt;
}

common::Json UpgradeDesk::to_json() const {
  const std::string_view state = state_ != State::kIdle ? "running" : last_error_.empty() ? "ok" : "failed";
  return {{"state", state},
          {"last_error", last_error_.empty() ? common::Json(nullptr) : common::Json(last_error_)},
          {"count", count_}};
}

}  // namespace master
