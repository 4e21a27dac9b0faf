// RecycleReports: asking, inspecting, logging.
#include "master/recycle_reports.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "common/log.h"
#include "master/json_view.h"

namespace master {
namespace {

// So many waits in a row that end at once with the same event are no coincidence.
constexpr std::uint64_t kSamePollsMin = 1000;
constexpr std::size_t kTextMax = 300;  // bytes; C++ names are long, a log line is not

std::optional<BusyPoll> busy_poll_of(const common::WorkerMemory& memory) {
  const common::PollWatch& polls = memory.polls();
  if (polls.same.load(std::memory_order_relaxed) < kSamePollsMin) return std::nullopt;
  return BusyPoll{.epoll_fd = polls.epoll_fd.load(std::memory_order_relaxed),
                  .data = polls.data.load(std::memory_order_relaxed),
                  .events = polls.events.load(std::memory_order_relaxed)};
}

// Where the main thread was: the innermost frames, for the first is often a function of libc.
std::string innermost(const common::Json& report) {
  constexpr std::size_t kFrames = 3;
  const auto stack = report.find("stack");
  std::string text;
  for (std::size_t i = 0; stack != report.end() && stack->is_array() && i < std::min(stack->size(), kFrames); ++i) {
    const common::Json& frame = stack->at(i);
    if (frame.is_string()) text += (i == 0 ? "" : " < ") + frame.get<std::string>();
  }
  return text.empty() ? "-" : text;
}

}  // namespace

std::vector<InspectionOrder> inspection_orders(const WorkerTable& workers, const std::vector<WorkerId>& wanted,
                                               const std::vector<std::uint64_t>& stack) {
  std::vector<InspectionOrder> orders;
  for (const WorkerId id : wanted) {
    const WorkerEntry* entry = workers.find(id);
    if (entry == nullptr || entry->pid <= 0) continue;
    const common::WorkerGauges& gauges = workers.gauges(*entry);
    orders.push_back({.pid = entry->pid,
                      .slot = entry->slot,
                      .generation = entry->generation,
                      .ledger = entry->memory.ledger(),
                      .owned = gauges.owned_fds.load(std::memory_order_relaxed),
                      .baseline = gauges.baseline_fds.load(std::memory_order_relaxed),
                      .stack = stack,
                      .busy_poll = entry->memory ? busy_poll_of(entry->memory) : std::nullopt});
  }
  return orders;
}

void RecycleReports::begin(WorkerId worker, RecycleReason reason, common::TimePoint now) {
  const WorkerEntry* entry = workers_.find(worker);
  if (entry == nullptr) return;
  const auto decision = decisions_.find(worker);
  const bool decided = decision != decisions_.end() && decision->second.reason == reason;
  history_.begin({.at = std::chrono::system_clock::now(),
                  .worker = worker,
                  .slot = entry->slot,
                  .pid = entry->pid,
                  .generation = entry->generation,
                  .reason = reason,
                  .measured = decided ? decision->second.measured : 0,
                  .limit = decided ? std::ceil(decision->second.limit) : 0});
  if (!decided) decisions_.erase(worker);  // it was about something else
  const bool is_awaited = under_way_.contains(worker);
  const bool is_stuck = reason == RecycleReason::kSpin || reason == RecycleReason::kHang;
  if (is_awaited && !is_stuck) return;  // that one will do
  under_way_.insert(worker);
  if (is_stuck && entry->memory) {
    // Whatever comes of it, the report follows: an answer that never comes just has no stack.
    const auto asked = desk_.ask(
        worker, entry->pid, entry->memory.ask(), common::Ask::kStack, -1,
        [this, worker](const common::Result<AskAnswer>& answer) {
          submit(worker, answer ? answer->frames : std::vector<std::uint64_t>{});
        },
        now);
    if (asked) return;
  }
  submit(worker, {});
}

void RecycleReports::report(WorkerId worker) {
  under_way_.insert(worker);
  submit(worker, {});
}

void RecycleReports::submit(WorkerId worker, std::vector<std::uint64_t> stack) {
  const auto submitted = inspector_.submit(
      [this, worker, stack = std::move(stack)] { return inspection_orders(workers_, {worker}, stack); },
      Inspector::Listing::kGroups,
      [this, worker](const common::Result<common::Json>& reports) { on_report(worker, reports); });
  if (!submitted) on_report(worker, std::unexpected(submitted.error()));
}

void RecycleReports::on_report(WorkerId worker, const common::Result<common::Json>& reports) {
  if (const auto one = under_way_.find(worker); one != under_way_.end()) under_way_.erase(one);
  if (!under_way_.contains(worker) && to_drain_.erase(worker) > 0) drain_(worker);
  if (!reports || !reports->is_array() || reports->empty() || !reports->front().is_object() ||
      reports->front().contains("error")) {
    common::log(common::LogLevel::kWarn, common::LogEvent::kFdReportFailed, "no report of a worker's descriptors",
                {{"worker", worker},
                 {"reason", reports ? std::string("it ended before it could be looked at") : reports.error().message}});
    return;
  }
  history_.attach(worker, reports->front());
  tell(worker, reports->front());
}

// Everything in one record: a log of text can be searched by its words, one of JSON by its fields.
void RecycleReports::tell(WorkerId worker, const common::Json& report) const {
  const auto decision = decisions_.find(worker);
  const bool decided = decision != decisions_.end();
  const std::string_view threshold = decided ? decision->second.threshold : "none";
  const std::string_view reason = decided ? name_of(decision->second.reason) : "-";
  std::string spinning = "no";
  if (const common::Json& text = member(report, {"spinning", "text"}); text.is_string()) spinning = plain(text);
  common::log(common::LogLevel::kWarn, common::LogEvent::kFdReport, "descriptors of the worker",
              {{"slot", plain(member(report, {"slot"}))},
               {"pid", plain(member(report, {"pid"}))},
               {"threshold", threshold},
               {"spinning", shortened(spinning, kTextMax)},
               {"at", shortened(innermost(report), kTextMax)},
               common::LogField::list("groups", leak_text(report), leak_lines(report)),
               common::LogField::to_filter_by("generation", plain(member(report, {"generation"}))),
               common::LogField::to_filter_by("reason", reason)});
}

void RecycleReports::drain(WorkerId worker, common::Duration patience, common::TimePoint now) {
  if (under_way_.contains(worker)) {
    to_drain_.insert_or_assign(worker, now + patience);
  } else {
    drain_(worker);
  }
}

std::optional<common::TimePoint> RecycleReports::next_deadline() const {
  std::optional<common::TimePoint> next;
  for (const auto& [worker, until] : to_drain_) next = next ? std::min(*next, until) : until;
  return next;
}

void RecycleReports::on_time(common::TimePoint now) {
  for (auto waiting = to_drain_.begin(); waiting != to_drain_.end();) {
    if (waiting->second > now) {
      ++waiting;
      continue;
    }
    drain_(waiting->first);
    waiting = to_drain_.erase(waiting);
  }
}

void RecycleReports::release() { on_time(common::TimePoint::max()); }

void RecycleReports::on_worker_ended(WorkerId worker, std::uint32_t left_open) {
  desk_.on_worker_ended(worker);
  history_.complete(worker, left_open);
  decisions_.erase(worker);
  under_way_.erase(worker);
  to_drain_.erase(worker);
}

}  // namespace master
