// CrashReports: reading, asking for names, telling.
#include "master/crash_reports.h"

#include <sys/wait.h>

#include <chrono>
#include <csignal>
#include <utility>

#include "common/log.h"
#include "master/crash_stack.h"
#include "master/exit_status.h"
#include "master/json_view.h"

namespace master {
namespace {

bool is_fault(int wait_status) {
  if (!WIFSIGNALED(wait_status)) return false;
  switch (WTERMSIG(wait_status)) {
    case SIGKILL:
    case SIGTERM:
    case SIGINT:
    case SIGQUIT:
    case SIGHUP:
    case SIGALRM: return false;  // what people and time limits end a process with
  }
  return true;
}

constexpr std::string_view kCrashed = "worker crashed";

std::string_view message_of(int wait_status) {
  if (is_fault(wait_status)) return kCrashed;
  if (WIFSIGNALED(wait_status)) return "worker was killed in the middle of a request";
  return "worker exited in the middle of a request";
}

common::LogEvent event_of(const CrashReport& report) {
  return report.what == kCrashed ? common::LogEvent::kWorkerCrashed : common::LogEvent::kRequestLost;
}

std::string_view or_dash(const std::string& text) { return text.empty() ? std::string_view("-") : text; }

}  // namespace

void CrashReports::on_worker_ended(const DeadWorker& dead, common::TimePoint now) {
  const bool was_expected = expected_.erase(dead.worker) > 0;
  if (dead.memory == nullptr || !*dead.memory) return;
  const std::string request = dead.memory->request().read().value_or("");
  if (!is_fault(dead.wait_status) && request.empty()) return;
  std::optional<CrashRecord> record = read_crash(dead.memory->crash());
  CrashReport report{.at = std::chrono::system_clock::now(),
                     .what = message_of(dead.wait_status),
                     .slot = dead.slot,
                     .pid = dead.pid,
                     .generation = dead.generation,
                     .end = describe_wait_status(dead.wait_status),
                     .request = request};
  if (record) {
    report.cause = describe_crash(*record, dead.pid);
    report.thread = record->thread == dead.pid ? 0 : record->thread;
    report.stack = plain_crash_stack(*record);
  }
  const auto suspicion = was_expected ? std::nullopt : poison_.on_crash(request, settings_.window, now);
  if (suspicion) report.suspect = suspicion_text(request, *suspicion);
  if (suspicion && suspicion->news == Suspicion::News::kYes) {
    common::log(common::LogLevel::kError, common::LogEvent::kRequestSuspected,
                "the same request was in hand when several workers ended: it may be what ends them",
                {{"request", request}, {"crashes", suspicion->crashes_with_it}, {"of", suspicion->crashes}});
  }
  if (!record || record->frames.empty()) return tell(report);
  name_frames(*std::move(record), std::move(report));
}

// Whatever comes of it, the report follows: without names it has offsets.
void CrashReports::name_frames(CrashRecord record, CrashReport report) {
  const std::uint64_t number = ++last_number_;
  const auto submitted =
      waiting_.size() >= kWaitingMax
          ? common::Result<void>(common::fail("too many reports wait"))
          : inspector_.submit([record = std::move(record)](common::TimePoint) { return crash_stack(record); },
                              [this, number](const common::Result<common::Json>& stack) { on_names(number, stack); });
  if (!submitted) return tell(report);
  waiting_.emplace(number, std::move(report));
}

void CrashReports::on_names(std::uint64_t number, const common::Result<common::Json>& stack) {
  auto found = waiting_.extract(number);
  if (found.empty()) return;  // released
  if (stack && stack->is_array() && !stack->empty()) found.mapped().stack = *stack;
  tell(found.mapped());
}

void CrashReports::release() {
  for (const auto& [number, report] : std::exchange(waiting_, {})) tell(report);
}

// Everything in one record: a log of text can be searched by its words, one of JSON by its fields.
void CrashReports::tell(const CrashReport& report) {
  history_.add(report);
  common::log(common::LogLevel::kError, event_of(report), report.what,
              {{"slot", report.slot},
               {"pid", report.pid},
               {"generation", report.generation},
               {"end", report.end},
               {"cause", or_dash(report.cause)},
               {"thread", report.cause.empty() ? std::string("-")
                          : report.thread == 0 ? std::string("main")
                                               : std::to_string(report.thread)},
               {"request", or_dash(report.request)},
               {"suspect", or_dash(report.suspect)},
               common::LogField::list("stack", stack_text(report.stack), shown_frames(report.stack))});
}

}  // namespace master
