// Trial: begin, watch, judge.
#include "trial.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <string_view>

namespace lifecycle {
namespace {

constexpr std::uint64_t kProgress = 3;  // answers of each client: the slowest takes some tenths of a second for one
constexpr common::Duration kProgressTimeout = std::chrono::seconds(30);

}  // namespace

bool Trial::begin() {
  history_.epochs.push_back({.letter = 'A', .generation = 1, .begins = common::Clock::now()});
  if (!service_.wait_ready()) {
    ADD_FAILURE() << "the service did not become ready";
    return false;
  }
  history_.grace = service_.options().grace;
  history_.drain_max = service_.options().stop_timeout;
  clientele_.emplace(service_.addresses(), service_.options().grace);
  expect_progress();
  return !::testing::Test::HasFailure();
}

void Trial::expect_progress() const {
  EXPECT_TRUE(clientele_->wait_for_answers(kProgress, support::Deadline(kProgressTimeout)))
      << "a client is not served any more";
}

Judgement Trial::finish() {
  clientele_->stop(history_);
  history_.executions = service_.executions(history_.attempts);
  for (Death& death : history_.deaths) std::ranges::sort(death.ports);
  Judgement judgement = judge(history_);
  if (judgement.findings() > 0) {  // else they are of what is excused
    judgement.examples.insert(judgement.examples.end(), history_.remarks.begin(), history_.remarks.end());
  }
  return judgement;
}

void Trial::expect_nothing_lost() {
  const Judgement judgement = finish();
  EXPECT_EQ(judgement.findings(), 0U) << judgement;
  for (std::size_t kind = 0; kind < kKinds; ++kind) {
    EXPECT_GT(judgement.answered[kind], 0U) << name_of(static_cast<Kind>(kind));
  }
  std::cout << "[ ledger   ] " << judgement << "\n";
}

void Trial::note_generation(char letter, std::uint32_t generation, common::TimePoint asked,
                            common::TimePoint answered) {
  history_.epochs.back().ends = answered;
  history_.epochs.push_back({.letter = letter, .generation = generation, .begins = asked});
}

int times(int quick, int full, int longest) {
  const char* const text = std::getenv("SUPERVISOR_TEST_LONG");
  if (text == nullptr) return support::effort(quick, quick);
  return std::string_view(text) == "2" ? longest : full;
}

}  // namespace lifecycle
