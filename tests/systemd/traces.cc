// Traces: a search through /proc, the mounts and the control groups.
#include "traces.h"

#include <cctype>
#include <filesystem>
#include <istream>
#include <ostream>
#include <sstream>
#include <system_error>

#include "support/process_table.h"

namespace systemd {
namespace {

namespace fs = std::filesystem;

void find_processes(const Traces& traces, std::vector<std::string>& found) {
  std::error_code error;
  for (fs::directory_iterator it("/proc", error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename();
    if (std::isdigit(static_cast<unsigned char>(name[0])) == 0) continue;
    const std::string space = pid_namespace_of(static_cast<pid_t>(std::stol(name)));
    if (space.empty() || (space != traces.outer_pids && space != traces.inner_pids)) continue;
    found.push_back("process " + name + " " + support::read_text("/proc/" + name + "/comm"));
  }
}

// Mounts under the directory, and the control group in every hierarchy that is mounted here.
void find_mounts(const Traces& traces, std::vector<std::string>& found) {
  const std::string group = "/" + fs::path(traces.work).filename().string();
  std::istringstream mounts(support::read_text("/proc/self/mountinfo"));
  for (std::string line; std::getline(mounts, line);) {
    if (line.find(traces.work) != std::string::npos) found.push_back("mount " + line);
    if (line.find(" - cgroup") == std::string::npos) continue;
    std::istringstream fields(line);
    std::string skipped;
    std::string where;
    fields >> skipped >> skipped >> skipped >> skipped >> where;
    std::error_code error;
    for (fs::recursive_directory_iterator it(where, error), end; !error && it != end; it.increment(error)) {
      if (it->path().string().ends_with(group)) found.push_back("control group " + it->path().string());
    }
  }
}

}  // namespace

std::ostream& operator<<(std::ostream& out, const Traces& traces) {
  return out << traces.work << ' ' << traces.outer_pids << ' ' << traces.inner_pids << '\n';
}

std::istream& operator>>(std::istream& in, Traces& traces) {
  return in >> traces.work >> traces.outer_pids >> traces.inner_pids;
}

std::string pid_namespace_of(pid_t pid) {
  std::error_code error;
  return fs::read_symlink("/proc/" + std::to_string(pid) + "/ns/pid", error).string();
}

std::vector<std::string> leftovers(const Traces& traces) {
  std::vector<std::string> found;
  find_processes(traces, found);
  find_mounts(traces, found);
  for (const char* directory : {"/run/systemd/nspawn", "/var/lib/machines"}) {
    std::error_code error;
    for (fs::recursive_directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
      const std::string path = it->path();
      if (path.find(fs::path(traces.work).filename().string()) != std::string::npos) found.push_back("file " + path);
    }
  }
  if (fs::exists(traces.work)) found.push_back("directory " + traces.work);
  return found;
}

}  // namespace systemd
