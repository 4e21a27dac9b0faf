// Status: the answer of GET /status as a test reads it.
//
// parse_status() insists on every member that the contract promises: one that is missing or of another type is an
// error that names it.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"

namespace support {

struct WorkerStatus {
  int slot = -1;
  pid_t pid = 0;
  int generation = 0;
  std::string state;  // starting ready draining stopping backoff
  double age_s = 0;
  std::uint64_t requests = 0;
  std::uint64_t connections = 0;
  std::uint64_t in_flight = 0;
  std::uint64_t rss_bytes = 0;
  std::int64_t fds_total = 0;
  std::int64_t fds_owned = 0;
  std::int64_t fds_baseline = 0;
  std::int64_t fds_leaked = 0;
};

struct ListenerStatus {
  std::string address;
  int sockets = 0;
};

struct Status {
  pid_t master_pid = 0;
  double uptime_s = 0;
  int generation = 0;
  std::uint64_t open_files_soft = 0;
  std::uint64_t open_files_hard = 0;
  std::uint64_t master_fds = 0;
  std::vector<ListenerStatus> listeners;
  std::vector<WorkerStatus> workers;
  std::map<std::string, std::uint64_t> recycled;  // by reason
  std::uint64_t served_requests = 0;  // since the service was first started
  std::uint64_t served_connections = 0;
  std::uint64_t crashed = 0;
  std::uint64_t killed = 0;

  std::map<int, WorkerStatus> ready_by_slot() const;
  std::uint64_t recycled_in_all() const;
  // The worker with this pid, or one with slot -1.
  WorkerStatus worker(pid_t pid) const;
};

common::Result<Status> parse_status(std::string_view json);

}  // namespace support
