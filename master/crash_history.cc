// CrashHistory: bounding, remembering, showing.
#include "master/crash_history.h"

#include "common/format.h"
#include "common/wall_time.h"
#include "master/json_view.h"

namespace master {
namespace {

using common::Json;

Json text_or_null(const std::string& text) { return text.empty() ? Json(nullptr) : Json(text); }

}  // namespace

void CrashHistory::add(const CrashReport& report) {
  std::vector<std::string> stack = shown_frames(report.stack);
  if (stack.size() > kFramesMax) stack.resize(kFramesMax);
  entries_.push_front({{"at", common::rfc3339(report.at)},
                       {"slot", report.slot},
                       {"pid", report.pid},
                       {"generation", report.generation},
                       {"what", report.what},
                       {"end", report.end},
                       {"cause", text_or_null(report.cause)},
                       {"thread", report.thread == 0 ? Json(nullptr) : Json(report.thread)},
                       {"request", text_or_null(report.request)},
                       {"suspect", text_or_null(report.suspect)},
                       {"stack", std::move(stack)}});
  if (entries_.size() > kEntriesMax) entries_.pop_back();
}

void CrashHistory::resume(const Json& earlier) {
  entries_.clear();
  for (const Json& entry : earlier) entries_.push_back(entry);
}

Json CrashHistory::to_json() const {
  Json list = Json::array();
  for (const Json& entry : entries_) list.push_back(entry);
  return list;
}

std::vector<std::string> shown_frames(const Json& stack) {
  std::vector<std::string> frames;
  std::string last;
  std::size_t times = 0;
  const auto add_last = [&] {
    if (times > 0) frames.push_back(times == 1 ? last : common::format("{}, {} times", last, times));
  };
  for (const Json& frame : stack) {
    if (!frame.is_string()) continue;
    std::string next = shortened(plain(frame), CrashHistory::kTextMax);
    if (next != last) {
      add_last();
      times = 0;
      last = std::move(next);
    }
    ++times;
  }
  add_last();
  return frames;
}

std::string stack_text(const Json& stack) {
  constexpr std::size_t kRemainderMax = 32;  // " < ... and 64 more"
  const std::vector<std::string> frames = shown_frames(stack);
  std::string text;
  std::size_t shown = 0;
  for (const std::string& frame : frames) {
    const std::string next = (shown == 0 ? "" : " < ") + frame;
    if (text.size() + next.size() + kRemainderMax > kStackTextMax) {
      return text + common::format(" < ... and {} more", frames.size() - shown);
    }
    text += next;
    ++shown;
  }
  return text.empty() ? "none" : text;
}

}  // namespace master
