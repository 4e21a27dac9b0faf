// ServiceNotices: lines of NAME=VALUE.
#include "master/service_notices.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "common/format.h"
#include "common/journal.h"
#include "common/utf8.h"
#include "master/json_view.h"

namespace master {
namespace {

std::int64_t microseconds(common::Duration duration) {
  return std::chrono::duration_cast<std::chrono::microseconds>(duration).count();
}

// The rest of the line has room beside it.
constexpr std::size_t kReasonBytesMax = ServiceNotices::kStatusBytesMax / 2;

// "1,203"
std::string grouped(double number) {
  std::string digits = common::format("{:.0f}", number);
  for (std::size_t at = digits.size(); at > 3;) digits.insert(at -= 3, ",");
  return digits;
}

// "1 worker", "3 workers"
std::string counted(std::uint64_t number, std::string_view noun) {
  return common::format("{} {}{}", number, noun, number == 1 ? "" : "s");
}

std::string serving_line(const ServiceNumbers& numbers) {
  std::string line = common::format("{}/{} workers, {} req/s", numbers.workers_ready, numbers.workers_wanted,
                                    grouped(numbers.requests_per_second));
  if (numbers.fds_soft > 0) line += common::format(", fds {}/{}", numbers.fds, numbers.fds_soft);
  if (numbers.recycled > 0) line += common::format(", {} recycled", numbers.recycled);
  if (numbers.recycled > 0 && !numbers.last_recycle.empty()) line += ": " + numbers.last_recycle;
  return line;
}

std::string leaving_line(const ServiceNumbers& numbers) {
  return counted(numbers.processes, "worker") + ", " + counted(numbers.connections, "connection");
}

}  // namespace

std::string status_line(const ServiceNumbers& numbers) {
  using enum ServiceNumbers::Doing;
  switch (numbers.doing) {
    case kLoading: return "loading " + numbers.loading;
    case kStarting: return common::format("starting: {}/{} workers", numbers.workers_ready, numbers.workers_wanted);
    case kServing:
      if (numbers.reload_error.empty()) return serving_line(numbers);
      return "reload refused: " + shortened(numbers.reload_error, kReasonBytesMax) + "; " + serving_line(numbers);
    case kReloading:
      if (!numbers.loading.empty()) return "reloading: loading " + numbers.loading + ", " + serving_line(numbers);
      return common::format("reloading: {} of {} replaced, {}", numbers.renewed, numbers.workers_wanted,
                            serving_line(numbers));
    case kWaiting: return "stopping soon: " + serving_line(numbers);
    case kDraining: return "draining: " + leaving_line(numbers);
    case kClosing: return "closing: " + leaving_line(numbers);
    case kStopped: return "stopped";
    case kFailed: return numbers.failure;
  }
  return "";
}

// A path or a message of the system may be anything. The manager ignores a status that is not UTF-8, and all of a
// message with a NUL in it; systemctl(1) writes what it was told to a terminal.
std::string status_words(std::string_view text) {
  std::string line = common::journal_text(text);
  std::ranges::replace(line, '\n', ' ');
  std::ranges::replace(line, '\t', ' ');
  return "STATUS=" + std::string(common::cut_utf8(line, ServiceNotices::kStatusBytesMax)) + "\n";
}

std::string extension_words() {
  return common::format("EXTEND_TIMEOUT_USEC={}\n", microseconds(ServiceNotices::kExtension));
}

// A stop is not taken back. One that was over before anybody looked is told all the same.
bool ServiceNotices::is_news(Stage stage) const {
  if (stage == told_ || told_ == Stage::kStopped) return false;
  return told_ != Stage::kStopping || stage == Stage::kStopped;
}

void ServiceNotices::tell_stage(Stage stage, common::TimePoint now, std::string& words) {
  const Stage before = std::exchange(told_, stage);
  switch (stage) {
    case Stage::kStarting: return;
    case Stage::kServing: words += "READY=1\n"; return;
    case Stage::kReloading:
      // steady_clock is CLOCK_MONOTONIC, of which the manager wants to know (since 253).
      words += common::format("RELOADING=1\nMONOTONIC_USEC={}\n", microseconds(now.time_since_epoch()));
      extend_at_ = now;
      return;
    case Stage::kStopping:
      words += "STOPPING=1\n";
      extend_at_ = now;
      return;
    case Stage::kStopped:
      if (before != Stage::kStopping) words += "STOPPING=1\n";
      return;
  }
}

// A reload, too, has its limit (TimeoutStartSec=), and a load() that may be slow.
bool ServiceNotices::may_extend() const {
  switch (told_) {
    case Stage::kStarting:
    case Stage::kReloading:
    case Stage::kStopping: return true;
    case Stage::kServing:
    case Stage::kStopped: return false;
  }
  return false;
}

std::string ServiceNotices::look(const ServiceSituation& situation, common::TimePoint now) {
  std::string words;
  Stage stage = situation.stage;
  look_again_at_.reset();
  if (stage == Stage::kServing && told_ == Stage::kServing && situation.reloads != reloads_) {
    stage = Stage::kReloading;  // over already; it is told all the same
    look_again_at_ = now;
  }
  reloads_ = situation.reloads;
  const bool is_new = is_news(stage);
  if (is_new) tell_stage(stage, now, words);
  const bool is_due = now >= status_at_;
  if (situation.status != status_ && (is_due || is_new)) {
    status_ = situation.status;
    status_at_ = now + kStatusInterval;
    words += status_words(status_);
  }
  if (may_extend() && now >= extend_at_) {
    extend_at_ = now + kExtensionInterval;
    words += extension_words();
  }
  const bool may_ping = told_ == Stage::kStopping || situation.serving == ServiceSituation::Serving::kSomebody;
  if (watchdog_ && now >= ping_at_) {
    ping_at_ = now + *watchdog_ / (may_ping ? 2 : 10);  // withheld: somebody may serve again soon
    if (may_ping) {
      words += "WATCHDOG=1\n";
      pinged_at_ = now;
    }
  }
  return words;
}

std::optional<common::TimePoint> ServiceNotices::next_deadline() const {
  std::optional<common::TimePoint> next = look_again_at_;
  const auto add = [&next](common::TimePoint time) { next = next ? std::min(*next, time) : time; };
  if (may_extend() && extend_at_ != common::TimePoint::min()) add(extend_at_);
  if (watchdog_ && ping_at_ != common::TimePoint::min()) add(ping_at_);
  return next;
}

}  // namespace master
