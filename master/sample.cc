// Sample: copied from the worker's shared memory, none of which is believed.
#include "master/sample.h"

#include <sys/epoll.h>

#include <algorithm>

namespace master {
namespace {

common::TimePoint past(std::uint64_t nanoseconds, common::TimePoint now) {
  if (nanoseconds >= common::nanoseconds_of(now)) return now;
  return common::TimePoint(std::chrono::nanoseconds(nanoseconds));
}

// An event loop that does not handle a hang-up gets EPOLLHUP or EPOLLRDHUP, or, if it did not ask for that, only
// EPOLLIN; then the socket's state says so, provided that epoll_event.data is the descriptor, as it mostly is.
PollCounts poll_counts(const common::PollWatch& polls, std::span<const int> close_wait_fds) {
  const std::uint32_t events = polls.events.load(std::memory_order_relaxed);
  const std::uint64_t data = polls.data.load(std::memory_order_relaxed);
  const bool is_close_wait = std::any_of(close_wait_fds.begin(), close_wait_fds.end(),
                                         [&](int fd) { return static_cast<std::uint64_t>(fd) == data; });
  return {.returns = polls.returns.load(std::memory_order_relaxed),
          .same = polls.same.load(std::memory_order_relaxed),
          .hang_up = is_close_wait || (events & (EPOLLHUP | EPOLLRDHUP | EPOLLERR)) != 0};
}

}  // namespace

Sample take_sample(const SampleSources& sources, common::TimePoint now) {
  const common::WorkerGauges& gauges = sources.gauges;
  Sample sample{.at = now,
                .fds_total = sources.process.fds,
                .owned = gauges.owned_fds.load(std::memory_order_relaxed),
                .baseline = gauges.baseline_fds.load(std::memory_order_relaxed),
                .rss = sources.process.rss_bytes,
                .requests = gauges.requests.load(std::memory_order_relaxed),
                .quiet_fds = gauges.quiet_fds.load(std::memory_order_relaxed),
                .missing_fds = gauges.missing_fds.load(std::memory_order_relaxed),
                .quiet_at = past(gauges.quiet_at_ns.load(std::memory_order_relaxed), now),
                .turns = gauges.turns.load(std::memory_order_relaxed),
                .in_flight = gauges.in_flight.load(std::memory_order_relaxed),
                .cpu_ns = sources.process.cpu_ns,
                .main_cpu_ns = sources.process.main_cpu_ns,
                .state = sources.process.state,
                .open_files_soft = sources.process.open_files_soft,
                .close_wait = sources.close_wait};
  const std::uint64_t busy = gauges.busy_since_ns.load(std::memory_order_relaxed);
  if (busy != 0) sample.busy_since = past(busy, now);
  if (sources.polls != nullptr) sample.polls = poll_counts(*sources.polls, sources.close_wait_fds);
  return sample;
}

}  // namespace master
