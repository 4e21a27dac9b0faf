// ChildProcess: fork(2), and the end of a session.
#include "child_process.h"

#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <sstream>
#include <stdexcept>
#include <string>
#include <system_error>

#include "support/deadline.h"
#include "support/process_table.h"

namespace incidents {
namespace {

// Time on a processor and time in the queue for one, of all threads (/proc/PID/task/TID/schedstat).
common::Duration wanted_processor(pid_t pid) {
  common::Duration sum{0};
  std::error_code error;
  for (std::filesystem::directory_iterator it("/proc/" + std::to_string(pid) + "/task", error), end;
       !error && it != end; it.increment(error)) {
    std::istringstream fields(support::read_text(it->path() / "schedstat"));
    std::int64_t ran = 0;
    std::int64_t waited = 0;
    if (fields >> ran >> waited) sum += std::chrono::nanoseconds(ran + waited);
  }
  return sum;
}

}  // namespace

ChildProcess::ChildProcess(const std::function<void()>& body, std::optional<std::uint64_t> open_files) {
  pid_ = ::fork();
  if (pid_ < 0) throw std::runtime_error("fork failed");
  if (pid_ > 0) return;
  ::setsid();
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (open_files) {
    const rlimit limit{.rlim_cur = *open_files, .rlim_max = *open_files};
    ::setrlimit(RLIMIT_NOFILE, &limit);
  }
  body();
  ::_exit(0);
}

ChildProcess::~ChildProcess() {
  const auto others = [this] {
    int living = 0;
    for (const support::ProcessEntry& entry : support::processes_of(pid_, "of this session only")) {
      const bool ours = entry.parent == ::getpid();  // left to us, if a server of ours has made us a subreaper
      if (!ours || ::waitpid(entry.pid, nullptr, WNOHANG) != entry.pid) ++living;
    }
    return living;
  };
  ::kill(-pid_, SIGKILL);  // its group: it leads the session, and what it starts stays in the group
  ::kill(pid_, SIGKILL);   // in case it has not come to setsid()
  ::waitpid(pid_, nullptr, 0);
  EXPECT_TRUE(support::wait_until([&] { return others() == 0; })) << "a process was left behind";
}

double processor_share(pid_t pid, common::Duration span) {
  const auto used = [pid] {
    const std::optional<support::ProcessEntry> entry = support::process(pid);
    return entry ? entry->cpu : common::Duration::zero();
  };
  const common::TimePoint begin = common::Clock::now();
  const common::Duration before = used();
  support::holds_for(span, [] { return true; });
  const std::chrono::duration<double> more = used() - before;
  const std::chrono::duration<double> elapsed = common::Clock::now() - begin;
  return more / elapsed;
}

bool spins(pid_t pid) {
  return support::wait_until([pid] {
    constexpr common::Duration kSpan = std::chrono::milliseconds(500);
    const common::Duration before = wanted_processor(pid);
    support::holds_for(kSpan, [] { return true; });
    return wanted_processor(pid) - before > kSpan * 8 / 10;
  });
}

}  // namespace incidents
