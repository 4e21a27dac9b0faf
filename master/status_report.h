// StatusReport: the JSON of GET /status, from the master's own views.
#pragma once

#include <unistd.h>

#include "common/json.h"
#include "common/scoreboard.h"
#include "master/close_wait_watch.h"
#include "master/listeners.h"
#include "master/open_files_rule.h"
#include "master/service_teller.h"
#include "master/supervision.h"
#include "master/worker_table.h"

namespace master {

struct StatusSources {
  const Supervision& supervision;
  const WorkerTable& workers;
  const Listeners& listeners;
  const CloseWaitWatch& close_wait;
  const ServiceTeller& service;
  common::Json recycles;  // RecycleReports::to_json()
  common::Json crashes;   // CrashReports::to_json()
  OpenFilesPlan open_files;
  ConnectionBudget budget;
  common::Json reload;    // ReloadDesk::to_json()
  common::Json upgrade;   // UpgradeDesk::to_json()
  Generation generation;
  std::uint32_t workers_min;  // the range in which the number follows the load; the same twice if it does not
  std::uint32_t workers_max;
  common::TimePoint started_at;
};

// The names and units are those of the contract. Reads /proc once per worker.
common::Json report_status(const StatusSources& sources, common::TimePoint now);

}  // namespace master
