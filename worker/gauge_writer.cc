// GaugeWriter: relaxed stores, and one look at the own descriptors now and then.
#include "worker/gauge_writer.h"

#include <sys/stat.h>

#include <algorithm>

#include "common/log.h"

namespace worker {

void GaugeWriter::write(std::uint64_t turns, common::TimePoint now) {
  record_.turns.store(turns, std::memory_order_relaxed);
  record_.connections.store(server_.connections(), std::memory_order_relaxed);
  record_.in_flight.store(server_.in_flight(), std::memory_order_relaxed);
  note_log(now);
  write_owned();
  server_.publish(now);
  if (now - counted_at_ < quiet_interval_) return;
  counted_at_ = now;
  count_quietly(now);
}

std::uint32_t GaugeWriter::owned_fds() const {
  constexpr std::uint32_t kRingChannelSignals = 3;
  const std::uint32_t log = common::log_descriptor() >= 0 ? 1 : 0;
  return kRingChannelSignals + log + server_.descriptors() + ring_.unsettled_descriptors();
}

// When the application has closed it the ledger has forgotten it, and the number may stand for something of the
// application's by now.
void GaugeWriter::note_log(common::TimePoint now) {
  if (common::log_descriptor() < 0 || ledger_.is_server(common::log_descriptor())) return;
  common::log_open();
  if (common::log_descriptor() >= 0) ledger_.note_server(common::log_descriptor(), common::FdRole::kLog, now);
}

// No handler runs at the end of a turn, so what one opens and closes again is not in this count: the master, which
// looks whenever it likes, cannot tell a burst from a leak.
void GaugeWriter::count_quietly(common::TimePoint now) {
  struct stat directory{};
  // The size is the number of open descriptors since Linux 6.2; before, it is 0, and the master's looks must do.
  if (stat("/proc/self/fd", &directory) < 0 || directory.st_size == 0) return;
  const auto open = static_cast<std::uint32_t>(directory.st_size);
  const std::uint32_t owned = owned_fds();
  record_.quiet_fds.store(open - std::min(open, owned), std::memory_order_relaxed);
  record_.missing_fds.store(owned - std::min(open, owned), std::memory_order_relaxed);
  record_.quiet_at_ns.store(common::nanoseconds_of(now), std::memory_order_relaxed);
}

}  // namespace worker
