// SampleWindow: the last measurements of one worker, oldest first.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "common/clock.h"

namespace master {

struct Sample {
  common::TimePoint at{};
  std::uint64_t fds_total = 0;  // open descriptors of the process
  std::uint64_t owned = 0;      // opened by the server itself, connections included
  std::uint64_t baseline = 0;   // the application's when the worker became ready
  std::uint64_t rss = 0;        // bytes
  std::uint64_t requests = 0;   // served since its start

  // Total and owned are not read at the same instant: a connection in between must not look like 2^64 leaks.
  std::uint64_t leaked() const {
    const std::uint64_t expected = owned + baseline;
    return fds_total > expected ? fds_total - expected : 0;
  }
};

// Keeps as many samples as the policy looks at (recycle.samples), and no more.
class SampleWindow {
 public:
  explicit SampleWindow(std::uint32_t capacity) : capacity_(std::max(capacity, 1U)) {}

  void push(const Sample& sample) {
    if (samples_.size() == capacity_) samples_.erase(samples_.begin());
    samples_.push_back(sample);
  }
  void clear() { samples_.clear(); }  // the slot has another worker
  std::span<const Sample> samples() const { return samples_; }

 private:
  std::size_t capacity_;
  std::vector<Sample> samples_;
};

}  // namespace master
