// Inherited descriptors: what is listed, and what a forked child keeps.
#include "common/inherited_fds.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "common/unique_fd.h"

namespace {

using common::open_descriptors;
using common::UniqueFd;

// Whether `test` holds in a forked child, where closing everything harms nobody.
template <typename Test>
bool holds_in_child(Test test) {
  const pid_t pid = ::fork();
  if (pid == 0) ::_exit(test() ? 0 : 1);
  int status = -1;
  EXPECT_EQ(::waitpid(pid, &status, 0), pid);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

// What is left from 3 up.
std::vector<int> others() {
  std::vector<int> fds = open_descriptors();
  std::erase_if(fds, [](int fd) { return fd <= STDERR_FILENO; });
  return fds;
}

TEST(OpenDescriptors, ListsExactlyWhatIsOpenInOrder) {
  const std::vector<int> before = open_descriptors();
  EXPECT_TRUE(std::ranges::is_sorted(before));
  std::vector<int> expected = before;
  {
    const UniqueFd low(::dup(STDERR_FILENO));
    const UniqueFd high(::fcntl(STDERR_FILENO, F_DUPFD, 200));
    expected.push_back(low.get());
    expected.push_back(high.get());
    std::ranges::sort(expected);
    EXPECT_EQ(open_descriptors(), expected);
  }
  EXPECT_EQ(open_descriptors(), before);
}

TEST(CloseAllExcept, KeepsTheListedAndTheStandardOnes) {
  const UniqueFd first(::fcntl(STDERR_FILENO, F_DUPFD, 20));
  const UniqueFd second(::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 30));
  const UniqueFd third(::fcntl(STDERR_FILENO, F_DUPFD, 40));
  const std::vector<int> keep{first.get(), third.get()};
  EXPECT_TRUE(holds_in_child([&] {
    common::close_all_except(keep);
    return others() == keep && ::fcntl(STDERR_FILENO, F_GETFD) == 0;
  }));
  EXPECT_EQ(::fcntl(second.get(), F_GETFD), FD_CLOEXEC) << "the parent's are its own";
}

TEST(CloseAllExcept, ClosesEverythingWhenNothingIsToBeKept) {
  const UniqueFd fd(::fcntl(STDERR_FILENO, F_DUPFD, 300));
  EXPECT_TRUE(holds_in_child([] {
    common::close_all_except({});
    return others().empty();
  }));
}

TEST(CloseAllExcept, AcceptsNeighboursDuplicatesAndStandardOnes) {
  const UniqueFd first(::fcntl(STDERR_FILENO, F_DUPFD, 50));
  const UniqueFd second(::fcntl(STDERR_FILENO, F_DUPFD, first.get() + 1));
  const std::vector<int> keep{0, 1, 2, first.get(), first.get(), second.get()};
  EXPECT_TRUE(holds_in_child([&] {
    common::close_all_except(keep);
    return others() == std::vector<int>{first.get(), second.get()};
  }));
}

TEST(CloseAllExcept, OpensNothingForAListedOneThatIsNotOpen) {
  const std::vector<int> keep{700};
  EXPECT_TRUE(holds_in_child([&] {
    common::close_all_except(keep);
    return others().empty();
  }));
}

}  // namespace
