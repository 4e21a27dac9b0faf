// The slot machine: one function per state, one line per event.
#include "master/slot_machine.h"

namespace master {
namespace {

using Move = std::optional<SlotMove>;
using enum SlotEffect;

constexpr Move to(SlotState next, SlotEffect effect) { return SlotMove{next, effect}; }
constexpr Move kImpossible = std::nullopt;

Move from_vacant(SlotEvent event) {
  switch (event) {
    case SlotEvent::kWanted: return to(SlotState::kWaiting, kNone);
    case SlotEvent::kUnwanted: return to(SlotState::kVacant, kNone);  // a stop meets slots that scaling left vacant
    case SlotEvent::kForkable:
    case SlotEvent::kRetryDue:
    case SlotEvent::kReplace:
    case SlotEvent::kAwaitedReady:
    case SlotEvent::kAwaitedFailed:
    case SlotEvent::kAwaitedUnforked:
    case SlotEvent::kAwaitedWithdrawn:
    case SlotEvent::kServingLost:
    case SlotEvent::kServingFailed: return kImpossible;  // no worker, no wish for one
  }
  return kImpossible;
}

Move from_waiting(SlotEvent event) {
  switch (event) {
    case SlotEvent::kWanted: return to(SlotState::kWaiting, kNone);
    case SlotEvent::kUnwanted: return to(SlotState::kVacant, kNone);
    case SlotEvent::kForkable: return to(SlotState::kStarting, kAsk);
    case SlotEvent::kRetryDue:
    case SlotEvent::kReplace:
    case SlotEvent::kAwaitedReady:
    case SlotEvent::kAwaitedFailed:
    case SlotEvent::kAwaitedUnforked:
    case SlotEvent::kAwaitedWithdrawn:
    case SlotEvent::kServingLost:
    case SlotEvent::kServingFailed: return kImpossible;  // no worker yet
  }
  return kImpossible;
}

Move from_starting(SlotEvent event) {
  switch (event) {
    case SlotEvent::kWanted: return to(SlotState::kStarting, kNone);
    case SlotEvent::kUnwanted: return to(SlotState::kVacant, kLeave);
    case SlotEvent::kAwaitedReady: return to(SlotState::kReady, kPromote);
    case SlotEvent::kAwaitedFailed: return to(SlotState::kBackoff, kBackOff);
    case SlotEvent::kAwaitedUnforked: return to(SlotState::kWaiting, kRestart);  // the template's fault, not a failure
    case SlotEvent::kAwaitedWithdrawn: return to(SlotState::kWaiting, kWithdraw);
    case SlotEvent::kForkable:
    case SlotEvent::kRetryDue:
    case SlotEvent::kReplace:
    case SlotEvent::kServingLost:
    case SlotEvent::kServingFailed: return kImpossible;  // nobody serves, one is asked for already
  }
  return kImpossible;
}

Move from_ready(SlotEvent event) {
  switch (event) {
    case SlotEvent::kWanted: return to(SlotState::kReady, kNone);
    case SlotEvent::kUnwanted: return to(SlotState::kVacant, kLeave);
    case SlotEvent::kReplace: return to(SlotState::kReplacing, kAsk);
    case SlotEvent::kServingLost: return to(SlotState::kWaiting, kRestart);
    case SlotEvent::kServingFailed: return to(SlotState::kBackoff, kBackOff);
    case SlotEvent::kForkable:
    case SlotEvent::kRetryDue:
    case SlotEvent::kAwaitedReady:
    case SlotEvent::kAwaitedFailed:
    case SlotEvent::kAwaitedUnforked:
    case SlotEvent::kAwaitedWithdrawn: return kImpossible;  // nobody is awaited
  }
  return kImpossible;
}

Move from_replacing(SlotEvent event) {
  switch (event) {
    case SlotEvent::kWanted: return to(SlotState::kReplacing, kNone);
    case SlotEvent::kUnwanted: return to(SlotState::kVacant, kLeave);
    case SlotEvent::kAwaitedReady: return to(SlotState::kReady, kHandOver);
    case SlotEvent::kAwaitedFailed: return to(SlotState::kReady, kAbandon);
    case SlotEvent::kAwaitedUnforked: return to(SlotState::kReady, kPostpone);
    case SlotEvent::kAwaitedWithdrawn: return to(SlotState::kReady, kWithdraw);
    case SlotEvent::kServingLost:
    case SlotEvent::kServingFailed: return to(SlotState::kStarting, kSucceed);  // no back-off: one is on its way
    case SlotEvent::kForkable:
    case SlotEvent::kRetryDue:
    case SlotEvent::kReplace: return kImpossible;  // a slot is in the queue once
  }
  return kImpossible;
}

Move from_backoff(SlotEvent event) {
  switch (event) {
    case SlotEvent::kWanted: return to(SlotState::kBackoff, kNone);  // asking for it again does not shorten the wait
    case SlotEvent::kUnwanted: return to(SlotState::kVacant, kNone);
    case SlotEvent::kRetryDue: return to(SlotState::kWaiting, kNone);
    case SlotEvent::kForkable:
    case SlotEvent::kReplace:
    case SlotEvent::kAwaitedReady:
    case SlotEvent::kAwaitedFailed:
    case SlotEvent::kAwaitedUnforked:
    case SlotEvent::kAwaitedWithdrawn:
    case SlotEvent::kServingLost:
    case SlotEvent::kServingFailed: return kImpossible;  // no worker
  }
  return kImpossible;
}

}  // namespace

std::optional<SlotMove> decide_slot_move(SlotState state, SlotEvent event) {
  switch (state) {
    case SlotState::kVacant: return from_vacant(event);
    case SlotState::kWaiting: return from_waiting(event);
    case SlotState::kStarting: return from_starting(event);
    case SlotState::kReady: return from_ready(event);
    case SlotState::kReplacing: return from_replacing(event);
    case SlotState::kBackoff: return from_backoff(event);
  }
  return kImpossible;
}

}  // namespace master
