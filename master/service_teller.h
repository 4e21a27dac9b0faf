// ServiceTeller: tells the service manager how the service is, and has it keep our sockets for the next start.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "common/clock.h"
#include "master/counter_store.h"
#include "master/recycle_reason.h"
#include "master/service_notices.h"
#include "master/socket_store.h"
#include "master/systemd.h"

namespace master {

class Listeners;
class ReloadDesk;
class Supervision;
class WorkerTable;

struct ServiceSources {
  const Supervision& supervision;
  const WorkerTable& workers;
  const Listeners& listeners;
  const ReloadDesk& reload;
  const std::string& app_path;  // of the generation that serves
};

class ServiceTeller {
 public:
  // OWNERSHIP: `systemd` outlives it. `stored`, `counters`: as for SocketStore and CounterStore.
  ServiceTeller(Systemd& systemd, StoredSockets stored, KeptCounters counters);

  // Once a turn of the loop, and when next_deadline() has come. Sockets are not followed while the service stops: what
  // is stored then is for whoever is started next.
  void tell(const ServiceSources& sources, common::TimePoint now);
  std::optional<common::TimePoint> next_deadline() const;
  // For the next image, and for `status`.
  const StoredSockets& stored() const { return store_.stored(); }
  int counter_page() const { return counters_.fd(); }

 private:
  static constexpr common::Duration kRetryInterval = std::chrono::milliseconds(100);
  void follow(const ServiceSources& sources, common::TimePoint now);
  void follow_rate(const ServiceSources& sources, common::TimePoint now);
  ServiceNumbers numbers(const ServiceSources& sources);

  Systemd& systemd_;
  SocketStore store_;
  CounterStore counters_;
  ServiceNotices notices_;
  // Words that the manager has had no room for. Until they are out nothing new is thought of: what is said then is what
  // is true then, and one message never grows beyond what a manager reads (4,096 bytes, PIPE_BUF).
  std::string unsent_;
  common::TimePoint retry_at_{};
  std::string status_;
  ServiceSituation::Stage status_stage_ = ServiceSituation::Stage::kStarting;
  std::uint64_t status_reloads_ = 0;  // begun when it was written
  std::optional<common::TimePoint> next_status_;
  std::optional<std::uint64_t> requests_;  // as of requests_at_
  common::TimePoint requests_at_{};
  double requests_per_second_ = 0;
  std::optional<std::array<std::uint64_t, kRecycleReasons>> recycled_;  // as of the status before
  std::string last_recycle_;
};

}  // namespace master
