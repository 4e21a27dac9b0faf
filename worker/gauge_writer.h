// GaugeWriter: what a worker says of itself in its scoreboard record.
#pragma once

#include <cstdint>

#include "common/clock.h"
#include "common/fd_ledger.h"
#include "common/scoreboard.h"
#include "worker/http_server.h"
#include "worker/ring.h"

namespace worker {

class GaugeWriter {
 public:
  // All references outlive it. `quiet_interval`: how recent the count of quiet_fds has to be.
  GaugeWriter(common::WorkerGauges& record, HttpServer& server, const Ring& ring, const common::FdLedger& ledger,
              common::Duration quiet_interval)
      : record_(record), server_(server), ring_(ring), ledger_(ledger), quiet_interval_(quiet_interval) {
    note_log(common::Clock::now());
  }

  // At the end of the loop's turn number `turns`.
  void write(std::uint64_t turns, common::TimePoint now);
  // As soon as connections were accepted, whose handlers may take their time.
  void write_owned() { record_.owned_fds.store(owned_fds(), std::memory_order_relaxed); }
  // Descriptors that the server itself has open in this process.
  std::uint32_t owned_fds() const;

 private:
  void count_quietly(common::TimePoint now);
  void note_log(common::TimePoint now);

  common::WorkerGauges& record_;
  HttpServer& server_;
  const Ring& ring_;
  const common::FdLedger& ledger_;
  common::Duration quiet_interval_;
  common::TimePoint counted_at_{};
};

}  // namespace worker
