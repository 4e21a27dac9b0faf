// Supervision: the phases of the service and the template; everything about workers is the fleet's.
#include "master/supervision.h"

#include <algorithm>
#include <csignal>
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

}  // namespace

Supervision::Supervision(const SupervisionSettings& settings)
    : settings_(settings), template_restart_(settings_.restart), fleet_(settings_.workers, settings_.restart) {
  CHECK(settings_.workers.count >= 1 && settings_.workers.count <= common::kWorkersMax);
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
  if (template_deadline_ && *template_deadline_ <= now) apply(TemplateEvent::kDeadline, turn);
  if (turn.template_silent_about) {
    turn.act(action::Note{.kind = NoteKind::kTemplateSilent,
                          .slot = turn.template_silent_about->slot,
                          .worker = turn.template_silent_about->id});
    apply(TemplateEvent::kUnresponsive, turn);
  }
  const std::vector<Failure> failures = std::exchange(turn.failures, {});
  for (const Failure& failure : failures) judge(failure, turn);
  settle(turn);
}

std::optional<common::TimePoint> Supervision::next_deadline() const {
  if (phase_ == Phase::kFinished) return std::nullopt;
  const std::optional<common::TimePoint> fleet = fleet_.next_deadline();
  if (!template_deadline_ || !fleet) return template_deadline_ ? template_deadline_ : fleet;
  return std::min(*template_deadline_, *fleet);
}

void Supervision::on(const event::Started&, Turn& turn) {
  if (phase_ != Phase::kIdle) return;
  phase_ = Phase::kStartUp;
  fleet_.begin(settings_.workers.count, turn);
  apply(TemplateEvent::kStart, turn);
}

void Supervision::on(const event::TemplateReady&, Turn& turn) { apply(TemplateEvent::kReady, turn); }

void Supervision::on(const event::TemplateLost& lost, Turn& turn) {
  const TemplateState was = template_;
  if (was == TemplateState::kReady && turn.now - template_ready_at_ >= kHealthyAge) template_restart_.on_success();
  apply(TemplateEvent::kLost, turn);
  fleet_.on_template_lost(turn);
  if (template_ == TemplateState::kBackoff && was != TemplateState::kBackoff) judge(lost, turn);
}

void Supervision::on(const event::Spawned& spawned, Turn&) { fleet_.on(spawned); }
void Supervision::on(const event::SpawnFailed& failed, Turn& turn) { fleet_.on(failed, turn); }
void Supervision::on(const event::WorkerReady& ready, Turn& turn) { fleet_.on(ready, turn); }
void Supervision::on(const event::WorkerExited& exited, Turn& turn) { fleet_.on(exited, turn); }
void Supervision::on(const event::SlotOpened& opened, Turn&) { fleet_.on(opened); }
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

void Supervision::on(const event::StopAsked& asked, Turn& turn) {
  const Phase next = decide_stop(phase_, asked.kind);
  if (next != phase_) stop(next, turn);
}

void Supervision::on(const event::Tick&, Turn&) {}

// The only writer of template_.
void Supervision::apply(TemplateEvent template_event, Turn& turn) {
  const std::optional<TemplateMove> move = decide_template_move(template_, template_event);
  CHECK(move.has_value());
  if (move->next != template_) template_deadline_.reset();
  if (move->next == TemplateState::kReady && template_ != TemplateState::kReady) template_ready_at_ = turn.now;
  if (move->next == TemplateState::kKilled && template_ != TemplateState::kKilled) {
    template_deadline_ = turn.now + kKillPatience;
  }
  template_ = move->next;
  switch (move->effect) {
    case TemplateEffect::kNone: return;
    case TemplateEffect::kLaunch: turn.act(action::StartTemplate{}); return;
    case TemplateEffect::kTerminate:
      template_deadline_ = turn.now + kClosePatience;
      turn.act(action::StopTemplate{SIGTERM});
      return;
    case TemplateEffect::kKill: turn.act(action::StopTemplate{SIGKILL}); return;
    case TemplateEffect::kBackOff: template_deadline_ = turn.now + template_restart_.on_failure(turn.now); return;
  }
}

// Before the service was ready as a whole, failures count however far apart they are, and ready siblings do not
// outweigh them: a start that cannot be completed is told to whoever waits for it. Later, one ready worker is reason
// enough to go on trying for ever.
void Supervision::judge(const Failure& failure, Turn& turn) {
  const RestartPolicy& restart = fleet_.restart_of(failure.slot);
  const std::string slot = "slot " + std::to_string(failure.slot);
  if (phase_ == Phase::kStartUp && failure.cause == ExitCause::kFatal) {
    give_up(1, failure.reason, turn);
  } else if (phase_ == Phase::kStartUp && restart.exhausted() && !fleet_.serves(failure.slot)) {
    give_up(3, slot + start_loop_text(settings_.restart) + failure.reason, turn);
  } else if (phase_ == Phase::kServing && restart.loops(turn.now) && fleet_.ready() == 0) {
    give_up(3, "no worker is ready and " + slot + crash_loop_text(settings_.restart) + failure.reason, turn);
  }
}

void Supervision::judge(const event::TemplateLost& lost, Turn& turn) {
  if (phase_ == Phase::kStartUp && lost.phase == TemplatePhase::kLoading) {
    give_up(1, lost.reason, turn);
  } else if (phase_ == Phase::kStartUp && template_restart_.exhausted()) {
    give_up(3, "the template" + start_loop_text(settings_.restart) + lost.reason, turn);
  } else if (phase_ == Phase::kServing && template_restart_.loops(turn.now) && fleet_.ready() == 0) {
    give_up(3, "no worker is ready and the template" + crash_loop_text(settings_.restart) + lost.reason, turn);
  } else {
    turn.act(action::Note{.kind = NoteKind::kTemplateRestart, .delay = template_restart_.delay(), .text = lost.reason});
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
  turn.leave = leave_in(phase);
  apply(phase == Phase::kStopImmediate ? TemplateEvent::kKill : TemplateEvent::kStop, turn);
  fleet_.dismiss(turn);
}

void Supervision::settle(Turn& turn) {
  switch (phase_) {
    case Phase::kStartUp:
    case Phase::kServing:
      fleet_.settle(template_ == TemplateState::kReady ? Fleet::Forking::kPossible : Fleet::Forking::kImpossible, turn);
      if (phase_ == Phase::kStartUp && fleet_.ready() == fleet_.wanted()) {
        phase_ = Phase::kServing;
        turn.act(action::ReportReady{});
      }
      return;
    case Phase::kStopGraceful:
    case Phase::kStopQuick:
    case Phase::kStopImmediate:
      if (template_ != TemplateState::kGone || !fleet_.is_gone()) return;
      phase_ = Phase::kFinished;
      turn.act(action::Finish{exit_code_, exit_reason_});
      return;
    case Phase::kIdle:
    case Phase::kFinished: return;
  }
}

}  // namespace master
