// DescriptorTarget: a process to be looked at from outside: it does what a test says, and waits until the test is done.
#pragma once

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <utility>

#include "common/unique_fd.h"

class DescriptorTarget {
 public:
  // `work` runs in the child; this returns when it has. What it returns is what the child tells in told().
  explicit DescriptorTarget(const std::function<int()>& work) {
    int down[2];
    int up[2];
    EXPECT_EQ(::pipe(down), 0);
    EXPECT_EQ(::pipe(up), 0);
    pid_ = ::fork();
    EXPECT_GE(pid_, 0);
    if (pid_ == 0) {
      ::close(down[1]);
      ::close(up[0]);
      const int result = work();
      bool ok = ::write(up[1], &result, sizeof result) == sizeof result;
      char byte;
      ok = ::read(down[0], &byte, 1) == 0 && ok;  // until the other end is closed
      ::_exit(ok ? 0 : 1);
    }
    ::close(down[0]);
    ::close(up[1]);
    end_.reset(down[1]);
    const common::UniqueFd answer(up[0]);
    EXPECT_EQ(::read(answer.get(), &told_, sizeof told_), static_cast<ssize_t>(sizeof told_));
  }
  DescriptorTarget(const DescriptorTarget&) = delete;
  DescriptorTarget& operator=(const DescriptorTarget&) = delete;
  ~DescriptorTarget() {
    end_.reset();
    if (!is_reaped_) ::waitpid(pid_, nullptr, 0);
  }

  pid_t pid() const { return pid_; }
  int told() const { return told_; }

  // Lets it end; it stays a zombie until the test is over.
  void end() {
    end_.reset();
    siginfo_t info{};
    EXPECT_EQ(::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOWAIT), 0);
  }
  void reap() {
    end();
    is_reaped_ = ::waitpid(pid_, nullptr, 0) == pid_;
  }

 private:
  pid_t pid_ = -1;
  int told_ = -1;
  bool is_reaped_ = false;
  common::UniqueFd end_;
};
