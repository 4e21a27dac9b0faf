// ServiceNotices: lines of NAME=VALUE.
#include "master/service_notices.h"

#include <algorithm>
#include <chrono>

#include "common/format.h"

namespace master {
namespace {

std::int64_t microseconds(common::Duration duration) {
  return std::chrono::duration_cast<std::chrono::microseconds>(duration).count();
}

// A status is one line of UTF-8.
std::string one_line(std::string text) {
  std::ranges::replace(text, '\n', ' ');
  if (text.size() <= ServiceNotices::kStatusBytesMax) return text;
  std::size_t end = ServiceNotices::kStatusBytesMax;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) --end;  // not within a character
  text.resize(end);
  return text;
}

}  // namespace

std::string status_line(const ServiceNumbers& numbers) {
  std::string line = common::format("{}/{} workers, {:.0f} req/s", numbers.workers_ready, numbers.workers_wanted,
                                    numbers.requests_per_second);
  if (numbers.fds_soft > 0) line += common::format(", fds {}/{}", numbers.fds, numbers.fds_soft);
  if (numbers.recycled > 0) line += common::format(", {} recycled: {}", numbers.recycled, numbers.last_recycle);
  if (!numbers.reload_error.empty()) line += ", reload refused: " + numbers.reload_error;
  return line;
}

void ServiceNotices::tell_stage(Stage stage, common::TimePoint now, std::string& words) {
  told_ = stage;
  switch (stage) {
    case Stage::kStarting: return;
    case Stage::kServing: words += "READY=1\n"; return;
    case Stage::kReloading:
      // steady_clock is CLOCK_MONOTONIC, of which the manager wants to know (since 253).
      words += common::format("RELOADING=1\nMONOTONIC_USEC={}\n", microseconds(now.time_since_epoch()));
      return;
    case Stage::kStopping:
      words += "STOPPING=1\n";
      extend_at_ = now;
      return;
  }
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
  const bool is_news = stage != told_ && told_ != Stage::kStopping;
  if (is_news) tell_stage(stage, now, words);
  const bool is_due = now >= status_at_;
  if (situation.status != status_ && (is_due || is_news)) {
    status_ = situation.status;
    status_at_ = now + kStatusInterval;
    words += "STATUS=" + one_line(status_) + "\n";
  }
  if ((told_ == Stage::kStarting || told_ == Stage::kStopping) && now >= extend_at_) {
    extend_at_ = now + kExtensionInterval;
    words += common::format("EXTEND_TIMEOUT_USEC={}\n", microseconds(kExtension));
  }
  const bool may_ping = told_ == Stage::kStopping || situation.serving == ServiceSituation::Serving::kSomebody;
  if (watchdog_ && now >= ping_at_) {
    ping_at_ = now + *watchdog_ / (may_ping ? 2 : 10);  // withheld: somebody may serve again soon
    if (may_ping) words += "WATCHDOG=1\n";
  }
  return words;
}

std::optional<common::TimePoint> ServiceNotices::next_deadline() const {
  std::optional<common::TimePoint> next = look_again_at_;
  const auto add = [&next](common::TimePoint time) { next = next ? std::min(*next, time) : time; };
  const bool may_extend = told_ == Stage::kStarting || told_ == Stage::kStopping;
  if (may_extend && extend_at_ != common::TimePoint::min()) add(extend_at_);
  if (watchdog_ && ping_at_ != common::TimePoint::min()) add(ping_at_);
  return next;
}

}  // namespace master
