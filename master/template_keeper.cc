// TemplateKeeper: what each move of the template machine means in time and in actions.
#include "master/template_keeper.h"

#include <csignal>

#include "common/check.h"
#include "master/worker_record.h"

namespace master {

void TemplateKeeper::apply(TemplateEvent template_event, common::TimePoint now, Actions& actions) {
  const TemplateState was = state_;
  const std::optional<TemplateMove> move = decide_template_move(was, template_event);
  CHECK(move.has_value());
  if (move->next != was) deadline_.reset();
  if (move->next == TemplateState::kReady && was != TemplateState::kReady) ready_at_ = now;
  if (move->next == TemplateState::kKilled && was != TemplateState::kKilled) deadline_ = now + kKillPatience;
  state_ = move->next;
  switch (move->effect) {
    case TemplateEffect::kNone: return;
    case TemplateEffect::kLaunch:
      launched_at_ = now;
      actions.emplace_back(action::StartTemplate{generation_});
      return;
    case TemplateEffect::kTerminate:
      deadline_ = now + kClosePatience;
      actions.emplace_back(action::StopTemplate{generation_, SIGTERM});
      return;
    case TemplateEffect::kKill: actions.emplace_back(action::StopTemplate{generation_, SIGKILL}); return;
    case TemplateEffect::kBackOff:
      if (was == TemplateState::kReady && now - ready_at_ >= kHealthyAge) restart_.on_success();
      deadline_ = now + restart_.on_failure(now);
      return;
  }
}

}  // namespace master
