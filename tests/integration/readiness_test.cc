// Readiness: an application says itself when a worker can serve.
#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <future>
#include <string>

#include "support/process_table.h"
#include "support/supervisor_process.h"

namespace {

using support::Deadline;
using support::Status;
using support::SupervisorProcess;

class Warmth {
 public:
  void write(std::string_view text) const { std::ofstream(path()) << text; }
  void take_away() const { std::filesystem::remove(path()); }
  support::SupervisorOptions options(std::string_view start_timeout = "30s") const {
    return {.arguments = support::joined({{"-w", "2"},
                                          support::set("app.warm", '"' + path() + '"'),
                                          support::set("workers.start_timeout", start_timeout),
                                          support::set("restart.backoff_first", "10ms"),
                                          support::set("restart.failures_max", "2")}),
            .app = support::application("warms_up")};
  }

 private:
  std::string path() const { return directory_.path("warm"); }
  support::TemporaryDirectory directory_;
};

bool all_start(const Status& status) {
  return status.workers.size() == 2 && status.workers[0].state == "starting" && status.workers[1].state == "starting";
}

TEST(Readiness, IsTheApplicationsToSay) {
  const Warmth warmth;
  SupervisorProcess server(warmth.options());
  ASSERT_TRUE(server.wait_status(all_start)) << server.output();
  auto early = std::async(std::launch::async, [&] { return server.get("/"); });
  EXPECT_EQ(early.wait_for(std::chrono::milliseconds(200)), std::future_status::timeout) << "nobody serves yet";
  EXPECT_TRUE(all_start(server.status().value()));
  warmth.write("yes");
  ASSERT_TRUE(server.wait_ready(2)) << server.output();
  EXPECT_EQ(early.get().body, "warm\n") << "who came early has waited";
}

TEST(Readiness, HasToComeWithinTheTimeForAStart) {
  const Warmth warmth;
  SupervisorProcess server(warmth.options("300ms"));
  EXPECT_EQ(server.wait_exit(), 3);
  EXPECT_NE(server.output().find("not ready within workers.start_timeout"), std::string::npos) << server.output();
}

TEST(Readiness, MayFail) {
  const Warmth warmth;
  warmth.write("throw");
  SupervisorProcess server(warmth.options());
  EXPECT_EQ(server.wait_exit(), 3);
  EXPECT_NE(server.output().find("worker_ready failed: the cache is broken"), std::string::npos) << server.output();
}

TEST(Readiness, IsWhatAReloadWaitsFor) {
  const Warmth warmth;
  warmth.write("yes");
  // Also what a worker has that is warm, and a template that loads.
  const auto start_timeout = common::ceil_milliseconds(support::patience(std::chrono::seconds(2)));
  SupervisorProcess server(warmth.options(std::to_string(start_timeout) + "ms"));
  ASSERT_TRUE(server.wait_ready(2));
  const pid_t old = server.worker(0);
  warmth.take_away();
  const support::HttpResponse refused = server.control("POST", "/reload");
  EXPECT_EQ(refused.status, 409) << refused.body;
  EXPECT_EQ(server.worker(0), old);
  EXPECT_EQ(server.get("/").body, "warm\n");
  warmth.write("yes");
  EXPECT_EQ(server.control("POST", "/reload").status, 200);
}

TEST(Readiness, IsNotWaitedForByAStop) {
  const Warmth warmth;
  SupervisorProcess server(warmth.options());
  ASSERT_TRUE(server.wait_status(all_start)) << server.output();
  server.signal(SIGTERM);
  EXPECT_EQ(server.wait_exit(Deadline(std::chrono::seconds(10))), 0);
}

}  // namespace
