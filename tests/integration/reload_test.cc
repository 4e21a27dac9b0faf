// Reload: configuration and application change under load, or do not change at all.
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <future>
#include <string>
#include <vector>

#include "common/json.h"
#include "support/environment.h"
#include "support/load_generator.h"
#include "support/process_table.h"
#include "support/signal.h"
#include "support/supervisor_process.h"

namespace {

using support::Deadline;
using support::LoadGenerator;
using support::LoadMode;
using support::LoadReport;
using support::Status;
using support::SupervisorProcess;

// A configuration file and an application that a test replaces as a deployment does, by rename(2).
class Deployment {
 public:
  explicit Deployment(const std::string& configuration, const std::string& app = "torture") {
    deploy(app);
    configure(configuration);
  }

  void deploy(const std::string& app) const {
    std::filesystem::copy_file(support::application(app), directory_.path("new.so"));
    std::filesystem::rename(directory_.path("new.so"), this->app());
  }
  void configure(const std::string& text) const { std::ofstream(file()) << text; }

  std::string app() const { return directory_.path("app.so"); }
  std::string file() const { return directory_.path("app.toml"); }

  support::SupervisorOptions options() const { return {.arguments = {"--config", file()}, .app = app()}; }

 private:
  support::TemporaryDirectory directory_;
};

std::string error_of(const support::HttpResponse& response) {
  const common::Json body = common::Json::parse(response.body, nullptr, false);
  return body.is_object() ? body.value("error", "") : "";
}

// What a reload leaves behind ends after its answer: workers that drain, and the template that forked them.
bool wait_alone(const SupervisorProcess& server, std::size_t workers) {
  return support::wait_until([&] { return support::children_of(server.pid()).size() == workers + 1; });
}

// All ready workers are of this generation, and they are this many.
bool serves(const SupervisorProcess& server, int generation, std::size_t workers) {
  const common::Result<Status> status = server.status();
  if (!status || status->generation != generation) return false;
  const auto ready = status->ready_by_slot();
  return ready.size() == workers &&
         std::ranges::all_of(ready, [generation](const auto& entry) { return entry.second.generation == generation; });
}

TEST(Reload, ReplacesEveryWorkerAndLosesNoRequest) {
  const Deployment deployment("[workers]\ncount = 3\n");
  SupervisorProcess server(deployment.options());
  ASSERT_TRUE(server.wait_ready(3));
  LoadGenerator fresh({.address = server.address(), .mode = LoadMode::kNewConnection, .threads = 2});
  LoadGenerator kept({.address = server.address(), .mode = LoadMode::kKeepAlive, .threads = 2});
  ASSERT_TRUE(fresh.wait_for_answers(20) && kept.wait_for_answers(20));
  for (int generation = 2; generation <= 4; ++generation) {
    const support::HttpResponse answer = server.control("POST", "/reload");
    ASSERT_EQ(answer.status, 200) << answer.body;
    EXPECT_TRUE(serves(server, generation, 3)) << "the answer comes when it is done";
    EXPECT_TRUE(fresh.wait_for_answers(20) && kept.wait_for_answers(20));
  }
  for (LoadGenerator* load : {&fresh, &kept}) {
    const LoadReport report = load->stop();
    EXPECT_EQ(report.failed(), 0U) << report;
  }
}

TEST(Reload, IsWhatHupAsksFor) {
  const Deployment deployment("[workers]\ncount = 2\n");
  SupervisorProcess server(deployment.options());
  ASSERT_TRUE(server.wait_ready(2));
  server.signal(SIGHUP);
  EXPECT_TRUE(support::wait_until([&] { return serves(server, 2, 2); }, Deadline()));
}

TEST(Reload, BringsTheNewApplication) {
  const Deployment deployment("[workers]\ncount = 1\n", "torture");
  SupervisorProcess server(deployment.options());
  ASSERT_TRUE(server.wait_ready(1));
  EXPECT_EQ(server.get("/pid").body, std::to_string(server.worker(0)) + "\n") << "of torture.so";
  deployment.deploy("hello");
  ASSERT_EQ(server.control("POST", "/reload").status, 200);
  EXPECT_TRUE(server.get("/pid").body.starts_with("hello")) << "hello.so says the same everywhere";
}

TEST(Reload, ChangesTheNumberOfWorkers) {
  const Deployment deployment("[workers]\ncount = 2\n");
  SupervisorProcess server(deployment.options());
  ASSERT_TRUE(server.wait_ready(2));
  for (const std::size_t count : {4U, 1U, 3U}) {
    deployment.configure("[workers]\ncount = " + std::to_string(count) + "\n");
    ASSERT_EQ(server.control("POST", "/reload").status, 200);
    EXPECT_TRUE(support::wait_until(
        [&] {
          const auto status = server.status();
          return status && status->ready_by_slot().size() == count && status->workers.size() == count;
        },
        Deadline()))
        << count << " workers";
  }
}

TEST(Reload, ChangesAddresses) {
  const Deployment deployment("[workers]\ncount = 2\n[listen]\nbind = [\"127.0.0.1:0\", \"127.0.1.1:0\"]\n");
  SupervisorProcess server(
      {.arguments = {"--config", deployment.file()}, .app = deployment.app(), .defaults = support::Defaults::kControl});
  ASSERT_TRUE(server.wait_ready(2));
  const std::string kept = server.address(0);
  const std::string dropped = server.address(1);
  ASSERT_TRUE(support::HttpClient::connect(dropped, Deadline()).has_value());
  deployment.configure("[workers]\ncount = 2\n[listen]\nbind = [\"127.0.0.1:0\", \"127.0.2.1:0\"]\n");
  ASSERT_EQ(server.control("POST", "/reload").status, 200);
  const common::Result<Status> status = server.status();
  ASSERT_TRUE(status.has_value());
  EXPECT_EQ(status->listeners.at(0).address, kept) << "port 0 stays what it was";
  const std::string added = status->listeners.at(1).address;
  EXPECT_TRUE(added.starts_with("127.0.2.1:")) << added;
  for (const std::string& address : {kept, added}) {
    common::Result<support::HttpClient> client = support::HttpClient::connect(address, Deadline());
    ASSERT_TRUE(client.has_value()) << address;
    ASSERT_TRUE(client->send(support::get_request("/hello")));
    EXPECT_EQ(client->read().response.status, 200) << address;
  }
  EXPECT_TRUE(
      support::wait_until([&] { return !support::HttpClient::connect(dropped, Deadline()).has_value(); }, Deadline()))
      << "the old address is closed";
}

TEST(Reload, TellsAllMistakesOfTheConfigurationAndChangesNothing) {
  const Deployment deployment("[workers]\ncount = 2\n");
  SupervisorProcess server(deployment.options());
  ASSERT_TRUE(server.wait_ready(2));
  const pid_t before = server.worker(0);
  deployment.configure("[workers]\ncount = \"many\"\n[timeouts]\nheaders = \"5s\"\n");
  const support::HttpResponse answer = server.control("POST", "/reload");
  EXPECT_EQ(answer.status, 409);
  EXPECT_NE(error_of(answer).find("workers.count"), std::string::npos) << answer.body;
  EXPECT_NE(error_of(answer).find("timeouts.headers"), std::string::npos) << answer.body;
  EXPECT_EQ(server.worker(0), before);
  EXPECT_TRUE(serves(server, 1, 2));
  const common::Json status = common::Json::parse(server.control("GET", "/status").body);
  EXPECT_EQ(status["reload"]["state"], "failed");
  EXPECT_EQ("reload refused, everything stays as it was: " + status["reload"]["last_error"].get<std::string>(),
            error_of(answer));
}

class RefusedReload : public testing::TestWithParam<std::string> {};

TEST_P(RefusedReload, LeavesTheGenerationWhole) {
  const Deployment deployment("[workers]\ncount = 2\n");
  SupervisorProcess server(deployment.options());
  ASSERT_TRUE(server.wait_ready(2));
  const pid_t first = server.worker(0);
  deployment.deploy(GetParam());
  const support::HttpResponse answer = server.control("POST", "/reload");
  EXPECT_EQ(answer.status, 409) << answer.body;
  EXPECT_EQ(server.worker(0), first) << "no worker was touched";
  // The old generation still replaces what crashes, from a template that has the old application.
  const pid_t second = server.worker(1);
  ASSERT_TRUE(support::send_signal(second, SIGKILL));
  EXPECT_TRUE(support::wait_until([&] { return server.worker(1) != second && serves(server, 1, 2); }, Deadline()));
  EXPECT_EQ(server.get("/pid").status, 200);
  // And a good application can be loaded afterwards.
  deployment.deploy("torture");
  EXPECT_EQ(server.control("POST", "/reload").status, 200);
}

INSTANTIATE_TEST_SUITE_P(Broken, RefusedReload,
                         testing::Values("load_fails", "load_throws", "load_crashes", "load_exits", "no_symbol",
                                         "worker_start_fails", "worker_start_throws", "handler_unknown"),
                         [](const auto& each) { return each.param; });

TEST(Reload, OfAnAddressInUseIsRefused) {
  const Deployment deployment("[workers]\ncount = 2\n");
  SupervisorProcess other({.arguments = {"--workers", "1"}});
  ASSERT_TRUE(other.wait_ready(1));
  deployment.configure("[workers]\ncount = 2\n[listen]\nbind = [\"127.0.0.1:0\"]\n");
  SupervisorProcess server(
      {.arguments = {"--config", deployment.file()}, .app = deployment.app(), .defaults = support::Defaults::kControl});
  ASSERT_TRUE(server.wait_ready(2));
  deployment.configure("[listen]\nbind = [\"" + other.address() + "\"]\n");
  const support::HttpResponse answer = server.control("POST", "/reload");
  EXPECT_EQ(answer.status, 409);
  EXPECT_NE(error_of(answer).find(other.address()), std::string::npos) << answer.body;
}

TEST(Reload, AskedForDuringOneBecomesOneMore) {
  const Deployment deployment("[workers]\ncount = 2\n");
  SupervisorProcess server(deployment.options());
  ASSERT_TRUE(server.wait_ready(2));
  std::vector<std::future<int>> answers;
  for (int client = 0; client < 8; ++client) {
    answers.push_back(std::async(std::launch::async, [&] { return server.control("POST", "/reload").status; }));
  }
  for (std::future<int>& answer : answers) EXPECT_EQ(answer.get(), 200);
  const common::Result<Status> status = server.status();
  ASSERT_TRUE(status.has_value());
  EXPECT_GE(status->generation, 2);
  EXPECT_LE(status->generation, 9);
}

TEST(Reload, HundredTimesLeavesTheMasterAsItWas) {
  const Deployment deployment("[workers]\ncount = 2\n");
  SupervisorProcess server(deployment.options());
  ASSERT_TRUE(server.wait_ready(2));
  for (int warm_up = 0; warm_up < 5; ++warm_up) ASSERT_EQ(server.control("POST", "/reload").status, 200);
  ASSERT_TRUE(wait_alone(server, 2));
  const std::size_t descriptors = support::open_files_at_rest(server.pid());
  const std::uint64_t memory = support::anonymous_bytes(server.pid());
  for (int count = 0; count < 100; ++count) ASSERT_EQ(server.control("POST", "/reload").status, 200);
  ASSERT_TRUE(wait_alone(server, 2));
  EXPECT_TRUE(support::wait_until([&] { return support::open_files(server.pid()) == descriptors; }))
      << support::open_files(server.pid()) << " descriptors instead of " << descriptors;
  // A sanitizer keeps what was freed.
  if (!support::is_sanitized()) {
    EXPECT_LT(support::anonymous_bytes(server.pid()), memory + memory / 4 + 500'000);
  }
}

}  // namespace
