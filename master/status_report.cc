// StatusReport: assembling of the JSON.
#include "master/status_report.h"

#include "common/inherited_fds.h"
#include "master/accept_queue.h"
#include "master/process_sample.h"

namespace master {
namespace {

using common::Json;

double seconds(common::Duration duration) { return std::chrono::duration<double>(duration).count(); }

std::string_view accepting_name(std::uint32_t gauge) {
  if (gauge == static_cast<std::uint32_t>(common::Accepting::kFull)) return "full";
  if (gauge == static_cast<std::uint32_t>(common::Accepting::kStarving)) return "starving";
  if (gauge == static_cast<std::uint32_t>(common::Accepting::kNoMore)) return "no";
  return "yes";
}

bool is_traced(const WorkerEntry& entry) {
  return entry.memory && entry.memory.trace().load(std::memory_order_relaxed) == common::TraceSwitch::kOn;
}

// `entry` may be null, and its pid may not be known yet: then nothing is measured.
void describe_process(Json& line, const WorkerEntry* entry, const common::WorkerGauges& gauges,
                      const std::optional<CloseWaitCount>& close_wait) {
  const pid_t pid = entry == nullptr ? 0 : entry->pid;
  const std::uint64_t owned = gauges.owned_fds.load(std::memory_order_relaxed);
  const std::uint64_t baseline = gauges.baseline_fds.load(std::memory_order_relaxed);
  ProcessSample now;
  if (pid > 0) now = sample_process(pid).value_or(entry->sample);
  const Sample counts{.fds_total = now.fds, .owned = owned, .baseline = baseline};
  line["requests"] = gauges.requests.load(std::memory_order_relaxed);
  line["connections"] = gauges.connections.load(std::memory_order_relaxed);
  line["in_flight"] = gauges.in_flight.load(std::memory_order_relaxed);
  line["rss_bytes"] = now.rss_bytes;
  // Measured by the sampler; read here only for a worker so young that it was not looked at yet.
  line["pss_bytes"] = pid <= 0 ? 0 : entry->pss_bytes != 0 ? entry->pss_bytes : read_pss(pid);
  line["cpu_s"] = static_cast<double>(now.cpu_ns) / 1e9;
  line["accepted"] = gauges.accepted.load(std::memory_order_relaxed);
  line["evicted"] = gauges.evicted.load(std::memory_order_relaxed);
  line["refused"] = gauges.refused.load(std::memory_order_relaxed);
  line["connections_max"] = gauges.connections_max.load(std::memory_order_relaxed);
  line["accepting"] = accepting_name(gauges.accepting.load(std::memory_order_relaxed));
  line["accept_pauses"] = gauges.accept_pauses.load(std::memory_order_relaxed);
  // A descriptor count taken before the worker was ready explains nothing: all of it is the application's start.
  line["fds"] = {{"total", now.fds},
                 {"owned", owned},
                 {"baseline", baseline},
                 {"leaked", baseline == 0 ? 0 : counts.leaked()},
                 {"close_wait", close_wait ? Json(close_wait->now) : Json(nullptr)},
                 {"trace", entry != nullptr && is_traced(*entry) ? "on" : "off"}};
}

Json report_workers(const StatusSources& sources, common::TimePoint now) {
  static const common::WorkerGauges no_gauges{};  // of a slot without a worker: every member is there, and 0
  Json list = Json::array();
  for (const WorkerView& view : sources.supervision.workers()) {
    Json line;
    line["slot"] = view.slot;
    line["pid"] = view.pid;
    line["generation"] = view.generation;
    line["state"] = name_of(view.state);
    line["age_s"] = view.asked_at ? seconds(now - *view.asked_at) : 0.0;
    line["queued"] = queued_on(sources.listeners.sockets_of(view.slot));
    const WorkerEntry* entry = sources.workers.find(view.worker);
    describe_process(line, entry, entry != nullptr ? sources.workers.gauges(*entry) : no_gauges,
                     sources.close_wait.count(view.worker, common::Duration::zero(), now));
    if (view.recycle_planned) line["recycle_planned"] = name_of(*view.recycle_planned);
    list.push_back(std::move(line));
  }
  return list;
}

}  // namespace

Json report_status(const StatusSources& sources, common::TimePoint now) {
  Json report;
  report["master"] = {{"pid", getpid()},
                      {"uptime_s", seconds(now - sources.started_at)},
                      {"generation", sources.generation},
                      {"state", name_of(sources.supervision.phase())},
                      {"open_files", {{"soft", sources.open_files.soft}, {"hard", sources.open_files.hard}}},
                      {"fds", common::open_descriptors().size()},
                      {"workers", sources.supervision.workers_wanted()},
                      {"workers_min", sources.workers_min},
                      {"workers_max", sources.workers_max},
                      {"connections_max", sources.budget.connections},
                      {"budget",
                       {{"open_files", sources.budget.open_files_soft},
                        {"reserve", sources.budget.reserve},
                        {"headroom", sources.budget.headroom},
                        {"connections_max", sources.budget.connections}}}};
  report["listeners"] = Json::array();
  for (const ListenerView& listener : sources.listeners.views()) {
    report["listeners"].push_back({{"address", listener.address},
                                   {"sockets", listener.sockets},
                                   {"activated", listener.activated},
                                   {"steering", name_of(listener.steering)}});
  }
  report["workers"] = report_workers(sources, now);
  report["stored"] = {{"sockets", sources.service.stored().size()}, {"counters", sources.service.counter_page() >= 0}};
  const Served served = sources.workers.served();
  report["served"] = {{"requests", served.requests}, {"connections", served.connections}};
  const Counters& counters = sources.supervision.counters();
  for (std::size_t i = 0; i < kRecycleReasons; ++i) {
    report["recycled"][std::string(name_of(static_cast<RecycleReason>(i)))] = counters.recycled[i];
  }
  report["recycles"] = sources.recycles;
  report["crashes"] = sources.crashes;
  report["restarts"] = {{"crashed", counters.restarts_crashed}, {"killed", counters.restarts_killed}};
  report["reload"] = sources.reload;
  report["upgrade"] = sources.upgrade;
  return report;
}

}  // namespace master
