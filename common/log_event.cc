// LogEvent: the table of names.
#include "common/log_event.h"

namespace common {

std::string_view name_of(LogEvent event) {
  switch (event) {
    case LogEvent::kStarting: return "starting";
    case LogEvent::kReady: return "ready";
    case LogEvent::kCannotStart: return "cannot_start";
    case LogEvent::kStopDelayed: return "stop_delayed";
    case LogEvent::kStopping: return "stopping";
    case LogEvent::kStopped: return "stopped";
    case LogEvent::kGivingUp: return "giving_up";
    case LogEvent::kLimitLowered: return "limit_lowered";
    case LogEvent::kRightsMissing: return "rights_missing";
    case LogEvent::kRightsKept: return "rights_kept";
    case LogEvent::kNotifyFailed: return "notify_failed";
    case LogEvent::kLogDropped: return "log_dropped";
    case LogEvent::kLogReopened: return "log_reopened";
    case LogEvent::kOrphanReaped: return "orphan_reaped";
    case LogEvent::kAppLoaded: return "app_loaded";
    case LogEvent::kAppLog: return "app_log";
    case LogEvent::kAppHandlerFailed: return "app_handler_failed";
    case LogEvent::kAppStopFailed: return "app_stop_failed";
    case LogEvent::kAppUsesSelect: return "app_uses_select";
    case LogEvent::kTemplateLost: return "template_lost";
    case LogEvent::kTemplateSilent: return "template_silent";
    case LogEvent::kWorkerReady: return "worker_ready";
    case LogEvent::kWorkerDied: return "worker_died";
    case LogEvent::kWorkerFailed: return "worker_failed";
    case LogEvent::kWorkerDiedDraining: return "worker_died_draining";
    case LogEvent::kWorkerCrashed: return "worker_crashed";
    case LogEvent::kRequestLost: return "request_lost";
    case LogEvent::kRequestSuspected: return "request_suspected";
    case LogEvent::kWorkerGaveUp: return "worker_gave_up";
    case LogEvent::kWorkerDeaf: return "worker_deaf";
    case LogEvent::kWorkerOrphaned: return "worker_orphaned";
    case LogEvent::kPinRefused: return "pin_refused";
    case LogEvent::kDrainTimedOut: return "drain_timed_out";
    case LogEvent::kWorkerUnkillable: return "worker_unkillable";
    case LogEvent::kRecycleLimitReached: return "recycle_limit_reached";
    case LogEvent::kRecycleQueued: return "recycle_queued";
    case LogEvent::kRecycleStarted: return "recycle_started";
    case LogEvent::kRecycled: return "recycled";
    case LogEvent::kRecyclePostponed: return "recycle_postponed";
    case LogEvent::kRecycleAbandoned: return "recycle_abandoned";
    case LogEvent::kRecycleRefused: return "recycle_refused";
    case LogEvent::kScaling: return "scaling";
    case LogEvent::kScaled: return "scaled";
    case LogEvent::kScaleRefused: return "scale_refused";
    case LogEvent::kFdReport: return "fd_report";
    case LogEvent::kFdReportFailed: return "fd_report_failed";
    case LogEvent::kFdGrowth: return "fd_growth";
    case LogEvent::kFdLimitChanged: return "fd_limit_changed";
    case LogEvent::kFdTraceOn: return "fd_trace_on";
    case LogEvent::kFdLeftOpen: return "fd_left_open";
    case LogEvent::kCloseWait: return "close_wait";
    case LogEvent::kCloseWaitUnknown: return "close_wait_unknown";
    case LogEvent::kConnectionsFull: return "connections_full";
    case LogEvent::kClientsLost: return "clients_lost";
    case LogEvent::kAddressInUse: return "address_in_use";
    case LogEvent::kSocketsShared: return "sockets_shared";
    case LogEvent::kSocketUnused: return "socket_unused";
    case LogEvent::kSocketStale: return "socket_stale";
    case LogEvent::kCountersStale: return "counters_stale";
    case LogEvent::kCountersNotKept: return "counters_not_kept";
    case LogEvent::kSteeringLimited: return "steering_limited";
    case LogEvent::kBacklogUnchanged: return "backlog_unchanged";
    case LogEvent::kReloadStarted: return "reload_started";
    case LogEvent::kReloadDone: return "reload_done";
    case LogEvent::kReloadRefused: return "reload_refused";
    case LogEvent::kReloadKeysIgnored: return "reload_keys_ignored";
    case LogEvent::kUpgradeStarted: return "upgrade_started";
    case LogEvent::kUpgradeDone: return "upgrade_done";
    case LogEvent::kUpgradeRefused: return "upgrade_refused";
  }
  return "";
}

}  // namespace common
