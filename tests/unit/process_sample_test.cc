// ProcessSample: what is read about processes we know everything about: this one, and one that is gone.
#include "master/process_sample.h"

#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <ctime>
#include <thread>
#include <vector>

#include "common/inherited_fds.h"
#include "common/unique_fd.h"

namespace {

using master::ProcessSample;
using master::sample_process;

ProcessSample sample_self() {
  const auto sample = sample_process(::getpid());
  EXPECT_TRUE(sample.has_value()) << sample.error().message;
  return sample.value_or(ProcessSample{});
}

// Burns CPU time, not wall time, so the claim holds on a busy machine.
void burn(std::clock_t milliseconds) {
  const std::clock_t end = std::clock() + milliseconds * CLOCKS_PER_SEC / 1000;
  while (std::clock() < end) {
  }
}

pid_t pid_of_the_dead() {
  const pid_t pid = ::fork();
  if (pid == 0) ::_exit(0);
  EXPECT_EQ(::waitpid(pid, nullptr, 0), pid);
  return pid;
}

TEST(ProcessSample, CountsEveryDescriptor) {
  EXPECT_EQ(sample_self().fds, common::open_descriptors().size());
  const std::uint64_t before = sample_self().fds;
  std::vector<common::UniqueFd> more;
  more.reserve(100);
  for (int i = 0; i < 100; ++i) more.emplace_back(::dup(STDERR_FILENO));
  EXPECT_EQ(sample_self().fds, before + 100);
  more.clear();
  EXPECT_EQ(sample_self().fds, before);
}

TEST(ProcessSample, SeesMemoryThatIsTouched) {
  constexpr std::size_t kBytes = 64 * 1024 * 1024;
  const std::uint64_t before = sample_self().rss_bytes;
  EXPECT_GT(before, 100'000U);
  const std::vector<char> memory(kBytes, 'x');
  EXPECT_GT(sample_self().rss_bytes, before + kBytes / 2) << memory[0];
}

TEST(ProcessSample, SeesCpuTimeThatIsUsed) {
  const std::uint64_t before = sample_self().cpu_ns;
  burn(50);
  EXPECT_GE(sample_self().cpu_ns, before + 30'000'000);  // whole ticks of 10 ms, and one may be missing at either end
}

// schedstat counts a running thread up to its last switch or tick, so one tick may be missing.
TEST(ProcessSample, TellsTheMainThreadsCpuTimeFromThatOfOthers) {
  const std::uint64_t before = sample_self().main_cpu_ns;
  ASSERT_GT(before, 0U);
  std::thread(burn, 100).join();
  const std::uint64_t after_other = sample_self().main_cpu_ns;
  EXPECT_LT(after_other, before + 50'000'000);
  burn(100);
  EXPECT_GE(sample_self().main_cpu_ns, after_other + 80'000'000);
}

TEST(ProcessSample, SeesThatAProcessIsStopped) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    for (;;) ::pause();
  }
  ASSERT_EQ(::kill(pid, SIGSTOP), 0);
  ASSERT_EQ(::waitpid(pid, nullptr, WUNTRACED), pid);
  EXPECT_EQ(sample_process(pid).value_or(ProcessSample{}).state, 'T');
  ASSERT_EQ(::kill(pid, SIGKILL), 0);
  siginfo_t info{};
  ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOWAIT), 0);
  EXPECT_EQ(sample_process(pid).value_or(ProcessSample{}).state, 'Z');
  ASSERT_EQ(::waitpid(pid, nullptr, 0), pid);
  EXPECT_EQ(sample_self().state, 'R');
}

TEST(ProcessSample, SeesThatTheLimitOfOpenFilesChanges) {
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_EQ(sample_self().open_files_soft, before.rlim_cur);
  rlimit lower = before;
  lower.rlim_cur = before.rlim_cur - 1;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &lower), 0);
  EXPECT_EQ(sample_self().open_files_soft, before.rlim_cur - 1);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
}

TEST(ProcessSample, IsNotMisledByTheNameOfTheProcess) {
  char before[16] = {};
  ASSERT_EQ(::prctl(PR_GET_NAME, before), 0);
  ASSERT_EQ(::prctl(PR_SET_NAME, "a) R 1 (b 2 3"), 0);
  burn(20);
  const ProcessSample sample = sample_self();
  ASSERT_EQ(::prctl(PR_SET_NAME, before), 0);
  EXPECT_GE(sample.cpu_ns, 10'000'000U);
  EXPECT_LE(sample.cpu_ns, sample_self().cpu_ns);
  EXPECT_EQ(sample.state, 'R');
}

TEST(ProcessSample, SaysThatAProcessIsGone) {
  const pid_t pid = pid_of_the_dead();
  const auto sample = sample_process(pid);
  ASSERT_FALSE(sample.has_value());
  EXPECT_EQ(sample.error().errnum, ENOENT);
  EXPECT_NE(sample.error().message.find(std::to_string(pid)), std::string::npos) << sample.error().message;
}

TEST(ReadPss, IsPositiveForTheLivingAndZeroForTheDead) {
  EXPECT_GT(master::read_pss(::getpid()), 0U);
  EXPECT_EQ(master::read_pss(pid_of_the_dead()), 0U);
}

}  // namespace
