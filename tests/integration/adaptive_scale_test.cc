// Workers that follow the load: the whole way from a busy loop to a further worker, and back.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <string>
#include <thread>
#include <vector>

#include "support/supervisor_process.h"

namespace {

using namespace std::chrono_literals;
using support::Deadline;
using support::Status;
using support::SupervisorProcess;
using testing::HasSubstr;

// A look at the workers each 20 ms instead of each second: a minute is a second and a little.
std::vector<std::string> range(const char* workers) {
  return support::joined({{"--workers", workers}, support::set("recycle.interval", "\"20ms\"")});
}

// Clients of a handler that blocks: more of them at a time than workers.
class BlockingLoad {
 public:
  explicit BlockingLoad(const SupervisorProcess& server) {
    EXPECT_FALSE(server.address().empty());  // asked for once, before several threads do
    for (int i = 0; i < 6; ++i) {
      clients_.emplace_back([this, &server] {
        while (!stopped_) {
          if (server.get("/sleep?ms=30", Deadline(20s)).status == 200) continue;
          ++failed_;
        }
      });
    }
  }
  ~BlockingLoad() { stop(); }
  BlockingLoad(const BlockingLoad&) = delete;
  BlockingLoad& operator=(const BlockingLoad&) = delete;

  int stop() {
    stopped_ = true;
    clients_.clear();
    return failed_;
  }

 private:
  std::atomic<bool> stopped_ = false;
  std::atomic<int> failed_ = 0;
  std::vector<std::jthread> clients_;
};

TEST(AdaptiveScale, AddsWorkersUnderLoadAndTakesThemAwayAfterwards) {
  SupervisorProcess server({.arguments = range("1:3")});
  ASSERT_TRUE(server.wait_ready(1));
  BlockingLoad load(server);
  ASSERT_TRUE(server.wait_ready(3, Deadline(30s)));
  EXPECT_THAT(server.output(), HasSubstr("scaling: busy "));
  EXPECT_EQ(load.stop(), 0) << "requests failed";
  EXPECT_TRUE(server.wait_status([](const Status& now) { return now.workers.size() == 1; }, Deadline(60s)));
  EXPECT_EQ(server.get("/hello").status, 200);
}

TEST(AdaptiveScale, KeepsAnOperatorsNumberWithinTheRange) {
  SupervisorProcess server({.arguments = support::joined({{"--workers", "2:3"}})});
  ASSERT_TRUE(server.wait_ready(2));
  EXPECT_EQ(server.control("POST", "/scale?workers=9").status / 100, 2);
  EXPECT_TRUE(server.wait_ready(3));
  server.signal(SIGTTIN);
  EXPECT_EQ(server.control("POST", "/scale?workers=1").status / 100, 2);
  EXPECT_TRUE(server.wait_status([](const Status& now) { return now.workers.size() == 2; }, Deadline(20s)));
}

}  // namespace
