// ProcessSample: reading of /proc/PID/{fd,statm,stat,schedstat,smaps_rollup} (proc(5)).
#include "master/process_sample.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <fstream>
#include <string>
#include <string_view>

#include "common/unique_fd.h"

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

// One line of numbers, as /proc writes them. A stream would cost more than the kernel's part.
class Line {
 public:
  Line(pid_t pid, const char* name) {
    const common::UniqueFd file(open(path_of(pid, name).c_str(), O_RDONLY | O_CLOEXEC));
    if (!file) return;
    const ssize_t size = read(file.get(), text_.data(), text_.size());
    if (size > 0) rest_ = {text_.data(), static_cast<std::size_t>(size)};
  }
  Line(const Line&) = delete;
  Line& operator=(const Line&) = delete;

  void skip_past_last(char mark) {
    const std::size_t at = rest_.rfind(mark);
    rest_.remove_prefix(at == rest_.npos ? rest_.size() : at + 1);
  }
  std::string_view word() {
    rest_.remove_prefix(std::min(rest_.find_first_not_of(' '), rest_.size()));
    const std::string_view found = rest_.substr(0, rest_.find_first_of(" \n"));
    rest_.remove_prefix(found.size());
    return found;
  }
  std::uint64_t number() {
    const std::string_view digits = word();
    std::uint64_t value = 0;
    std::from_chars(digits.data(), digits.data() + digits.size(), value);
    return value;
  }

 private:
  std::array<char, 1024> text_;  // stat is the longest: 52 numbers of at most 20 digits, most of them far shorter
  std::string_view rest_;
};

std::uint64_t ticks_to_ns(std::uint64_t ticks) {
  return ticks * (1'000'000'000ULL / static_cast<std::uint64_t>(sysconf(_SC_CLK_TCK)));
}

std::uint64_t soft_limit(pid_t pid) {
  rlimit limit{};
  return prlimit(pid, RLIMIT_NOFILE, nullptr, &limit) == 0 ? limit.rlim_cur : 0;
}

}  // namespace

common::Result<ProcessSample> sample_process(pid_t pid) {
  const auto fds = count_fds(pid);
  if (!fds) return std::unexpected(fds.error());
  ProcessSample sample{.fds = *fds};

  Line statm(pid, "statm");
  statm.word();  // the whole address space
  sample.rss_bytes = statm.number() * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));

  Line stat_line(pid, "stat");
  stat_line.skip_past_last(')');  // the name in parentheses may hold blanks and more of them
  const std::string_view state = stat_line.word();
  if (!state.empty()) sample.state = state.front();
  for (int field = 4; field < 14; ++field) stat_line.word();
  const std::uint64_t user = stat_line.number();
  const std::uint64_t system = stat_line.number();
  sample.cpu_ns = ticks_to_ns(user + system);

  Line schedstat(pid, "schedstat");
  const std::uint64_t ran = schedstat.number();
  sample.main_cpu_ns = ran + schedstat.number();  // and has waited for a CPU (sched-stats.rst of the kernel)
  sample.open_files_soft = soft_limit(pid);
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
