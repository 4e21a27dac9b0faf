// Action: what Supervision wants done, in the order in which it wants it done.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "common/clock.h"
#include "master/recycle_reason.h"
#include "master/worker_id.h"

namespace master {

enum class NoteKind {
  kRestartNow,            // slot, worker, text: a healthy worker died
  kRestartLater,          // slot, worker, delay, text: a start failed, or a worker died too young
  kSuccessorTakesOver,    // slot, worker (the successor), text: the old one died before its replacement was ready
  kLeaverCrashed,         // slot, worker, text: a worker told to drain died badly; its requests are lost
  kReplacementQueued,     // slot, worker (to be replaced), reason
  kReplacementStarted,    // slot, worker (the successor), reason
  kReplacementDone,       // slot, worker (the old one, draining from now), reason
  kReplacementPostponed,  // slot, worker, reason: the template went away before it forked the successor
  kReplacementAbandoned,  // slot, worker, reason, delay (not again before, unless by hand), text
  kRecycleRefused,        // slot, reason kManual: no worker serves there now
  kDrainTimedOut,         // slot, worker: killed after workers.stop_timeout
  kUnkillable,            // slot, worker: SIGKILL did not end it; nobody waits for it any more
  kTemplateRestart,       // delay, text
  kTemplateSilent,        // slot, worker: it did not fork in time, and is killed
  kScaled,                // workers
  kScaleRefused,          // slot, workers (what it stays at), text: its sockets could not be opened
  kGivingUp,              // text
};

// What a worker that drains does with the connections that wait in the queue of its slot.
enum class Queue {
  kLeave,  // they are its successor's
  kEmpty,  // there will be none: it accepts them all before it accepts no more
};

namespace action {

struct StartTemplate {
  Generation generation = kFirstGeneration;
};
// TERM first, KILL when that is not heeded. The answer is event::TemplateLost.
struct StopTemplate {
  Generation generation = kFirstGeneration;
  int signal = 0;
};

// Have the template of `generation` fork `worker` on the sockets of `slot`.
struct Spawn {
  WorkerId worker = kNoWorker;
  SlotIndex slot = 0;
  Generation generation = kFirstGeneration;
};
// Accept no more, finish, leave. A worker that is not forked yet finds this as the first word on its channel.
struct Drain {
  WorkerId worker = kNoWorker;
  Queue queue = Queue::kLeave;
};
// Only for workers that are known to be forked. SIGTERM = close every connection now, SIGKILL = the end.
struct Kill {
  WorkerId worker = kNoWorker;
  int signal = 0;
};
// Close the channel of a worker that was asked for and, as far as we know, never forked. Should it exist after all,
// it reads the end of its channel and leaves; its later events are ignored.
struct Forget {
  WorkerId worker = kNoWorker;
};

// Slots are opened upwards and closed from the highest down: the kernel's group index stays the slot number.
struct OpenSlot {
  SlotIndex slot = 0;
};
// No new connections for the slot from now on, if the kernel can be told so: it is going to be closed.
struct RetireSlot {
  SlotIndex slot = 0;
};
// It is wanted again, before it was closed.
struct KeepSlot {
  SlotIndex slot = 0;
};
// No worker of the slot is left. What waits in its queue still has to be handed to others before.
struct CloseSlot {
  SlotIndex slot = 0;
};

// Once: every configured worker is ready for the first time.
struct ReportReady {};

// Every slot is served by `generation`; what went with the one before it (configuration, addresses) has no user left
// but workers that drain.
struct CommitReload {
  Generation generation = kFirstGeneration;
};
// The answer to event::ReloadAsked: after CommitReload, or with the reason why everything stays as it was.
struct EndReload {
  Generation generation = kFirstGeneration;
  std::string error{};
};

// Something to log, once, and nothing to do. Which members are set stands at NoteKind.
struct Note {
  NoteKind kind = NoteKind::kGivingUp;
  SlotIndex slot = 0;
  WorkerId worker = kNoWorker;
  std::uint32_t workers = 0;
  common::Duration delay{0};
  std::optional<RecycleReason> reason{};
  std::string text{};
};

// The last action ever: no process of ours is left (but for unkillable ones).
struct Finish {
  int exit_code = 0;
  std::string reason;  // empty when stopped as asked
};

}  // namespace action

using Action = std::variant<action::StartTemplate, action::StopTemplate, action::Spawn, action::Drain, action::Kill,
                            action::Forget, action::OpenSlot, action::RetireSlot, action::KeepSlot, action::CloseSlot,
                            action::ReportReady, action::CommitReload, action::EndReload, action::Note, action::Finish>;

using Actions = std::vector<Action>;

}  // namespace master
