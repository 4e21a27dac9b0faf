// ProcessSample: what is read about processes we know everything about: this one, and one that is gone.
#include "master/process_sample.h"

#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>
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

TEST(ProcessSample, IsNotMisledByTheNameOfTheProcess) {
  char before[16] = {};
  ASSERT_EQ(::prctl(PR_GET_NAME, before), 0);
  ASSERT_EQ(::prctl(PR_SET_NAME, "a) R 1 (b 2 3"), 0);
  burn(20);
  const ProcessSample sample = sample_self();
  ASSERT_EQ(::prctl(PR_SET_NAME, before), 0);
  EXPECT_GE(sample.cpu_ns, 10'000'000U);
  EXPECT_LE(sample.cpu_ns, sample_self().cpu_ns);
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
