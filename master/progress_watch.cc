// ProgressWatch: each sample either continues a streak or ends it.
#include "master/progress_watch.h"

#include <string_view>

namespace master {
namespace {

// A wait that returns at once without work costs about 1 us with the system call; one that hands out work costs many.
// With a hang-up nobody handles, or with requests that wait in vain, a low rate is proof enough. Without, it takes a
// rate at which no work can be done, or a busy consumer in a worker that happens to serve nobody would be taken for it.
constexpr double kReturnsPerSecond = 1000;
constexpr double kReturnsPerSecondIdle = 20'000;
constexpr double kInterruptions = 10;  // of a run of the same event, in the time of a sample

bool cannot_run(char state) { return std::string_view("TtDZX").find(state) != std::string_view::npos; }

// Of the loop's thread if the kernel tells.
std::uint64_t loop_cpu(const Sample& sample) { return sample.main_cpu_ns != 0 ? sample.main_cpu_ns : sample.cpu_ns; }

// A counter in the worker's memory may go backwards: then nothing is known.
double grown(std::uint64_t before, std::uint64_t now) { return now > before ? static_cast<double>(now - before) : 0; }

}  // namespace

double Stall::cpu_share() const {
  const auto wall = static_cast<double>(lasts().count());
  return wall > 0 ? static_cast<double>(cpu_ns) / wall : 0;
}

void ProgressWatch::Streak::begin(const Sample& sample, std::uint64_t cpu_ns) {
  stall = Stall{.since = sample.at, .until = sample.at};
  cpu_before_ns = cpu_ns;
}

void ProgressWatch::Streak::hold(const Sample& sample, std::uint64_t cpu_ns) {
  stall->until = sample.at;
  stall->cpu_ns = cpu_ns > cpu_before_ns ? cpu_ns - cpu_before_ns : 0;
}

void ProgressWatch::note(const Sample& sample) {
  note_halted(sample);
  note_stuck(sample);
  note_polling(sample);
  last_ = sample;
}

void ProgressWatch::note_halted(const Sample& sample) {
  if (!cannot_run(sample.state)) return halted_.end();
  const bool moved = !last_ || sample.turns != last_->turns || sample.cpu_ns != last_->cpu_ns;
  if (!halted_.stall || moved) return halted_.begin(sample, sample.cpu_ns);
  halted_.hold(sample, sample.cpu_ns);
}

void ProgressWatch::note_stuck(const Sample& sample) {
  if (!sample.busy_since) return stuck_.end();
  const bool moved = !last_ || sample.turns != last_->turns || sample.requests != last_->requests;
  if (!stuck_.stall || moved) return stuck_.begin(sample, loop_cpu(sample));
  stuck_.hold(sample, loop_cpu(sample));
}

void ProgressWatch::note_polling(const Sample& sample) {
  if (!last_ || sample.at <= last_->at) return polling_.end();
  const bool in_vain = sample.requests == last_->requests;
  if (!sample.polls.hang_up && !in_vain) return polling_.end();
  const bool is_missed = sample.polls.hang_up || (sample.busy_since && sample.in_flight > 0);
  const double needed = (is_missed ? kReturnsPerSecond : kReturnsPerSecondIdle) *
                        std::chrono::duration<double>(sample.at - last_->at).count();
  const double returns = grown(last_->polls.returns, sample.polls.returns);
  // A run that is interrupted now and then, by a timer of the same loop, still is one.
  const bool is_same = grown(last_->polls.same, sample.polls.same) >= needed ||
                       static_cast<double>(sample.polls.same) >= needed / kInterruptions;
  if (returns < needed || !is_same) return polling_.end();
  if (!polling_.stall) polling_.begin(*last_, last_->cpu_ns);
  polling_.hold(sample, sample.cpu_ns);
}

}  // namespace master
