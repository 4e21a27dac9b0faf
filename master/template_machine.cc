// The template machine: one function per event, one line per state.
#include "master/template_machine.h"

namespace master {
namespace {

using Move = std::optional<TemplateMove>;
using State = TemplateState;
using enum TemplateEffect;

constexpr Move to(State next, TemplateEffect effect = kNone) { return TemplateMove{next, effect}; }
constexpr Move kImpossible = std::nullopt;

Move on_ready(State state) {
  switch (state) {
    case State::kLoading: return to(State::kReady);
    case State::kAbsent:
    case State::kReady:
    case State::kBroken:
    case State::kBackoff:
    case State::kTerminating:
    case State::kKilled:
    case State::kGone: return to(state);  // said twice, or too late to matter
  }
  return kImpossible;
}

Move on_lost(State state) {
  switch (state) {
    case State::kLoading:
    case State::kReady:
    case State::kBroken: return to(State::kBackoff, kBackOff);
    case State::kTerminating:
    case State::kKilled: return to(State::kGone);
    case State::kAbsent:
    case State::kBackoff:
    case State::kGone: return to(state);  // both its channel and its pid may tell of one death
  }
  return kImpossible;
}

Move on_unresponsive(State state) {
  switch (state) {
    case State::kReady: return to(State::kBroken, kKill);
    case State::kBroken:
    case State::kTerminating:
    case State::kKilled: return to(state);  // dealt with already
    case State::kAbsent:
    case State::kLoading:
    case State::kBackoff:
    case State::kGone: return kImpossible;  // nothing unforked is left over from an earlier template
  }
  return kImpossible;
}

Move on_stop(State state) {
  switch (state) {
    case State::kLoading:
    case State::kReady: return to(State::kTerminating, kTerminate);
    case State::kBroken: return to(State::kKilled);
    case State::kAbsent:
    case State::kBackoff: return to(State::kGone);
    case State::kTerminating:
    case State::kKilled:
    case State::kGone: return to(state);
  }
  return kImpossible;
}

Move on_kill(State state) {
  switch (state) {
    case State::kLoading:
    case State::kReady:
    case State::kTerminating: return to(State::kKilled, kKill);
    case State::kBroken: return to(State::kKilled);
    case State::kAbsent:
    case State::kBackoff: return to(State::kGone);
    case State::kKilled:
    case State::kGone: return to(state);
  }
  return kImpossible;
}

Move on_deadline(State state) {
  switch (state) {
    case State::kBackoff: return to(State::kLoading, kLaunch);
    case State::kTerminating: return to(State::kKilled, kKill);
    case State::kKilled: return to(State::kGone);  // stuck in the kernel: a stop must end all the same
    case State::kAbsent:
    case State::kLoading:
    case State::kReady:
    case State::kBroken:
    case State::kGone: return kImpossible;  // these have no deadline
  }
  return kImpossible;
}

}  // namespace

std::optional<TemplateMove> decide_template_move(TemplateState state, TemplateEvent event) {
  switch (event) {
    case TemplateEvent::kStart: return state == State::kAbsent ? to(State::kLoading, kLaunch) : kImpossible;
    case TemplateEvent::kReady: return on_ready(state);
    case TemplateEvent::kLost: return on_lost(state);
    case TemplateEvent::kUnresponsive: return on_unresponsive(state);
    case TemplateEvent::kStop: return on_stop(state);
    case TemplateEvent::kKill: return on_kill(state);
    case TemplateEvent::kDeadline: return on_deadline(state);
  }
  return kImpossible;
}

}  // namespace master
