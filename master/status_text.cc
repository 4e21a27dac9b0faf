// Status text: rows and columns.
#include "master/status_text.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "common/format.h"
#include "master/json_view.h"

namespace master {
namespace {

using common::Json;

std::string age(const Json& value) { return value.is_number() ? render_age(value.get<double>()) : "-"; }
std::string bytes(const Json& value) { return value.is_number() ? render_bytes(value.get<double>()) : "-"; }

constexpr std::size_t kColumns = 12;
constexpr std::size_t kEntriesShown = 4;    // recycles, and crashes
constexpr std::size_t kRequestShown = 160;  // bytes of one
using Row = std::array<std::string, kColumns>;

enum class Align : std::uint8_t { kLeft, kRight };

// Columns as wide as their widest cell; a line has no blanks at its end.
std::string render_table(const std::vector<Row>& rows, const std::array<Align, kColumns>& alignment) {
  std::array<std::size_t, kColumns> widths{};
  for (const Row& row : rows) {
    for (std::size_t i = 0; i < kColumns; ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string table;
  for (const Row& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < kColumns; ++i) {
      line += i > 0 ? "  " : "";
      line += alignment[i] == Align::kLeft ? common::format("{:<{}}", row[i], widths[i])
                                           : common::format("{:>{}}", row[i], widths[i]);
    }
    table += line.substr(0, line.find_last_not_of(' ') + 1) + '\n';
  }
  return table;
}

// What is not as it should be, or worth knowing: "full, refused 12, traced".
std::string notes_on(const Json& worker) {
  std::string notes;
  const auto note = [&](const std::string& text) { notes += (notes.empty() ? "" : ", ") + text; };
  const Json& accepting = member(worker, {"accepting"});
  if (accepting.is_string() && accepting != "yes") note(plain(accepting));
  const Json& refused = member(worker, {"refused"});
  if (refused.is_number() && refused != 0) note("refused " + plain(refused));
  if (member(worker, {"fds", "trace"}) == "on") note("traced");
  const Json& planned = member(worker, {"recycle_planned"});
  if (planned.is_string()) note("to be recycled: " + plain(planned));
  return notes;
}

Row worker_row(const Json& worker) {
  return {plain(member(worker, {"slot"})),
          plain(member(worker, {"pid"})),
          plain(member(worker, {"generation"})),
          plain(member(worker, {"state"})),
          age(member(worker, {"age_s"})),
          plain(member(worker, {"requests"})),
          plain(member(worker, {"connections"})),
          bytes(member(worker, {"rss_bytes"})),
          plain(member(worker, {"fds", "total"})),
          plain(member(worker, {"fds", "leaked"})),
          plain(member(worker, {"fds", "close_wait"})),
          notes_on(worker)};
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

// The arithmetic as an operator would check it; nothing for an older supervisor.
std::string budget_line(const Json& budget) {
  if (!budget.is_object()) return "";
  return common::format("per worker {} connections = {} descriptors - {} reserve - {} for the application\n",
                        plain(member(budget, {"connections_max"})), plain(member(budget, {"open_files"})),
                        plain(member(budget, {"reserve"})), plain(member(budget, {"headroom"})));
}

// "  2026-11-21T07:30:00Z  slot 0, pid 77, generation 1: "
std::string who_and_when(const Json& entry) {
  return common::format("  {}  slot {}, pid {}, generation {}: ", plain(member(entry, {"at"})),
                        plain(member(entry, {"slot"})), plain(member(entry, {"pid"})),
                        plain(member(entry, {"generation"})));
}

// "2026-11-21T07:30:00Z  slot 0, pid 77, generation 1: fds_leaked 312 (limit 256), left 300 open"
std::string recycle_line(const Json& recycle) {
  std::string line = who_and_when(recycle) + plain(member(recycle, {"reason"}));
  const Json& measured = member(recycle, {"measured"});
  const Json& limit = member(recycle, {"limit"});
  if (measured.is_number() && limit.is_number() && limit != 0) {
    line += common::format(" {:.10g} (limit {:.10g})", measured.get<double>(), limit.get<double>());
  }
  const Json& left_open = member(recycle, {"left_open"});
  if (left_open.is_number()) line += common::format(", left {} open", plain(left_open));
  return line + '\n';
}

std::string rest_line(const Json& entries) {
  if (entries.size() <= kEntriesShown) return "";
  return common::format("  and {} more\n", entries.size() - kEntriesShown);
}

// The latest few with their worst groups; all of it is in the JSON.
std::string recycles_text(const Json& recycles) {
  constexpr std::size_t kGroupsShown = 3;
  if (!recycles.is_array() || recycles.empty()) return "";
  std::string text = "\nlast recycles:\n";
  for (std::size_t i = 0; i < std::min(recycles.size(), kEntriesShown); ++i) {
    text += recycle_line(recycles[i]);
    const Json& spinning = member(recycles[i], {"spinning", "text"});
    if (spinning.is_string()) text += common::format("    spinning: {}\n", plain(spinning));
    const Json& groups = member(recycles[i], {"groups"});
    for (std::size_t j = 0; groups.is_array() && j < std::min(groups.size(), kGroupsShown); ++j) {
      text += common::format("    {}\n", plain(member(groups[j], {"text"})));
    }
  }
  return text + rest_line(recycles);
}

// "2026-11-21T07:30:00Z  slot 0, pid 77, generation 1: killed by SIGSEGV, in hand: GET /crash"
std::string crashes_text(const Json& crashes) {
  if (!crashes.is_array() || crashes.empty()) return "";
  std::string text = "\nlast crashes:\n";
  for (std::size_t i = 0; i < std::min(crashes.size(), kEntriesShown); ++i) {
    text += who_and_when(crashes[i]) + plain(member(crashes[i], {"end"}));
    const Json& request = member(crashes[i], {"request"});
    if (request.is_string()) text += ", in hand: " + shortened(plain(request), kRequestShown);
    text += '\n';
  }
  return text + rest_line(crashes);
}

std::string upgrade_text(const Json& upgrade) {
  std::string text;
  const Json& count = member(upgrade, {"count"});
  if (count.is_number() && count != 0) text += common::format("upgraded: {} times\n", plain(count));
  if (member(upgrade, {"state"}) == "running") text += "upgrade: under way\n";
  const Json& error = member(upgrade, {"last_error"});
  if (!error.is_null()) text += common::format("last upgrade failed: {}\n", plain(error));
  return text;
}

// "stored by the service manager: sockets 4, counters yes"
std::string stored_line(const Json& stored) {
  const Json& sockets = member(stored, {"sockets"});
  const bool has_counters = member(stored, {"counters"}) == true;
  if ((!sockets.is_number() || sockets == 0) && !has_counters) return "";
  return common::format("stored by the service manager: sockets {}, counters {}\n", plain(sockets),
                        has_counters ? "yes" : "no");
}

std::string listener_line(const Json& listener) {
  const Json& activated = member(listener, {"activated"});
  const bool is_activated = activated.is_number() && activated != 0;
  return common::format("listening on {}, sockets {}{}, steering {}\n", plain(member(listener, {"address"})),
                        plain(member(listener, {"sockets"})),
                        is_activated ? common::format(" ({} activated)", plain(activated)) : "",
                        plain(member(listener, {"steering"})));
}

}  // namespace

std::string render_status(const Json& status) {
  using enum Align;
  constexpr std::array<Align, kColumns> kAlignment = {kRight, kRight, kRight, kLeft,  kRight, kRight,
                                                      kRight, kRight, kRight, kRight, kRight, kLeft};
  std::string text = common::format(
      "master pid {}, generation {}, up {}, {} of {} descriptors\n", plain(member(status, {"master", "pid"})),
      plain(member(status, {"master", "generation"})), age(member(status, {"master", "uptime_s"})),
      plain(member(status, {"master", "fds"})), plain(member(status, {"master", "open_files", "soft"})));
  for (const Json& listener : member(status, {"listeners"})) {
    text += listener_line(listener);
  }
  text += stored_line(member(status, {"stored"}));
  text += budget_line(member(status, {"master", "budget"}));
  std::vector<Row> rows = {
      {"SLOT", "PID", "GEN", "STATE", "AGE", "REQUESTS", "CONNS", "RSS", "FDS", "LEAKED", "CLOSE_WAIT", "NOTES"}};
  for (const Json& worker : member(status, {"workers"})) rows.push_back(worker_row(worker));
  text += '\n' + render_table(rows, kAlignment);
  const std::string counted =
      counters("served", member(status, {"served"})) + counters("recycled", member(status, {"recycled"})) +
      counters("restarts", member(status, {"restarts"})) + upgrade_text(member(status, {"upgrade"}));
  if (!counted.empty()) text += '\n' + counted;
  text += recycles_text(member(status, {"recycles"})) + crashes_text(member(status, {"crashes"}));
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
