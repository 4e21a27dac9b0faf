// ProcessSample: reading of /proc/PID/{fd,statm,stat,smaps_rollup} (proc(5)).
#include "master/process_sample.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <sstream>
#include <string>

namespace master {
namespace {

std::string path_of(pid_t pid, const char* name) { return "/proc/" + std::to_string(pid) + "/" + name; }

common::Result<std::uint64_t> count_fds(pid_t pid) {
  const std::string path = path_of(pid, "fd");
  struct stat directory{};
  if (stat(path.c_str(), &directory) < 0) return common::fail_errno("stat " + path, errno);
  // Since Linux 6.2 the size is the number of open descriptors; before, it is 0.
  if (directory.st_size > 0) return static_cast<std::uint64_t>(directory.st_size);
  DIR* list = opendir(path.c_str());
  if (list == nullptr) return common::fail_errno("open " + path, errno);
  std::uint64_t count = 0;
  while (const dirent* entry = readdir(list)) count += entry->d_name[0] != '.' ? 1 : 0;
  closedir(list);
  return count;
}

std::uint64_t ticks_to_ns(std::uint64_t ticks) {
  return ticks * (1'000'000'000ULL / static_cast<std::uint64_t>(sysconf(_SC_CLK_TCK)));
}

}  // namespace

common::Result<ProcessSample> sample_process(pid_t pid) {
  const auto fds = count_fds(pid);
  if (!fds) return std::unexpected(fds.error());
  ProcessSample sample{.fds = *fds, .rss_bytes = 0, .cpu_ns = 0};

  std::ifstream statm(path_of(pid, "statm"));
  std::uint64_t pages = 0;
  std::uint64_t resident = 0;
  if (statm >> pages >> resident) sample.rss_bytes = resident * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));

  std::ifstream stat_file(path_of(pid, "stat"));
  std::string line;
  std::getline(stat_file, line);
  // The name in parentheses may hold blanks: fields are counted from behind it. 14 and 15 are utime and stime.
  const auto after_name = line.rfind(')');
  if (after_name != std::string::npos) {
    std::istringstream fields(line.substr(after_name + 1));
    std::string skipped;
    for (int field = 3; field < 14; ++field) fields >> skipped;
    std::uint64_t user = 0;
    std::uint64_t system = 0;
    if (fields >> user >> system) sample.cpu_ns = ticks_to_ns(user + system);
  }
  return sample;
}

std::uint64_t read_pss(pid_t pid) {
  std::ifstream rollup(path_of(pid, "smaps_rollup"));
  for (std::string word; rollup >> word;) {
    std::uint64_t kib = 0;
    if (word == "Pss:" && rollup >> kib) return kib * 1024;
  }
  return 0;
}

}  // namespace master
