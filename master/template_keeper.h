// TemplateKeeper: the template process of one generation, its state, and when it is started again.
#pragma once

#include <cstdint>
#include <optional>

#include "common/clock.h"
#include "common/config.h"
#include "master/restart_policy.h"
#include "master/supervision_action.h"
#include "master/template_machine.h"

namespace master {

// Pure: what is to be done is appended to the actions.
class TemplateKeeper {
 public:
  TemplateKeeper(Generation generation, const common::RestartSettings& settings)
      : generation_(generation), restart_(settings) {}

  // An event that its state makes impossible is a bug of the caller.
  void apply(TemplateEvent template_event, common::TimePoint now, Actions& actions);

  Generation generation() const { return generation_; }
  TemplateState state() const { return state_; }
  // Of a back-off, or of the patience with an end that was ordered; nullopt = it may take as long as it likes.
  std::optional<common::TimePoint> deadline() const { return deadline_; }
  common::TimePoint launched_at() const { return launched_at_; }  // the last time
  const RestartPolicy& restart() const { return restart_; }

 private:
  Generation generation_;
  TemplateState state_ = TemplateState::kAbsent;  // written by apply() alone
  std::optional<common::TimePoint> deadline_;
  common::TimePoint launched_at_{};
  common::TimePoint ready_at_{};
  RestartPolicy restart_;
};

}  // namespace master
