// PoisonWatch: a sliding window of crashes, and one of each line.
#include "master/poison_watch.h"

#include <algorithm>
#include <utility>

#include "common/format.h"

namespace master {
namespace {

void add_bounded(std::deque<common::TimePoint>& times, common::TimePoint now) {
  times.push_back(now);
  if (times.size() > PoisonWatch::kCrashesMax) times.pop_front();
}

}  // namespace

std::optional<Suspicion> PoisonWatch::on_crash(std::string_view request, common::Duration window,
                                               common::TimePoint now) {
  forget_old(window, now);
  add_bounded(crashes_, now);
  if (request.empty()) return std::nullopt;
  Line& line = line_of(request);
  add_bounded(line.crashes, now);
  if (line.crashes.size() < kSuspectMin) return std::nullopt;
  return Suspicion{.crashes_with_it = static_cast<std::uint32_t>(line.crashes.size()),
                   .crashes = static_cast<std::uint32_t>(crashes_.size()),
                   .news = std::exchange(line.news, Suspicion::News::kNo)};
}

void PoisonWatch::forget_old(common::Duration window, common::TimePoint now) {
  const auto is_old = [&](common::TimePoint crash) { return now - crash > window; };
  std::erase_if(crashes_, is_old);
  for (Line& line : lines_) std::erase_if(line.crashes, is_old);
  std::erase_if(lines_, [](const Line& line) { return line.crashes.empty(); });
}

// As the last one, for it is seen now.
PoisonWatch::Line& PoisonWatch::line_of(std::string_view request) {
  const auto found = std::ranges::find(lines_, request, &Line::text);
  if (found != lines_.end()) {
    std::rotate(found, found + 1, lines_.end());
    return lines_.back();
  }
  if (lines_.size() == kLinesMax) lines_.pop_front();
  return lines_.emplace_back(Line{.text = std::string(request), .crashes = {}});
}

std::string suspicion_text(std::string_view request, const Suspicion& suspicion) {
  return common::format("\"{}\" was in flight in {} of the last {} crashes", request, suspicion.crashes_with_it,
                        suspicion.crashes);
}

}  // namespace master
