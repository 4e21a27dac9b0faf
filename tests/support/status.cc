// Status: from JSON.
#include "support/status.h"

#include "common/json.h"

namespace support {
namespace {

WorkerStatus parse_worker(const common::Json& from) {
  WorkerStatus worker;
  worker.slot = from.at("slot");
  worker.pid = from.at("pid").is_null() ? 0 : from.at("pid").get<pid_t>();  // none while it waits to be restarted
  worker.generation = from.at("generation");
  worker.state = from.at("state");
  worker.age_s = from.at("age_s");
  worker.requests = from.at("requests");
  worker.connections = from.at("connections");
  worker.in_flight = from.at("in_flight");
  worker.rss_bytes = from.at("rss_bytes");
  const common::Json& fds = from.at("fds");
  worker.fds_total = fds.at("total");
  worker.fds_owned = fds.at("owned");
  worker.fds_baseline = fds.at("baseline");
  worker.fds_leaked = fds.at("leaked");
  return worker;
}

Status parse_document(const common::Json& document) {
  Status status;
  const common::Json& master = document.at("master");
  status.master_pid = master.at("pid");
  status.uptime_s = master.at("uptime_s");
  status.generation = master.at("generation");
  status.open_files_soft = master.at("open_files").at("soft");
  status.open_files_hard = master.at("open_files").at("hard");
  status.master_fds = master.at("fds");
  for (const common::Json& listener : document.at("listeners")) {
    status.listeners.push_back({.address = listener.at("address"), .sockets = listener.at("sockets")});
  }
  for (const common::Json& worker : document.at("workers")) status.workers.push_back(parse_worker(worker));
  for (const auto& [reason, count] : document.at("recycled").items()) status.recycled[reason] = count;
  status.served_requests = document.at("served").at("requests");
  status.served_connections = document.at("served").at("connections");
  status.crashed = document.at("restarts").at("crashed");
  status.killed = document.at("restarts").at("killed");
  return status;
}

}  // namespace

std::map<int, WorkerStatus> Status::ready_by_slot() const {
  std::map<int, WorkerStatus> ready;
  for (const WorkerStatus& worker : workers) {
    if (worker.state == "ready") ready[worker.slot] = worker;
  }
  return ready;
}

std::uint64_t Status::recycled_in_all() const {
  std::uint64_t sum = 0;
  for (const auto& [reason, count] : recycled) sum += count;
  return sum;
}

WorkerStatus Status::worker(pid_t pid) const {
  for (const WorkerStatus& worker : workers) {
    if (worker.pid == pid) return worker;
  }
  return {};
}

common::Result<Status> parse_status(std::string_view json) {
  try {
    return parse_document(common::Json::parse(json));
  } catch (const common::Json::exception& error) {
    return common::fail("the status is not what the contract says: " + std::string(error.what()) + ": " +
                        std::string(json));
  }
}

}  // namespace support
