// Config load: applying the sources in order and checking the result.
#include "common/config_load.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <set>

#include "common/check.h"
#include "common/config_file.h"
#include "common/config_schema.h"
#include "common/config_value.h"
#include "common/format.h"
#include "common/utf8.h"

namespace common {
namespace {

// A value in a message: one line of bounded length.
std::string shown(std::string text) {
  constexpr std::size_t kShownMax = 60;
  std::replace(text.begin(), text.end(), '\n', ' ');
  if (text.size() <= kShownMax) return text;
  return std::string(cut_utf8(text, kShownMax)) + "...";
}

std::string did_you_mean(std::string_view suggestion) {
  return suggestion.empty() ? "; see supervisor --help-all" : common::format("; did you mean {}?", suggestion);
}

bool is_prefix(const std::vector<std::string>& prefix, const std::vector<std::string>& path) {
  return prefix.size() <= path.size() && std::equal(prefix.begin(), prefix.end(), path.begin());
}

// Where an assignment comes from, in the forms that are needed.
struct Place {
  std::string prefix;          // of a message about a key: "/etc/shop.toml:12: " or "--set a.b=5: "
  std::string section_prefix;  // of a message about its section
  std::string origin;
  enum class Kind { kFile, kOption } kind;
};

class Loader {
 public:
  explicit Loader(const Sources& sources) : sources_(sources) { loaded_.origins.assign(settings().size(), "default"); }

  std::expected<LoadedConfig, std::vector<std::string>> load() {
    if (!sources_.file.empty()) apply_file();
    for (const Override& item : sources_.environment) apply_override(item, "SUPERVISOR_ARGS: ", "SUPERVISOR_ARGS");
    for (const Override& item : sources_.command_line) apply_override(item, "", "command line");
    choose_app_path();
    check_pairs();
    check_bind();
    check_app_path();
    if (!mistakes_.empty()) return std::unexpected(std::move(mistakes_));
    finish_app();
    return std::move(loaded_);
  }

 private:
  void apply_file() {
    const auto assignments = read_config_file(sources_.file);
    if (!assignments) {
      mistakes_.push_back(assignments.error().message);
      file_is_unread_ = true;  // what it does not say, nobody knows
      return;
    }
    for (const Assignment& assignment : *assignments) {
      const std::string origin = common::format("{}:{}", sources_.file, assignment.line);
      const std::string section = common::format("{}:{}: ", sources_.file, assignment.section_line);
      apply(assignment, {origin + ": ", section, origin, Place::Kind::kFile});
    }
  }

  void apply_override(const Override& item, std::string_view source_prefix, const std::string& origin) {
    const std::string prefix = common::format("{}{}: ", source_prefix, item.written);
    const Place place{prefix, prefix, origin, Place::Kind::kOption};
    CHECK(!item.values.empty());
    if (item.syntax == Syntax::kToml) {
      const auto assignments = parse_set(item.key, item.values.front());
      if (!assignments) {
        mistakes_.push_back(place.prefix + assignments.error().message);
        return;
      }
      for (const Assignment& assignment : *assignments) apply(assignment, place);
      return;
    }
    RawValue value{item.values.front(), ""};
    if (item.values.size() > 1) value.data = item.values;
    const std::size_t dot = item.key.find('.');
    CHECK(dot != std::string::npos);
    apply({{item.key.substr(0, dot), item.key.substr(dot + 1)}, std::move(value)}, place);
  }

  void apply(const Assignment& assignment, const Place& place) {
    const std::vector<std::string>& path = assignment.path;
    if (path.front() == "app") {
      apply_app(assignment, place);
      return;
    }
    const std::string key = dotted_key(path);
    if (const auto index = find_setting(key)) {
      const auto assigned = assign(settings()[*index], assignment.value, loaded_.config);
      if (assigned) {
        loaded_.origins[*index] = place.origin;
      } else if (place.kind == Place::Kind::kFile) {
        mistakes_.push_back(
            common::format("{}{} = {}: {}", place.prefix, key, shown(assignment.value.written), assigned.error()));
      } else {
        mistakes_.push_back(place.prefix + assigned.error());
      }
      return;
    }
    if (is_later_key(key)) {
      mistakes_.push_back(common::format("{}{} is not available in this version; remove it", place.prefix, key));
      return;
    }
    refuse_unknown(assignment, key, place);
  }

  void refuse_unknown(const Assignment& assignment, const std::string& key, const Place& place) {
    const std::string& section = assignment.path.front();
    if (is_section(section)) {
      if (assignment.path.size() > 1) {
        mistakes_.push_back(common::format("{}{}: unknown key{}", place.prefix, key, did_you_mean(nearest_key(key))));
      } else if (assignment.value.written != "{}") {  // an empty [section] harms nobody
        mistakes_.push_back(common::format("{}{} is a section; write [{}] and its keys below", place.prefix, key, key));
      }
      return;
    }
    const bool is_table = assignment.path.size() > 1 || assignment.value.written == "{}";
    if (!is_table) {
      mistakes_.push_back(common::format("{}{}: unknown key{}", place.prefix, key, did_you_mean(nearest_key(key))));
    } else if (refused_sections_.insert(section).second || place.kind == Place::Kind::kOption) {
      mistakes_.push_back(common::format("{}{}: unknown section{}", place.section_prefix, dotted_key({section}),
                                         did_you_mean(nearest_section(section))));
    }
  }

  // A later source replaces a value by a table and the reverse, as if its text had stood there alone.
  void apply_app(const Assignment& assignment, const Place& place) {
    std::vector<std::string> path(assignment.path.begin() + 1, assignment.path.end());
    if (path.empty()) {
      if (assignment.value.written == "{}") return;
      mistakes_.push_back(place.prefix + "app is the application's table; write [app] and its keys below");
      return;
    }
    std::erase_if(loaded_.app_entries,
                  [&](const AppEntry& entry) { return is_prefix(entry.path, path) || is_prefix(path, entry.path); });
    const auto* text = std::get_if<std::string>(&assignment.value.data);
    const std::string& written = assignment.value.written;
    loaded_.app_entries.push_back({std::move(path), written, text != nullptr ? *text : written, place.origin});
  }

  void finish_app() {
    auto& entries = loaded_.app_entries;
    std::sort(entries.begin(), entries.end(), [](const AppEntry& a, const AppEntry& b) { return a.path < b.path; });
    for (const AppEntry& entry : entries) {
      const std::string key = dotted_key(entry.path);
      loaded_.config.app_toml += common::format("{} = {}\n", key, entry.value);
      loaded_.config.app.push_back({key, entry.plain});
    }
    std::sort(loaded_.config.app.begin(), loaded_.config.app.end(),
              [](const AppSetting& a, const AppSetting& b) { return a.key < b.key; });
  }

  // "restart.backoff_max ("50ms", /etc/shop.toml:3)"
  std::string named(std::string_view key) const {
    const std::size_t index = find_setting(key).value();
    return common::format("{} ({}, {})", key, render(settings()[index], loaded_.config), loaded_.origins[index]);
  }

  void check_pairs() {
    const Config& config = loaded_.config;
    const auto refuse_above = [&](bool above, std::string_view small, std::string_view large) {
      if (!above) return;
      mistakes_.push_back(
          common::format("{} must not exceed {}; lower the first or raise the second", named(small), named(large)));
    };
    refuse_above(config.restart.backoff_first > config.restart.backoff_max, "restart.backoff_first",
                 "restart.backoff_max");
    refuse_above(config.limits.open_files != 0 && config.limits.open_files_reserve > config.limits.open_files,
                 "limits.open_files_reserve", "limits.open_files");
    refuse_above(config.limits.open_files != 0 && config.limits.connections > config.limits.open_files,
                 "limits.connections", "limits.open_files");
  }

  // Port 0 may repeat: each is another free port.
  void check_bind() {
    const std::size_t index = find_setting("listen.bind").value();
    std::set<std::string> seen;
    for (const std::string& text : loaded_.config.listen.bind) {
      if (!seen.insert(text).second && !text.ends_with(":0")) {
        mistakes_.push_back(
            common::format("listen.bind ({}): \"{}\" stands there twice; remove one", loaded_.origins[index], text));
      }
    }
  }

  void choose_app_path() {
    if (sources_.app_path.empty()) return;
    loaded_.config.app_path = sources_.app_path;
    loaded_.origins[app_path_index()] = "command line";
  }

  void check_app_path() {
    const std::string& path = loaded_.config.app_path;
    if (path.empty()) {
      if (sources_.app == Sources::App::kNeeded && !file_is_unread_) {
        mistakes_.push_back(common::format(
            "{}: application.path is not set; name the application's shared object there, or on the command line",
            sources_.file.empty() ? "configuration" : sources_.file));
      }
      return;
    }
    const std::string named =
        sources_.app_path.empty() ? common::format("application.path ({}): ", loaded_.origins[app_path_index()]) : "";
    struct stat status{};
    if (::stat(path.c_str(), &status) != 0) {
      mistakes_.push_back(common::format("{}{}: {}; give the path of the application's shared object (app.so)", named,
                                         path, errno_text(errno)));
    } else if (!S_ISREG(status.st_mode)) {
      mistakes_.push_back(common::format(
          "{}{}: not a regular file; give the path of the application's shared object (app.so)", named, path));
    }
  }

  static std::size_t app_path_index() { return find_setting("application.path").value(); }

  const Sources& sources_;
  LoadedConfig loaded_;
  std::vector<std::string> mistakes_;
  bool file_is_unread_ = false;
  std::set<std::string> refused_sections_;
};

}  // namespace

std::expected<LoadedConfig, std::vector<std::string>> load_config(const Sources& sources) {
  return Loader(sources).load();
}

}  // namespace common
