// Supervision: the phases of the service and the template; everything about workers is the fleet's.
#include "master/supervision.h"

#include <algorithm>
#include <ranges>
#include <utility>
#include <variant>

#include "common/check.h"

namespace master {
namespace {

Leave leave_in(Phase phase) {
  switch (phase) {
    case Phase::kIdle:
    case Phase::kStartUp:
    case Phase::kServing:
    case Phase::kStopDelayed:
    case Phase::kStopGraceful: return Leave::kDrain;
    case Phase::kStopQuick: return Leave::kClose;
    case Phase::kStopImmediate:
    case Phase::kFinished: return Leave::kKill;
  }
  return Leave::kKill;
}

Phase wished(StopKind kind) {
  switch (kind) {
    case StopKind::kGraceful: return Phase::kStopGraceful;
    case StopKind::kQuick: return Phase::kStopQuick;
    case StopKind::kImmediate: return Phase::kStopImmediate;
  }
  return Phase::kStopImmediate;
}

// Stops only ever get quicker; the second quick one is immediate.
Phase decide_stop(Phase phase, StopKind kind) {
  switch (phase) {
    case Phase::kIdle:
    case Phase::kStartUp:
    case Phase::kServing:
    case Phase::kStopDelayed:
    case Phase::kStopGraceful: return wished(kind);
    case Phase::kStopQuick: return kind == StopKind::kGraceful ? Phase::kStopQuick : Phase::kStopImmediate;
    case Phase::kStopImmediate:
    case Phase::kFinished: return phase;
  }
  return phase;
}

std::string start_loop_text(const common::RestartSettings& restart) {
  return " failed " + std::to_string(restart.failures_max) +
         " times before the service was ready (restart.failures_max); the last time: ";
}

std::string crash_loop_text(const common::RestartSettings& restart) {
  return " failed " + std::to_string(restart.failures_max) + " times within restart.window = " +
         std::to_string(std::chrono::duration_cast<std::chrono::seconds>(restart.window).count()) +
         "s (restart.failures_max); the last time: ";
}

bool is_gone(const TemplateKeeper& keeper) { return keeper.state() == TemplateState::kGone; }

}  // namespace

Supervision::Supervision(const SupervisionSettings& settings, const Counters& earlier)
    : settings_(settings), fleet_(settings_.workers, settings_.restart, earlier) {
  CHECK(settings_.workers.count >= 1 && settings_.workers.count <= common::kWorkersMax);
  templates_.try_emplace(kFirstGeneration, kFirstGeneration, settings_.restart);
}

Actions Supervision::step(const Event& event, common::TimePoint now) {
  Actions actions;
  step(event, now, actions);
  return actions;
}

// The event first, then the deadlines: a worker that is ready just in time is not killed for being late.
void Supervision::step(const Event& event, common::TimePoint now, Actions& actions) {
  if (phase_ == Phase::kFinished) return;
  Turn turn{.now = now, .actions = actions, .leave = leave_in(phase_)};
  std::visit([&](const auto& it) { on(it, turn); }, event);
  fleet_.expire(turn);
  expire_templates(turn);
  expire_load(turn);
  if (stop_at_ && *stop_at_ <= now) stop(Phase::kStopGraceful, turn);
  const std::vector<Failure> failures = std::exchange(turn.failures, {});
  for (const Failure& failure : failures) judge(failure, turn);
  settle(turn);
}

std::optional<common::TimePoint> Supervision::next_deadline() const {
  if (phase_ == Phase::kFinished) return std::nullopt;
  std::optional<common::TimePoint> next = fleet_.next_deadline();
  for (const auto& other : {stop_at_, load_deadline()}) {
    if (other && (!next || *other < *next)) next = other;
  }
  for (const TemplateKeeper& keeper : templates_ | std::views::values) {
    if (keeper.deadline() && (!next || *keeper.deadline() < *next)) next = keeper.deadline();
  }
  return next;
}

void Supervision::on(const event::Started&, Turn& turn) {
  if (phase_ != Phase::kIdle) return;
  phase_ = Phase::kStartUp;
  fleet_.begin(settings_.workers.count, turn);
  keeper(fleet_.generation()).apply(TemplateEvent::kStart, turn.now, turn.actions);
}

void Supervision::on(const event::TemplateReady& ready, Turn& turn) {
  if (!templates_.contains(ready.generation)) return;
  TemplateKeeper& its = keeper(ready.generation);
  const bool was_loading = its.state() == TemplateState::kLoading;  // it may say so twice
  its.apply(TemplateEvent::kReady, turn.now, turn.actions);
  if (was_loading) longest_load_ = std::max(longest_load_, turn.now - its.launched_at());
  if (was_loading && rollout_ && rollout_->generation == ready.generation) {
    fleet_.begin_rollout(ready.generation, rollout_->settings);
  }
}

void Supervision::on(const event::TemplateLost& lost, Turn& turn) {
  if (!templates_.contains(lost.generation)) return;
  TemplateKeeper& its = keeper(lost.generation);
  const TemplateState was = its.state();
  its.apply(TemplateEvent::kLost, turn.now, turn.actions);
  fleet_.on_template_lost(lost.generation, turn);
  if (its.state() == TemplateState::kBackoff && was != TemplateState::kBackoff) judge(lost, turn);
}

void Supervision::on(const event::Spawned& spawned, Turn&) { fleet_.on(spawned); }
void Supervision::on(const event::SpawnFailed& failed, Turn& turn) { fleet_.on(failed, turn); }
void Supervision::on(const event::WorkerReady& ready, Turn& turn) { fleet_.on(ready, turn); }
void Supervision::on(const event::WorkerExited& exited, Turn& turn) { fleet_.on(exited, turn); }
void Supervision::on(const event::SlotOpened& opened, Turn& turn) { fleet_.on(opened, turn); }
void Supervision::on(const event::SlotOpenFailed& failed, Turn& turn) { fleet_.on(failed, turn); }

void Supervision::on(const event::RecycleAsked& asked, Turn& turn) {
  if (is_active()) fleet_.on(asked, turn);  // else all are leaving
}

void Supervision::on(const event::ScaleAsked& asked, Turn& turn) {
  if (!is_active()) return;
  const std::uint32_t before = fleet_.wanted();
  fleet_.scale(asked.workers, turn);
  if (fleet_.wanted() == before) return;
  turn.act(action::Note{.kind = NoteKind::kScaled, .workers = fleet_.wanted()});
}

void Supervision::on(const event::ReloadAsked& asked, Turn& turn) {
  const auto refuse = [&](std::string_view why) {
    turn.act(action::EndReload{.generation = asked.generation, .error = std::string(why)});
  };
  if (rollout_) return refuse("another reload is under way");
  if (phase_ != Phase::kServing) return refuse("the service is not ready yet, or about to stop");
  if (templates_.contains(asked.generation)) return refuse("the generation exists already");
  rollout_.emplace(Rollout{.generation = asked.generation,
                           .settings = asked.settings,
                           .loaded_by = turn.now + decide_load_patience(asked.settings.workers.start_timeout)});
  templates_.try_emplace(asked.generation, asked.generation, asked.settings.restart);
  keeper(asked.generation).apply(TemplateEvent::kStart, turn.now, turn.actions);
}

void Supervision::on(const event::StopAsked& asked, Turn& turn) {
  if (phase_ == Phase::kStopDelayed && asked.kind == StopKind::kGraceful) return;  // it is coming
  const Phase next = decide_stop(phase_, asked.kind);
  if (phase_ == Phase::kServing && next == Phase::kStopGraceful && settings_.stop_delay > common::Duration::zero()) {
    phase_ = Phase::kStopDelayed;
    stop_at_ = turn.now + settings_.stop_delay;
    return;
  }
  if (next != phase_) stop(next, turn);
}

void Supervision::on(const event::Tick&, Turn&) {}

// Before the service was ready as a whole, failures count however far apart they are, and ready siblings do not
// outweigh them: a start that cannot be completed is told to whoever waits for it. Later, one ready worker is reason
// enough to go on trying for ever.
void Supervision::judge(const Failure& failure, Turn& turn) {
  if (!is_active()) return;  // a stop has begun in this very step
  if (rollout_ && rollout_->generation == failure.generation) {
    return refuse_rollout("the worker in slot " + std::to_string(failure.slot) + " failed: " + failure.reason, turn);
  }
  const RestartPolicy& restart = fleet_.restart_of(failure.slot);
  const std::string slot = "slot " + std::to_string(failure.slot);
  if (phase_ == Phase::kStartUp && failure.cause == ExitCause::kFatal) {
    give_up(1, failure.reason, turn);
  } else if (phase_ == Phase::kStartUp && restart.exhausted() && !fleet_.serves(failure.slot)) {
    give_up(3, slot + start_loop_text(settings_.restart) + failure.reason, turn);
  } else if (phase_ != Phase::kStartUp && restart.loops(turn.now) && fleet_.ready() == 0) {
    give_up(3, "no worker is ready and " + slot + crash_loop_text(settings_.restart) + failure.reason, turn);
  }
}

void Supervision::judge(const event::TemplateLost& lost, Turn& turn) {
  if (rollout_ && rollout_->generation == lost.generation) return refuse_rollout(lost.reason, turn);
  const RestartPolicy& restart = keeper(lost.generation).restart();
  if (phase_ == Phase::kStartUp && lost.phase == TemplatePhase::kLoading) {
    give_up(1, lost.reason, turn);
  } else if (phase_ == Phase::kStartUp && restart.exhausted()) {
    give_up(3, "the template" + start_loop_text(settings_.restart) + lost.reason, turn);
  } else if (phase_ != Phase::kStartUp && restart.loops(turn.now) && fleet_.ready() == 0) {
    give_up(3, "no worker is ready and the template" + crash_loop_text(settings_.restart) + lost.reason, turn);
  } else {
    turn.act(action::Note{.kind = NoteKind::kTemplateRestart, .delay = restart.delay(), .text = lost.reason});
  }
}

// Quick: what is still there is a service that does not work, and whoever starts it again should not have to wait.
void Supervision::give_up(int exit_code, std::string reason, Turn& turn) {
  exit_code_ = exit_code;
  exit_reason_ = std::move(reason);
  turn.act(action::Note{.kind = NoteKind::kGivingUp, .text = exit_reason_});
  stop(Phase::kStopQuick, turn);
}

// The template first: what it has not forked by now is not to be forked.
void Supervision::stop(Phase phase, Turn& turn) {
  phase_ = phase;
  stop_at_.reset();
  turn.leave = leave_in(phase);
  const TemplateEvent order = phase == Phase::kStopImmediate ? TemplateEvent::kKill : TemplateEvent::kStop;
  for (TemplateKeeper& its : templates_ | std::views::values) its.apply(order, turn.now, turn.actions);
  if (rollout_) {
    turn.act(action::EndReload{.generation = rollout_->generation, .error = "the service stops"});
    rollout_.reset();
  }
  fleet_.dismiss(turn);
}

void Supervision::settle(Turn& turn) {
  switch (phase_) {
    case Phase::kStartUp:
    case Phase::kServing:
    case Phase::kStopDelayed:
      settle_fleet(turn);
      if (rollout_ && fleet_.is_rolled_out()) {
        commit_rollout(turn);
        settle_fleet(turn);  // the number of workers may have changed
      }
      if (phase_ == Phase::kStartUp && fleet_.ready() == fleet_.wanted()) {
        phase_ = Phase::kServing;
        turn.act(action::ReportReady{});
      }
      return;
    case Phase::kStopGraceful:
    case Phase::kStopQuick:
    case Phase::kStopImmediate:
      if (!std::ranges::all_of(templates_ | std::views::values, is_gone) || !fleet_.is_gone()) return;
      phase_ = Phase::kFinished;
      turn.act(action::Finish{exit_code_, exit_reason_});
      return;
    case Phase::kIdle:
    case Phase::kFinished: return;
  }
}

}  // namespace master
