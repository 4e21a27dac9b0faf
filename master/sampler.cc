// Sampler: measuring, and the calls of the policies.
#include "master/sampler.h"

#include <algorithm>

#include "common/log.h"
#include "master/accept_queue.h"
#include "master/socket_diag.h"
#include "master/trace_policy.h"

namespace master {
namespace {

void log_decision(const WorkerEntry& entry, const RecycleDecision& decision) {
  common::log(common::LogLevel::kWarn, common::LogEvent::kRecycleLimitReached, "worker has reached a recycle limit",
              {{"slot", entry.slot},
               {"pid", entry.pid},
               {"recycle", name_of(decision.reason)},
               {"threshold", decision.threshold},
               {"measured", static_cast<std::uint64_t>(decision.measured)},
               {"limit", static_cast<std::uint64_t>(decision.limit)},
               common::LogField::to_filter_by("reason", name_of(decision.reason)),
               common::LogField::to_filter_by("generation", entry.generation)});
}

}  // namespace

Sampler::Sampler(const common::Config& config, const OpenFilesPlan& open_files, WorkerTable& workers)
    : config_(config),
      workers_(workers),
      rules_{
          .recycle = config.recycle, .hang_timeout = config.workers.hang_timeout, .open_files_soft = open_files.soft},
      close_wait_(list_close_wait) {}

void Sampler::follow(const common::Config& config) {
  rules_.recycle = config.recycle;
  rules_.hang_timeout = config.workers.hang_timeout;
}

std::vector<Finding> Sampler::look(std::span<const WorkerView> views, pid_t template_pid, common::TimePoint now) {
  look_at_close_wait(template_pid, now);
  measure_one_pss(now);
  std::vector<Finding> findings;
  for (const WorkerView& view : views) {
    if (view.state != VisibleState::kReady || !view.ready_at || view.recycle_planned) continue;
    WorkerEntry* entry = workers_.find(view.worker);
    if (entry == nullptr || entry->pid == 0) continue;
    if (auto finding = judge(view, *entry, now)) findings.push_back(std::move(*finding));
  }
  return findings;
}

void Sampler::look_at_close_wait(pid_t template_pid, common::TimePoint now) {
  std::vector<SocketHolder> holders;
  if (template_pid > 0) holders.push_back({.id = kNoWorker, .pid = template_pid, .ledger = {}});
  for (const auto& [id, entry] : workers_) {
    if (entry.pid > 0) holders.push_back({.id = id, .pid = entry.pid, .ledger = entry.memory.ledger()});
  }
  if (const auto news = close_wait_.look(holders, now))
    common::log(common::LogLevel::kWarn, common::LogEvent::kCloseWaitUnknown, *news);
}

std::optional<Finding> Sampler::judge(const WorkerView& view, WorkerEntry& entry, common::TimePoint now) {
  const auto process = sample_process(entry.pid);
  if (!process) return std::nullopt;  // it has just ended: waitpid will say so
  entry.sample = *process;
  follow_limit(entry, process->open_files_soft);
  const std::vector<int> sockets = close_wait_.descriptors(entry.id);
  entry.window.push(take_sample({.process = *process,
                                 .gauges = workers_.gauges(entry),
                                 .polls = entry.memory ? &entry.memory.polls() : nullptr,
                                 .close_wait = close_wait_.count(entry.id, config_.recycle.close_wait_age, now),
                                 .close_wait_fds = sockets},
                                now));
  arm_trace(entry, rules_);
  const WorkerFacts facts{.worker = entry.id,
                          .ready_at = *view.ready_at,
                          .busy_since = entry.window.samples().back().busy_since,
                          .trends = entry.window.trends()};
  Finding finding{.slot = entry.slot, .worker = entry.id};
  if (const auto decision = decide_recycle(entry.window.samples(), facts, rules_, now)) {
    if (entry.told.tell(decision->reason)) log_decision(entry, *decision);
    finding.kind = decision->threshold == kServerFdsClosed ? Finding::Kind::kKill : Finding::Kind::kRecycle;
    finding.decision = *decision;
    return finding;
  }
  if (const auto order = decide_close_wait(entry.window.samples().back(), facts, rules_)) {
    const bool shut = order->action == common::CloseWaitAction::kShutdown;
    finding.kind = shut ? Finding::Kind::kShutdown : Finding::Kind::kReport;
    if (shut) finding.sockets = close_wait_.aged(entry.id, config_.recycle.close_wait_age, now);
    if (entry.told_close_wait.tell(RecycleReason::kCloseWait)) {
      common::log(common::LogLevel::kWarn, common::LogEvent::kCloseWait,
                  "the application keeps sockets whose peers have closed",
                  {{"slot", entry.slot},
                   {"pid", entry.pid},
                   {"sockets", order->measured},
                   {"limit", order->limit},
                   common::LogField::to_filter_by("generation", entry.generation)});
      return finding;
    }
    return shut ? std::optional(finding) : std::nullopt;
  }
  entry.told_close_wait.forget(RecycleReason::kCloseWait);
  if (!entry.reported_halfway && is_halfway(entry)) {
    entry.reported_halfway = true;
    common::log(common::LogLevel::kWarn, common::LogEvent::kFdGrowth,
                "the application keeps more and more descriptors: a report follows",
                {{"slot", entry.slot},
                 {"pid", entry.pid},
                 {"grown_by", entry.window.samples().back().leaked()},
                 {"limit", config_.recycle.fds_leaked},
                 common::LogField::to_filter_by("generation", entry.generation)});
    return finding;
  }
  return std::nullopt;
}

// Half of what gets it replaced, in each of the last samples: time to say so while it happens.
bool Sampler::is_halfway(const WorkerEntry& entry) const {
  const std::uint64_t half = (std::uint64_t{config_.recycle.fds_leaked} + 1) / 2;
  const auto samples = entry.window.samples();
  if (half == 0 || samples.size() < config_.recycle.samples) return false;
  return std::ranges::all_of(samples.last(config_.recycle.samples),
                             [&](const Sample& sample) { return sample.leaked() >= half; });
}

// Somebody may have changed the limit of a process that runs (prlimit(1)): its connections must go on fitting.
void Sampler::follow_limit(WorkerEntry& entry, std::uint64_t open_files_soft) const {
  if (open_files_soft == 0 || open_files_soft == entry.open_files_soft) return;
  const bool is_news = entry.open_files_soft != 0 || open_files_soft != rules_.open_files_soft;
  if (!is_news) {
    entry.open_files_soft = open_files_soft;
    return;
  }
  const ConnectionBudget budget = decide_connections({.open_files_soft = open_files_soft,
                                                      .reserve = config_.limits.open_files_reserve,
                                                      .configured = config_.limits.connections});
  common::Message limits;
  limits.type = common::MessageType::kLimits;
  limits.connections_max = budget.connections;
  if (!entry.channel || !entry.channel.send(limits)) return;  // it does not listen now: with the next look again
  entry.open_files_soft = open_files_soft;
  common::log(common::LogLevel::kWarn, common::LogEvent::kFdLimitChanged,
              "the descriptor limit of a worker was changed",
              {{"slot", entry.slot},
               {"pid", entry.pid},
               {"open_files_soft", open_files_soft},
               {"connections", arithmetic_of(budget)},
               common::LogField::to_filter_by("generation", entry.generation)});
}

void Sampler::arm_trace(WorkerEntry& entry, const RecycleRules& rules) const {
  if (!entry.memory) return;
  auto& trace = entry.memory.trace();
  const auto cause = decide_trace(entry.window.samples(),
                                  {.setting = config_.fds.trace, .now = trace.load(std::memory_order_relaxed)}, rules);
  if (!cause) return;
  trace.store(common::TraceSwitch::kOn, std::memory_order_relaxed);
  if (*cause == TraceCause::kConfigured) return;
  common::log(common::LogLevel::kInfo, common::LogEvent::kFdTraceOn,
              "from now on it is noted where the application opens descriptors",
              {{"slot", entry.slot},
               {"pid", entry.pid},
               {"cause", name_of(*cause)},
               common::LogField::to_filter_by("generation", entry.generation)});
}

// Dear (some milliseconds for each gigabyte), so one worker a look, and a hundred times as long none. Not of one that
// is stuck, perhaps in the kernel, with its memory map locked.
void Sampler::measure_one_pss(common::TimePoint now) {
  if (now < pss_not_before_) return;
  auto next = workers_.begin();
  for (auto it = workers_.begin(); it != workers_.end(); ++it) {
    if (it->first > last_measured_) {
      next = it;
      break;
    }
  }
  if (next == workers_.end()) return;
  last_measured_ = next->first;
  if (next->second.pid <= 0 || workers_.is_stuck(next->second, now)) return;
  next->second.pss_bytes = read_pss(next->second.pid);
  pss_not_before_ = now + 100 * (common::Clock::now() - now);
}

std::vector<LoadReading> Sampler::load_readings(std::span<const WorkerView> views, const Listeners& listeners,
                                                common::TimePoint now) const {
  std::vector<LoadReading> readings;
  for (const WorkerView& view : views) {
    const WorkerEntry* entry = view.state == VisibleState::kReady ? workers_.find(view.worker) : nullptr;
    if (entry == nullptr) continue;
    const common::WorkerGauges& gauges = workers_.gauges(*entry);
    std::uint64_t busy_ns = gauges.busy_ns.load(std::memory_order_acquire);  // before busy_since_ns: see WorkerGauges
    const std::uint64_t busy_since_ns = gauges.busy_since_ns.load(std::memory_order_relaxed);
    const std::uint64_t now_ns = common::nanoseconds_of(now);
    if (busy_since_ns != 0 && busy_since_ns < now_ns) busy_ns += now_ns - busy_since_ns;
    readings.push_back({.worker = view.worker,
                        .at = now,
                        .busy_ns = busy_ns,
                        .main_cpu_ns = entry->sample.main_cpu_ns,
                        .accepted = gauges.accepted.load(std::memory_order_relaxed),
                        .queued = queued_on(listeners.sockets_of(view.slot)),
                        .accepting = static_cast<common::Accepting>(gauges.accepting.load(std::memory_order_relaxed))});
  }
  return readings;
}

std::vector<bool> Sampler::able_slots(std::span<const WorkerView> views, std::uint32_t slots,
                                      common::TimePoint now) const {
  std::vector<bool> able(slots, false);  // in back-off, or starting: nobody would take them
  for (const WorkerView& view : views) {
    if (view.state != VisibleState::kReady || view.slot >= slots) continue;
    const WorkerEntry* entry = workers_.find(view.worker);
    if (entry == nullptr) continue;
    const auto accepting = workers_.gauges(*entry).accepting.load(std::memory_order_relaxed);
    able[view.slot] =
        accepting == static_cast<std::uint32_t>(common::Accepting::kYes) && !workers_.is_stuck(*entry, now);
  }
  return able;
}

}  // namespace master
