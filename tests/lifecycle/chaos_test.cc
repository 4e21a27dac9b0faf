// Chaos: workers and template are killed, stopped and starved at random, and only what a dead worker held is lost.
//
// SUPERVISOR_TEST_SEED repeats the order of events of a run; when they meet a request is not in its hands.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdlib>
#include <iostream>
#include <random>
#include <vector>

#include "support/process_table.h"
#include "support/signal.h"
#include "trial.h"
#include "victim.h"

namespace lifecycle {
namespace {

using std::chrono::milliseconds;
using support::Deadline;
using support::Status;

constexpr int kWorkers = 4;
constexpr common::Duration kRestTimeout = std::chrono::seconds(60);
constexpr std::uint64_t kGrowthMax = 4U << 20;  // bytes: the log's buffers and histories fill once
constexpr milliseconds kSpanMax(300);           // of what ends by itself
constexpr milliseconds kHungerMax(1500);        // the master looks at the limits once a second
constexpr milliseconds kPauseMax(400);          // between two blows
constexpr milliseconds kSlowLoad(400);

unsigned seed_of_run() {
  const char* const text = std::getenv("SUPERVISOR_TEST_SEED");
  return text != nullptr ? static_cast<unsigned>(std::strtoul(text, nullptr, 10)) : std::random_device()();
}

// Children of the master that are not waited for already.
std::vector<pid_t> living_children(pid_t master) {
  std::vector<pid_t> living;
  for (const pid_t pid : support::children_of(master)) {
    const auto entry = support::process(pid);
    if (entry && entry->state != 'Z') living.push_back(pid);
  }
  return living;
}

bool is_template(pid_t pid) {
  const std::string title = support::read_text("/proc/" + std::to_string(pid) + "/cmdline");
  return title.starts_with("supervisor: template");
}

class Chaos {
 public:
  Chaos(Trial& trial, unsigned seed) : trial_(trial), random_(seed) {}

  void run(common::Duration span) {
    for (const common::TimePoint end = common::Clock::now() + span; common::Clock::now() < end;) {
      const std::size_t chosen = random_() % kBlows.size();
      (this->*kBlows[chosen].strike)();
      ++struck_[chosen];
      // Sometimes the next blow comes before the service has recovered from this one.
      if (random_() % 2 == 0) trial_.service().wait_ready();
      ::poll(nullptr, 0, static_cast<int>(up_to(kPauseMax).count()));
    }
    trial_.service().slow_load(milliseconds(0));
    std::cout << "[ chaos    ]";
    for (std::size_t index = 0; index < kBlows.size(); ++index) {
      std::cout << (index == 0 ? " " : ", ") << struck_[index] << " x " << kBlows[index].name;
    }
    std::cout << "\n";
  }

 private:
  struct Blow {
    const char* name;
    void (Chaos::*strike)();
  };
  static const std::array<Blow, 8> kBlows;

  void kill_a_worker() { strike_worker(SIGKILL); }
  void crash_a_worker() { strike_worker(SIGSEGV); }
  void stop_a_worker() {
    if (const pid_t pid = any_worker()) halt(pid, up_to(kSpanMax));
  }
  void starve_a_worker() {
    const pid_t pid = any_worker();
    if (pid == 0) return;
    if (const auto shortage = starve(pid, up_to(kHungerMax))) trial_.note(*shortage);
  }
  void kill_the_template() { strike_template(SIGKILL); }
  void crash_the_template() { strike_template(SIGSEGV); }
  void stop_the_template() {
    if (const pid_t pid = any_template()) halt(pid, up_to(kSpanMax));
  }
  void change_the_time_of_load() { trial_.service().slow_load(random_() % 2 == 0 ? kSlowLoad : milliseconds(0)); }

  void strike_worker(int signal) {
    const pid_t pid = any_worker();
    if (pid == 0) return;
    if (const auto death = kill_worker(pid, signal)) trial_.note(*death);
  }

  void strike_template(int signal) {
    if (const pid_t pid = any_template()) support::send_signal(pid, signal);
  }

  // A worker in any state; 0 when there is none, or one that is not the master's child any more.
  pid_t any_worker() {
    const common::Result<Status> status = trial_.process().status();
    std::vector<pid_t> pids;
    for (const auto& worker : status ? status->workers : std::vector<support::WorkerStatus>()) {
      const auto entry = support::process(worker.pid);
      if (worker.pid != 0 && entry && entry->parent == trial_.process().pid()) pids.push_back(worker.pid);
    }
    return any_of(pids);
  }

  pid_t any_template() {
    std::vector<pid_t> pids = living_children(trial_.process().pid());
    std::erase_if(pids, [](pid_t pid) { return !is_template(pid); });
    return any_of(pids);
  }

  pid_t any_of(const std::vector<pid_t>& pids) { return pids.empty() ? 0 : pids[random_() % pids.size()]; }
  milliseconds up_to(milliseconds most) {
    return milliseconds(std::uniform_int_distribution<milliseconds::rep>(1, most.count())(random_));
  }

  Trial& trial_;
  Random random_;
  std::array<int, 8> struck_{};
};

constexpr std::array<Chaos::Blow, 8> Chaos::kBlows = {{{"a worker killed", &Chaos::kill_a_worker},
                                                       {"a worker crashed", &Chaos::crash_a_worker},
                                                       {"a worker stopped", &Chaos::stop_a_worker},
                                                       {"a worker starved", &Chaos::starve_a_worker},
                                                       {"the template killed", &Chaos::kill_the_template},
                                                       {"the template crashed", &Chaos::crash_the_template},
                                                       {"the template stopped", &Chaos::stop_the_template},
                                                       {"load() slow or not", &Chaos::change_the_time_of_load}}};

// Exactly the configured workers, all ready, one template, and nobody else.
void expect_rest(support::SupervisorProcess& server) {
  std::vector<pid_t> expected;
  std::vector<pid_t> children;
  std::vector<pid_t> all;
  const auto is_at_rest = [&](const Status& now) {
    expected.clear();
    for (const auto& [slot, worker] : now.ready_by_slot()) expected.push_back(worker.pid);
    children = living_children(server.pid());
    const auto of_template = std::ranges::find_if(children, is_template);
    if (now.workers.size() != kWorkers || expected.size() != kWorkers || of_template == children.end()) return false;
    expected.push_back(*of_template);
    std::ranges::sort(expected);
    std::ranges::sort(children);
    all = server.processes();
    return children == expected && all.size() == expected.size() + 1;
  };
  EXPECT_TRUE(server.wait_status(is_at_rest, Deadline(kRestTimeout)))
      << "children " << ::testing::PrintToString(children) << " instead of " << ::testing::PrintToString(expected)
      << ", all processes " << ::testing::PrintToString(all) << "\n"
      << server.control("GET", "/status").body;
}

TEST(Chaos, CostsOnlyWhatAKilledWorkerHeld) {
  const unsigned seed = seed_of_run();
  std::cout << "[ chaos    ] SUPERVISOR_TEST_SEED=" << seed << "\n";
  SCOPED_TRACE("SUPERVISOR_TEST_SEED=" + std::to_string(seed));
  Trial trial({.workers = kWorkers});
  ASSERT_TRUE(trial.begin());
  support::SupervisorProcess& server = trial.process();
  expect_rest(server);
  const std::size_t descriptors = support::open_files_at_rest(server.pid());
  const std::uint64_t memory = support::anonymous_bytes(server.pid());

  Chaos(trial, seed).run(std::chrono::seconds(times(20, 600, 600)));
  expect_rest(server);
  trial.expect_progress();
  trial.expect_nothing_lost();
  expect_rest(server);
  EXPECT_TRUE(support::wait_until([&] { return support::open_files(server.pid()) == descriptors; }))
      << support::open_files(server.pid()) << " descriptors of the master instead of " << descriptors;
  // A sanitizer keeps what was freed.
  if (!support::is_sanitized()) {
    EXPECT_LE(support::anonymous_bytes(server.pid()), memory + kGrowthMax);
  }
}

}  // namespace
}  // namespace lifecycle
