// RecycleHistory: bounding, remembering, showing.
#include "master/recycle_history.h"

#include <algorithm>
#include <vector>

#include "common/format.h"
#include "common/wall_time.h"
#include "master/json_view.h"

namespace master {
namespace {

using common::Json;

constexpr int kDepthMax = 4;             // groups > group > list > text, and one to spare
constexpr std::size_t kMembersMax = 32;     // of an object; a group has about 20
constexpr std::size_t kGroupTextMax = 600;  // of a log line, so that one group does not hide all others

Json bounded(const Json& value, int depth = kDepthMax) {
  if (value.is_string()) return shortened(value.get_ref<const std::string&>(), RecycleHistory::kTextMax);
  if (!value.is_structured()) return value;
  if (depth == 0) return nullptr;
  Json copy = value.is_array() ? Json::array() : Json::object();
  const std::size_t items_max = value.is_array() ? RecycleHistory::kItemsMax : kMembersMax;
  for (const auto& [key, item] : value.items()) {
    if (copy.size() == items_max) break;
    if (value.is_array()) {
      copy.push_back(bounded(item, depth - 1));
    } else {
      copy[shortened(key, RecycleHistory::kTextMax)] = bounded(item, depth - 1);
    }
  }
  return copy;
}

std::vector<const Json*> application_groups(const Json& report) {
  std::vector<const Json*> groups;
  for (const Json& group : member(report, {"groups"})) {
    if (group.is_object() && member(group, {"owner"}) != "server") groups.push_back(&group);
  }
  return groups;
}

// What a text without control bytes takes when a log writes it between quotes.
std::size_t escaped_size(std::string_view text) {
  std::size_t size = text.size();
  for (const char c : text) {
    if (c == '"' || c == '\\') ++size;
  }
  return size;
}

}  // namespace

RecycleHistory::Entry* RecycleHistory::find(WorkerId worker) {
  const auto found = std::ranges::find_if(entries_, [&](const Entry& e) { return e.beginning.worker == worker; });
  return found == entries_.end() ? nullptr : &*found;
}

void RecycleHistory::begin(const RecycleBeginning& beginning) {
  std::erase_if(entries_, [&](const Entry& entry) { return entry.beginning.worker == beginning.worker; });
  entries_.push_front({.beginning = beginning, .groups = {}, .spinning = {}, .stack = Json::array(), .left_open = {}});
  if (entries_.size() > kEntriesMax) entries_.pop_back();
}

void RecycleHistory::attach(WorkerId worker, const Json& report) {
  Entry* entry = find(worker);
  if (entry == nullptr) return;
  entry->groups = Json::array();
  for (const Json* group : application_groups(report)) {
    if (entry->groups.size() == kGroupsMax) break;
    entry->groups.push_back(bounded(*group));
  }
  entry->spinning = bounded(member(report, {"spinning"}));
  entry->stack = Json::array();
  for (const Json& frame : member(report, {"stack"})) {
    if (entry->stack.size() == kItemsMax) break;
    entry->stack.push_back(bounded(frame));
  }
}

void RecycleHistory::complete(WorkerId worker, std::uint64_t left_open) {
  if (Entry* entry = find(worker)) entry->left_open = left_open;
}

Json RecycleHistory::to_json() const {
  Json list = Json::array();
  for (const Entry& entry : entries_) {
    const RecycleBeginning& beginning = entry.beginning;
    list.push_back({{"at", common::rfc3339(beginning.at)},
                    {"slot", beginning.slot},
                    {"pid", beginning.pid},
                    {"generation", beginning.generation},
                    {"reason", name_of(beginning.reason)},
                    {"measured", beginning.measured},
                    {"limit", beginning.limit},
                    {"groups", entry.groups},
                    {"spinning", entry.spinning},
                    {"stack", entry.stack},
                    {"left_open", entry.left_open ? Json(*entry.left_open) : Json(nullptr)}});
  }
  for (const Json& earlier : earlier_) {
    if (list.size() < kEntriesMax) list.push_back(earlier);
  }
  return list;
}

std::string leak_text(const Json& report) {
  constexpr std::size_t kRemainderMax = 40;  // "; and 18446744073709551615 more groups"
  const std::vector<const Json*> groups = application_groups(report);
  std::string text;
  std::size_t size = kRemainderMax;
  for (std::size_t i = 0; i < groups.size(); ++i) {
    std::string next = plain(member(*groups[i], {"text"}));
    if (next == "-") continue;
    next = (text.empty() ? "" : "; ") + shortened(next, kGroupTextMax);
    size += escaped_size(next);
    if (size > kLeakTextMax) return text + common::format("; and {} more groups", groups.size() - i);
    text += next;
  }
  return text.empty() ? "none" : text;
}

std::vector<std::string> leak_lines(const Json& report) {
  std::vector<std::string> lines;
  const std::vector<const Json*> groups = application_groups(report);
  for (std::size_t i = 0; i < groups.size(); ++i) {
    const std::string text = plain(member(*groups[i], {"text"}));
    if (text == "-") continue;
    if (lines.size() == kLeakLinesMax) {
      lines.push_back(common::format("and {} more groups", groups.size() - i));
      break;
    }
    lines.push_back(shortened(text, kGroupTextMax));
  }
  return lines;
}

}  // namespace master
