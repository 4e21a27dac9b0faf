// GrowthHistory: low-water marks of eight periods.
#include "master/growth_history.h"

#include <algorithm>
#include <numeric>

namespace master {

GrowthHistory::GrowthHistory(const common::RecycleSettings& settings)
    : samples_min_(std::max(settings.samples, 1U)),
      length_min_(settings.fds_exhaustion / 32),
      start_up_(settings.age_min) {}

void GrowthHistory::Period::add(const Sample& sample) {
  if (samples == 0) {
    *this = {.begin = sample.at, .samples = 1, .leaked = sample.leaked(), .owned = sample.owned};
    return;
  }
  ++samples;
  leaked = std::min(leaked, sample.leaked());
  owned = std::min(owned, sample.owned);
}

void GrowthHistory::note(const Sample& sample) {
  if (!first_at_) first_at_ = sample.at;
  if (sample.at - *first_at_ < start_up_) return;
  if (present_.samples >= samples_min_ && sample.at - present_.begin >= length_min_) {
    if (wholes_ == kPeriods) {
      std::shift_left(whole_.begin(), whole_.end(), 1);
      --wholes_;
    }
    whole_[wholes_++] = present_;
    present_ = {};
  }
  present_.add(sample);
}

std::optional<Growth> GrowthHistory::growth() const {
  if (wholes_ < kPeriods) return std::nullopt;
  std::array<double, kPeriods - 1> steps{};
  for (std::size_t i = 0; i < steps.size(); ++i) {
    steps[i] = static_cast<double>(whole_[i + 1].leaked) - static_cast<double>(whole_[i].leaked);
  }
  const double grown = std::accumulate(steps.begin(), steps.end(), 0.0);
  const double mean = grown / static_cast<double>(steps.size());
  if (grown <= 0 || *std::min_element(steps.begin(), steps.end()) < mean / 4) return std::nullopt;
  constexpr auto kHalf = static_cast<std::ptrdiff_t>((kPeriods - 1) / 2);
  const double earlier = std::accumulate(steps.begin(), steps.begin() + kHalf, 0.0);
  const double later = std::accumulate(steps.end() - kHalf, steps.end(), 0.0);
  if (later < earlier * 2 / 3) return std::nullopt;
  const double load = static_cast<double>(whole_.back().owned) - static_cast<double>(whole_.front().owned);
  const double net = grown - std::max(load, 0.0);
  const double lasted = std::chrono::duration<double>(whole_.back().begin - whole_.front().begin).count();
  if (net < 1 || lasted <= 0) return std::nullopt;
  return Growth{.descriptors = static_cast<std::uint64_t>(net), .per_second = net / lasted};
}

}  // namespace master
