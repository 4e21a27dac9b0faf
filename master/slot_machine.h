// The slot machine: the states of a position, and what each event makes of each of them.
#pragma once

#include <optional>

namespace master {

// A slot has at most one *serving* worker and at most one *awaited* one, which was asked for and is not ready yet.
// Workers told to leave belong to no slot's future; they are not seen here.
//
//            wanted            forkable             awaited ready
//   vacant ---------> waiting ----------> starting ---------------> ready <---------------------+
//     ^                ^   ^                |    ^                  |   |                       | awaited ready, failed
//     | unwanted       |   | retry due      |    | serving lost     |   |        replace        | or never forked
//     | (from any)     |   |                |    +------------------|---|----- replacing <------+
//                      |  backoff <---------+                       |   +--------> (serving + awaited)
//                      |   ^     awaited failed                     |
//                      |   +----------------------------------------+ serving failed (died too young)
//                      +--------------------------------------------+ serving lost (died healthy)
enum class SlotState {
  kVacant,  // no worker is wanted here
  kWaiting,  // wants one; the sockets or the template are not there yet
  kStarting,  // awaited
  kReady,  // serving
  kReplacing,  // serving and awaited
  kBackoff,  // wants one, but not before a certain time
};

enum class SlotEvent {
  kWanted,  // the slot is within the configured number
  kUnwanted,  // it no longer is, or the service stops
  kForkable,  // sockets and template are there
  kRetryDue,  // the back-off is over
  kReplace,  // its turn in the replacement queue
  kAwaitedReady,  //
  kAwaitedFailed,  // died, was not ready in time, or could not be forked
  kAwaitedUnforked,  // the template went away before it had forked it
  kAwaitedWithdrawn,  // its generation is not wanted any more
  kServingLost,  // died healthy
  kServingFailed,  // died too young
};

enum class SlotEffect {
  kNone,
  kAsk,  // ask the template for a worker, which is awaited from now
  kPromote,  // the awaited one serves
  kHandOver,  // the awaited one serves, the serving one drains
  kRestart,  // nobody serves: ask again as soon as possible
  kBackOff,  // nobody serves: ask again later
  kAbandon,  // the replacement failed: the serving one stays
  kPostpone,  // the replacement could not begin: it keeps its place
  kWithdraw,  // the awaited one leaves
  kSucceed,  // the serving one is gone: its successor is now simply the one waited for
  kLeave,  // serving and awaited leave
};

struct SlotMove {
  SlotState next;
  SlotEffect effect;

  bool operator==(const SlotMove&) const = default;
};

// Total over (state, event); nullopt = cannot happen, so a caller that meets it has a bug.
std::optional<SlotMove> decide_slot_move(SlotState state, SlotEvent event);

}  // namespace master
