// SampleWindow: bounds what a sample counts as leaked, and keeps it.
#include "master/sample_window.h"

#include <algorithm>

namespace master {
namespace {

constexpr std::size_t kSamplesMin = 4;

std::uint64_t leaked_at_most(const Sample& before, const Sample& sample) {
  if (sample.quiet_at != before.quiet_at) {
    return sample.quiet_fds > sample.baseline ? sample.quiet_fds - sample.baseline : 0;
  }
  if (sample.busy_since && sample.turns == before.turns) return before.leaked();
  return std::numeric_limits<std::uint64_t>::max();
}

}  // namespace

SampleWindow::SampleWindow(const common::RecycleSettings& settings)
    : capacity_(std::max(2 * std::size_t{settings.samples}, kSamplesMin)), growth_(settings) {}

void SampleWindow::push(Sample sample) {
  if (samples_.size() >= 2 * capacity_) {
    samples_.erase(samples_.begin(), samples_.end() - static_cast<std::ptrdiff_t>(capacity_));
  }
  const Sample ready{.turns = sample.turns};  // nothing had leaked then
  sample.leaked_at_most = leaked_at_most(samples_.empty() ? ready : samples_.back(), sample);
  progress_.note(sample);
  growth_.note(sample);
  samples_.push_back(sample);
}

std::span<const Sample> SampleWindow::samples() const {
  return std::span(samples_).last(std::min(samples_.size(), capacity_));
}

Trends SampleWindow::trends() const {
  return {.halted = progress_.halted(),
          .stuck = progress_.stuck(),
          .polling = progress_.polling(),
          .growth = growth_.growth()};
}

}  // namespace master
