// Control path: deriving and choosing it.
#include "master/control_path.h"

#include "common/format.h"

namespace master {
namespace {

constexpr std::string_view kSystemDirectory = "/run/supervisor";

std::string_view app_name(std::string_view app_path) {
  std::string_view name = app_path.substr(app_path.rfind('/') + 1);  // npos + 1 is 0: the whole
  constexpr std::string_view kSuffix = ".so";
  if (name.size() > kSuffix.size() && name.ends_with(kSuffix)) name.remove_suffix(kSuffix.size());
  return name;
}

std::string join(const std::vector<std::string>& texts, std::string_view separator) {
  std::string joined;
  for (const std::string& text : texts) {
    if (!joined.empty()) joined += separator;
    joined += text;
  }
  return joined;
}

}  // namespace

std::string default_control_path(std::string_view app_path, const Environment& environment) {
  if (!environment.runtime_directory.empty()) {
    const std::string& directories = environment.runtime_directory;
    return directories.substr(0, directories.find(':')) + "/control.sock";
  }
  return common::format("{}/{}.sock", control_directories(environment).front(), app_name(app_path));
}

std::string unit_control_path(std::string_view app_path, const Environment& environment) {
  if (!environment.runtime_directory.empty()) return "";
  return common::format("{}/{}/control.sock", kSystemDirectory, app_name(app_path));
}

std::vector<std::string> control_directories(const Environment& environment) {
  std::vector<std::string> directories;
  if (!environment.xdg_runtime_dir.empty()) directories.push_back(environment.xdg_runtime_dir + "/supervisor");
  directories.emplace_back(kSystemDirectory);
  return directories;
}

common::Result<std::string> choose_control_path(const std::vector<std::string>& found,
                                                const std::vector<std::string>& directories) {
  if (found.size() == 1) return found.front();
  if (found.empty()) {
    return common::fail(common::format(
        "no control socket in {}; is a supervisor running? Say which with --control PATH", join(directories, " or ")));
  }
  return common::fail(common::format("several supervisors run; choose with --control PATH: {}", join(found, ", ")));
}

}  // namespace master
