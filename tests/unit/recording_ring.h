// RecordingRing: what a worker has armed, as a kernel would see it, and completions as a test wants them.
//
// It insists on what the real one needs: that an operation is not armed twice, for two operations with one tag could
// not be told apart, and that only what is there is cancelled.
#pragma once

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <map>
#include <utility>
#include <vector>

#include "common/unique_fd.h"
#include "worker/operation.h"

namespace test_stage {

class RecordingRing : public worker::AcceptRing {
 public:
  using Key = std::pair<worker::Op, std::uint32_t>;
  enum class Armed { kOnce, kMultishot, kCancelling };

  void arm_accept(int, worker::Tag tag, worker::Repeat repeat) override {
    arm(tag, repeat == worker::Repeat::kOnce ? Armed::kOnce : Armed::kMultishot);
  }
  void arm_readable(int, worker::Tag tag) override { arm(tag, Armed::kOnce); }
  void arm_cancel(worker::Tag victim) override {
    const auto found = armed_.find({victim.op, victim.index});
    ASSERT_NE(found, armed_.end()) << "cancels what is not armed";
    EXPECT_NE(found->second, Armed::kCancelling) << "cancels twice";
    found->second = Armed::kCancelling;
  }

  bool is(worker::Op op, std::uint32_t index, Armed state) const {
    const auto found = armed_.find({op, index});
    return found != armed_.end() && found->second == state;
  }
  bool has(worker::Op op, std::uint32_t index = 0) const { return armed_.contains({op, index}); }
  bool empty() const { return armed_.empty(); }
  int armings() const { return armings_; }

  // A completion with `result`. One-shot operations end with it, and multishot ones with a failure.
  worker::Completion complete(worker::Op op, std::uint32_t index, int result) {
    const auto found = armed_.find({op, index});
    if (found == armed_.end()) {
      ADD_FAILURE() << "nothing armed could complete";
      return end(op, index, result);
    }
    const bool ends = result < 0 || found->second == Armed::kOnce || op == worker::Op::kListener;
    if (!ends) return {{op, index}, result, worker::Completion::More::kYes, {}, std::nullopt};
    return end(op, index, result);
  }
  // The last completion of a multishot operation.
  worker::Completion end(worker::Op op, std::uint32_t index, int result) {
    armed_.erase({op, index});
    return {{op, index}, result, worker::Completion::More::kNo, {}, std::nullopt};
  }
  // Everything whose cancellation was asked for, as it comes back.
  std::vector<worker::Completion> cancelled() {
    std::vector<worker::Completion> all;
    for (auto it = armed_.begin(); it != armed_.end();) {
      const auto [key, state] = *it;
      if (state == Armed::kCancelling) all.push_back({{key.first, key.second}, -ECANCELED, {}, {}, std::nullopt});
      it = state == Armed::kCancelling ? armed_.erase(it) : std::next(it);
    }
    return all;
  }

 private:
  void arm(worker::Tag tag, Armed how) {
    ++armings_;
    EXPECT_TRUE(armed_.emplace(Key(tag.op, tag.index), how).second) << "armed twice";
  }

  std::map<Key, Armed> armed_;
  int armings_ = 0;
};

// A listening socket of an abstract name that the kernel chose.
inline common::UniqueFd listening_unix_socket() {
  common::UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un any{};
  any.sun_family = AF_UNIX;
  EXPECT_EQ(bind(fd.get(), reinterpret_cast<const sockaddr*>(&any), sizeof any.sun_family), 0);
  EXPECT_EQ(listen(fd.get(), 64), 0);
  return fd;
}

// A client of that socket, in its queue.
inline common::UniqueFd connect_to(int listener) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  EXPECT_EQ(getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size), 0);
  common::UniqueFd fd(socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_EQ(connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), size), 0);
  return fd;
}

}  // namespace test_stage
