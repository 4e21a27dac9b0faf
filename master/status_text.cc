// Status text: rows and columns.
#include "master/status_text.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <initializer_list>
#include <string_view>
#include <vector>

#include "common/format.h"

namespace master {
namespace {

using common::Json;

const Json& member(const Json& from, std::initializer_list<std::string_view> path) {
  static const Json kNothing;
  const Json* current = &from;
  for (const std::string_view name : path) {
    if (!current->is_object()) return kNothing;
    const auto found = current->find(std::string(name));
    if (found == current->end()) return kNothing;
    current = &*found;
  }
  return *current;
}

// Control bytes of foreign text must not drive a terminal.
std::string plain(const Json& value) {
  if (value.is_null()) return "-";
  if (!value.is_string()) return value.dump();
  std::string text = value.get<std::string>();
  std::replace_if(
      text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, '?');
  return text;
}

std::string age(const Json& value) { return value.is_number() ? render_age(value.get<double>()) : "-"; }
std::string bytes(const Json& value) { return value.is_number() ? render_bytes(value.get<double>()) : "-"; }

using Row = std::vector<std::string>;

// Columns as wide as their widest cell; text is left, everything else right.
std::string render_table(const std::vector<Row>& rows, std::size_t text_column) {
  std::vector<std::size_t> widths(rows.front().size());
  for (const Row& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string table;
  for (const Row& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      if (i > 0) table += "  ";
      table +=
          i == text_column ? common::format("{:<{}}", row[i], widths[i]) : common::format("{:>{}}", row[i], widths[i]);
    }
    table += '\n';
  }
  return table;
}

Row worker_row(const Json& worker) {
  return {plain(member(worker, {"slot"})),         plain(member(worker, {"pid"})),
          plain(member(worker, {"generation"})),   plain(member(worker, {"state"})),
          age(member(worker, {"age_s"})),          plain(member(worker, {"requests"})),
          plain(member(worker, {"connections"})),  bytes(member(worker, {"rss_bytes"})),
          plain(member(worker, {"fds", "total"})), plain(member(worker, {"fds", "leaked"}))};
}

// "recycled: fds_leaked 2, manual 1", or nothing when all are 0.
std::string counters(std::string_view name, const Json& from) {
  std::string list;
  if (from.is_object()) {
    for (const auto& [key, value] : from.items()) {
      if (!value.is_number() || value.get<double>() == 0) continue;
      list += common::format("{}{} {}", list.empty() ? "" : ", ", key, value.dump());
    }
  }
  return list.empty() ? "" : common::format("{}: {}\n", name, list);
}

}  // namespace

std::string render_status(const Json& status) {
  constexpr std::size_t kStateColumn = 3;
  std::string text = common::format(
      "master pid {}, generation {}, up {}, {} of {} descriptors\n", plain(member(status, {"master", "pid"})),
      plain(member(status, {"master", "generation"})), age(member(status, {"master", "uptime_s"})),
      plain(member(status, {"master", "fds"})), plain(member(status, {"master", "open_files", "soft"})));
  for (const Json& listener : member(status, {"listeners"})) {
    text += common::format("listening on {}, sockets {}, steering {}\n", plain(member(listener, {"address"})),
                           plain(member(listener, {"sockets"})), plain(member(listener, {"steering"})));
  }
  std::vector<Row> rows = {{"SLOT", "PID", "GEN", "STATE", "AGE", "REQUESTS", "CONNS", "RSS", "FDS", "LEAKED"}};
  for (const Json& worker : member(status, {"workers"})) rows.push_back(worker_row(worker));
  text += '\n' + render_table(rows, kStateColumn);
  const std::string counted =
      counters("recycled", member(status, {"recycled"})) + counters("restarts", member(status, {"restarts"}));
  if (!counted.empty()) text += '\n' + counted;
  const Json& reload_error = member(status, {"reload", "last_error"});
  if (!reload_error.is_null()) text += common::format("\nlast reload failed: {}\n", plain(reload_error));
  return text;
}

std::string render_age(double seconds) {
  constexpr double kShownMax = 1e12;  // beyond, and for nonsense, the number would not fit
  if (!(seconds >= 0 && seconds < kShownMax)) return "-";
  const auto whole = static_cast<std::int64_t>(seconds);
  if (whole < 60) return common::format("{}s", whole);
  if (whole < 3600) return common::format("{}m{:02}s", whole / 60, whole % 60);
  if (whole < 86'400) return common::format("{}h{:02}m", whole / 3600, whole % 3600 / 60);
  return common::format("{}d{:02}h", whole / 86'400, whole % 86'400 / 3600);
}

std::string render_bytes(double bytes) {
  constexpr std::array<std::string_view, 5> kUnits = {"B", "KiB", "MiB", "GiB", "TiB"};
  if (!(bytes >= 0)) return "-";
  std::size_t unit = 0;
  while (bytes >= 1024 && unit + 1 < kUnits.size()) {
    bytes /= 1024;
    ++unit;
  }
  return unit == 0 ? common::format("{:.0f} B", bytes) : common::format("{:.1f} {}", bytes, kUnits[unit]);
}

}  // namespace master
