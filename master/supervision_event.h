// Event: what happened to the service, as the executor tells it to Supervision.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <variant>

#include "common/clock.h"
#include "common/config.h"
#include "master/recycle_reason.h"
#include "master/worker_id.h"

namespace master {

// How a process ended, as far as it matters for what comes next.
enum class ExitCause {
  kCrashed,      // a signal it got itself into, or a non-zero exit
  kKilled,       // SIGKILL that was not ours: an operator, or the OOM killer
  kStartFailed,  // it said at which stage its start failed, then left
  kFatal,        // a start that fails the same way for ever: io_uring is not permitted
  kClean,        // exit 0
};

enum class TemplatePhase { kLoading, kLoaded };

struct SupervisionSettings {
  common::WorkerSettings workers;  // count is a number here: `auto` has been resolved
  common::RestartSettings restart;
  common::Duration stop_delay{0};  // between a graceful stop that was asked for and its beginning
};

enum class StopKind { kGraceful, kQuick, kImmediate };

// Texts are one line for the operator: "killed by SIGSEGV (core dumped)", "worker_start: no database".
namespace event {

// The first event. The sockets of the configured slots are open: a failure to bind ends the program before.
struct Started {};

struct TemplateReady {
  Generation generation = kFirstGeneration;
};
// Its process is gone, and everything it said before has been told: a worker not Spawned by now is taken as unforked.
struct TemplateLost {
  TemplatePhase phase = TemplatePhase::kLoaded;
  std::string reason;
  Generation generation = kFirstGeneration;
};

// The template forked it. May come after the worker's own WorkerReady.
struct Spawned {
  WorkerId worker = kNoWorker;
  pid_t pid = 0;
};
// No process came of it, and the executor has dropped what it prepared for it.
struct SpawnFailed {
  WorkerId worker = kNoWorker;
  std::string reason;
};
struct WorkerReady {
  WorkerId worker = kNoWorker;
  pid_t pid = 0;  // 0 = event::Spawned tells it
};
struct WorkerExited {
  WorkerId worker = kNoWorker;
  ExitCause cause = ExitCause::kCrashed;
  std::uint64_t requests_served = 0;
  std::string reason;
};

// Each action::OpenSlot is answered by one of these two.
struct SlotOpened {
  SlotIndex slot = 0;
};
struct SlotOpenFailed {
  SlotIndex slot = 0;
  std::string reason;
};

struct RecycleAsked {
  SlotIndex slot = 0;
  WorkerId worker = kNoWorker;  // whom the reason is about; kNoWorker = whoever serves now
  RecycleReason reason = RecycleReason::kManual;
};
struct ScaleAsked {
  std::uint32_t workers = 0;  // brought into 1 to kWorkersMax
};
// The configuration is valid and the sockets of its addresses are open. Answered by action::EndReload.
struct ReloadAsked {
  Generation generation = kFirstGeneration;  // higher than any before
  SupervisionSettings settings;
};
struct StopAsked {
  StopKind kind = StopKind::kGraceful;
};

// next_deadline() has passed. Every other event looks at the deadlines too.
struct Tick {};

}  // namespace event

using Event =
    std::variant<event::Started, event::TemplateReady, event::TemplateLost, event::Spawned, event::SpawnFailed,
                 event::WorkerReady, event::WorkerExited, event::SlotOpened, event::SlotOpenFailed, event::RecycleAsked,
                 event::ScaleAsked, event::ReloadAsked, event::StopAsked, event::Tick>;

}  // namespace master
