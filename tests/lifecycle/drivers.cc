// Drivers: ask, and wait for what the contract promises to be seen in the status.
#include "drivers.h"

#include <gtest/gtest.h>

#include <csignal>

#include "common/json.h"

namespace lifecycle {
namespace {

using common::Clock;
using common::Json;
using support::Deadline;
using support::HttpResponse;
using support::Status;
using support::SupervisorProcess;

constexpr int kFewest = 1;  // workers
constexpr int kMost = 6;
constexpr common::Duration kStepTimeout = std::chrono::seconds(30);

HttpResponse post(const SupervisorProcess& server, const std::string& target) {
  return support::fetch("unix:" + server.control_path(), target, Deadline(kStepTimeout), "POST");
}

// GET /status as it is; an empty object when nobody answers, which a master may not do between two images of itself.
Json status_of(const SupervisorProcess& server) {
  const HttpResponse answer = server.control("GET", "/status");
  Json status = answer.status == 200 ? Json::parse(answer.body, nullptr, false) : Json();
  return status.is_object() ? status : Json::object();
}

std::uint64_t upgrades_of(const SupervisorProcess& server) {
  const Json status = status_of(server);
  return status.contains("upgrade") ? status["upgrade"].value("count", std::uint64_t{0}) : 0;
}

// Exactly so many workers, all of them ready and none on its way out.
bool wait_workers(SupervisorProcess& server, int count) {
  return server.wait_status(
      [&](const Status& now) {
        const auto wanted = static_cast<std::size_t>(count);
        return now.workers.size() == wanted && now.ready_by_slot().size() == wanted;
      },
      Deadline(kStepTimeout));
}

void scale_to(Trial& trial, int count) {
  const HttpResponse answer = post(trial.process(), "/scale?workers=" + std::to_string(count));
  ASSERT_EQ(answer.status / 100, 2) << answer.body;
  ASSERT_TRUE(wait_workers(trial.process(), count)) << status_of(trial.process()).dump(1);
}

}  // namespace

void recycle_workers(Trial& trial, int count) {
  SupervisorProcess& server = trial.process();
  for (int round = 0; round < count; ++round) {
    const int slot = round % trial.service().options().workers;
    pid_t before = 0;
    ASSERT_TRUE(support::wait_until([&] { return (before = server.worker(slot)) != 0; }, Deadline(kStepTimeout)));
    const HttpResponse answer = post(server, "/recycle?slot=" + std::to_string(slot));
    ASSERT_EQ(answer.status / 100, 2) << answer.body;
    const auto is_replaced = [&] {
      const pid_t now = server.worker(slot);
      return now != 0 && now != before;
    };
    ASSERT_TRUE(support::wait_until(is_replaced, Deadline(kStepTimeout))) << "recycle " << round << " of slot " << slot;
  }
  trial.expect_progress();
}

void reload(Trial& trial, int count) {
  SupervisorProcess& server = trial.process();
  for (int round = 0; round < count; ++round) {
    const common::Result<Status> before = server.status();
    ASSERT_TRUE(before.has_value()) << before.error().message;
    const char letter = trial.letter() == 'A' ? 'B' : 'A';
    trial.service().install(letter);
    const common::TimePoint asked = Clock::now();
    const HttpResponse answer = post(server, "/reload");
    const common::TimePoint answered = Clock::now();
    ASSERT_EQ(answer.status, 200) << "reload " << round << ": " << answer.body;
    const common::Result<Status> after = server.status();
    ASSERT_TRUE(after.has_value()) << after.error().message;
    ASSERT_GT(after->generation, before->generation);
    for (const auto& [slot, worker] : after->ready_by_slot()) EXPECT_EQ(worker.generation, after->generation) << slot;
    EXPECT_EQ(after->ready_by_slot().size(), before->ready_by_slot().size());
    trial.note_generation(letter, static_cast<std::uint32_t>(after->generation), asked, answered);
  }
  trial.expect_progress();
}

void upgrade(Trial& trial, int count) {
  SupervisorProcess& server = trial.process();
  for (int round = 0; round < count; ++round) {
    const common::Result<Status> before = server.status();
    ASSERT_TRUE(before.has_value()) << before.error().message;
    const std::uint64_t upgrades = upgrades_of(server);
    server.signal(SIGUSR2);
    ASSERT_TRUE(support::wait_until([&] { return upgrades_of(server) > upgrades; }, Deadline(kStepTimeout)))
        << "upgrade " << round << ": " << status_of(server).dump(1);
    const common::Result<Status> after = server.status();
    ASSERT_TRUE(after.has_value()) << after.error().message;
    EXPECT_EQ(after->master_pid, server.pid());
    EXPECT_EQ(after->generation, before->generation);
    for (const auto& [slot, worker] : before->ready_by_slot()) {
      EXPECT_EQ(after->worker(worker.pid).slot, slot) << "an upgrade of the master keeps the workers";
    }
  }
  trial.expect_progress();
}

void scale(Trial& trial, int count) {
  for (int round = 0; round < count; ++round) {
    scale_to(trial, round % 2 == 0 ? kFewest : kMost);
    if (::testing::Test::HasFatalFailure()) return;
  }
  scale_to(trial, trial.service().options().workers);
  trial.expect_progress();
}

}  // namespace lifecycle
