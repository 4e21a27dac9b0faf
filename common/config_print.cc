// Config print: the effective configuration and the list of keys as text.
#include "common/config_print.h"

#include "common/config_schema.h"
#include "common/config_value.h"
#include "common/format.h"

namespace common {
namespace {

// Newlines in a file's name must not end the comment.
std::string comment(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  }
  return text;
}

std::string line(std::string_view key, std::string_view value, const std::string& origin) {
  return common::format("{:<44} # {}\n", common::format("{} = {}", key, value), comment(origin));
}

std::string_view name_of(std::string_view key) { return key.substr(key.find('.') + 1); }

}  // namespace

std::string print_config(const LoadedConfig& loaded) {
  std::string text;
  std::string_view section;
  for (std::size_t i = 0; i < settings().size(); ++i) {
    const Setting& setting = settings()[i];
    if (section_of(setting.key) != section) {
      if (!section.empty()) text += '\n';
      section = section_of(setting.key);
      text += common::format("[{}]\n", section);
    }
    text += line(name_of(setting.key), render(setting, loaded.config), loaded.origins[i]);
  }
  text += "\n[app]\n";
  for (const AppEntry& entry : loaded.app_entries) text += line(dotted_key(entry.path), entry.value, entry.origin);
  return text;
}

std::string print_config(const Config& config) {
  std::string text;
  for (const Setting& setting : settings()) {
    text += common::format("{} = {}\n", setting.key, render(setting, config));
  }
  return text + "[app]\n" + config.app_toml;
}

std::string print_schema() {
  const Config defaults;
  std::string text;
  for (const Setting& setting : settings()) {
    text += common::format("  {} = {}\n      {}\n      {}\n", setting.key, render(setting, defaults),
                           setting.description, allowed_values(setting));
  }
  return text;
}

}  // namespace common
