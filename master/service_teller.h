// ServiceTeller: tells the service manager how the service is, and has it keep our sockets for the next start.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "common/clock.h"
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
};

class ServiceTeller {
 public:
  // OWNERSHIP: `systemd` outlives it. `stored`: as for SocketStore.
  ServiceTeller(Systemd& systemd, StoredSockets stored);

  // Once a turn of the loop, and when next_deadline() has come. Sockets are not followed while the service stops: what
  // is stored then is for whoever is started next.
  void tell(const ServiceSources& sources, common::TimePoint now);
  std::optional<common::TimePoint> next_deadline() const;
  const StoredSockets& stored() const { return store_.stored(); }  // for the next image

 private:
  static constexpr common::Duration kRetryInterval = std::chrono::milliseconds(100);
  ServiceNumbers numbers(const ServiceSources& sources, common::TimePoint now);

  Systemd& systemd_;
  SocketStore store_;
  ServiceNotices notices_;
  // Words that the manager has had no room for. Until they are out nothing new is thought of: what is said then is what
  // is true then, and one message never grows beyond what a manager reads (4,096 bytes, PIPE_BUF).
  std::string unsent_;
  common::TimePoint retry_at_{};
  std::string status_;
  common::TimePoint next_status_{};
  // The numbers of the status before.
  std::uint64_t requests_ = 0;
  common::TimePoint requests_at_{};
  std::array<std::uint64_t, kRecycleReasons> recycled_{};
  std::string last_recycle_;
};

}  // namespace master
