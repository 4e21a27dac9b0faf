// LogEvent: what a line of the log is about, under a name that stays when the words change.
//
// For those who filter: "event" in JSON, SUPERVISOR_EVENT in the journal, not shown as text. Never rename one: people's
// alerts depend on it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace common {

enum class LogEvent : std::uint8_t {
  // The service as a whole
  kStarting,
  kReady,  // every worker is
  kCannotStart,  // exit code 1
  kStopDelayed,  // stop.delay has begun
  kStopping,  // workers drain, or are ended
  kStopped,  // the last line
  kGivingUp,  // a crash loop: exit code 3
  kLimitLowered,  // less descriptors or connections than configured
  kRightsMissing,  // capabilities the configuration needs
  kRightsKept,  // root's could not be given up
  kNotifyFailed,  // the service manager does not hear us
  kLogDropped,  // so many records did not get through
  kLogReopened,  // USR1
  kOrphanReaped,
  // The application
  kAppLoaded,
  kAppLog,  // a line of the application's own
  kAppHandlerFailed,  // an exception, no answer, an impossible answer
  kAppStopFailed,
  kAppUsesSelect,
  kTemplateLost,
  kTemplateSilent,
  // A worker's life
  kWorkerReady,
  kWorkerDied,  // unplanned; another takes its place at once
  kWorkerFailed,  // the same, and it is restarted later
  kWorkerDiedDraining,  // and took its requests along
  kWorkerCrashed,  // of a fault: the report, with its stack
  kRequestLost,  // ended in the middle of a request without a fault: the report
  kRequestSuspected,  // the same one was in hand when several workers ended
  kWorkerGaveUp,  // it cannot go on, and says why
  kWorkerDeaf,  // its channel does not work
  kWorkerOrphaned,  // the master is gone
  kPinRefused,  // workers.pin
  kDrainTimedOut,
  kWorkerUnkillable,
  // Planned replacements
  kRecycleLimitReached,
  kRecycleQueued,
  kRecycleStarted,
  kRecycled,
  kRecyclePostponed,
  kRecycleAbandoned,
  kRecycleRefused,
  kScaling,  // the load says so
  kScaled,
  kScaleRefused,
  // Descriptors
  kFdReport,  // what a worker has open, by group
  kFdReportFailed,
  kFdGrowth,  // half of the limit: a report follows
  kFdLimitChanged,  // of a running worker, by somebody else
  kFdTraceOn,
  kFdLeftOpen,  // by the application, at its worker's end
  kCloseWait,  // sockets whose peers have closed
  kCloseWaitUnknown,  // the kernel does not tell
  // Connections and addresses
  kConnectionsFull,
  kClientsLost,
  kAddressInUse,  // waiting for a predecessor to leave
  kSocketsShared,
  kSocketUnused,  // inherited, and nobody asked for it
  kSocketStale,  // from the descriptor store, and of no use
  kCountersStale,  // the same of the counters
  kCountersNotKept,  // for the next start
  kSteeringLimited,
  kBacklogUnchanged,
  // Reload, upgrade
  kReloadStarted,
  kReloadDone,
  kReloadRefused,
  kReloadKeysIgnored,
  kUpgradeStarted,
  kUpgradeDone,
  kUpgradeRefused,
};

inline constexpr std::size_t kLogEvents = static_cast<std::size_t>(LogEvent::kUpgradeRefused) + 1;

// "worker_ready": lower case and underscores.
std::string_view name_of(LogEvent event);

}  // namespace common
