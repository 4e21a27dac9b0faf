// CounterPage: the totals of a service in a memfd, which outlives the master that counts.
//
// It is written with pwrite(2) and never mapped, so that no process forked from the master has it in its memory; the
// descriptor is close-on-exec. The kernel copies so few bytes in one piece: a master that is killed meanwhile has
// written all of them or none. Whoever holds a copy can write it too, so what is read is checked as a stranger's.
#pragma once

#include <cstddef>
#include <cstdint>

#include "common/result.h"
#include "common/unique_fd.h"
#include "master/served.h"
#include "master/supervision_state.h"

namespace master {

// Over all masters that looked after the service since it was first started.
struct ServiceTotals {
  Counters counters;
  Served served;

  bool operator==(const ServiceTotals&) const = default;
};

class CounterPage {
 public:
  // To be raised with every change of the layout; the order of RecycleReason is part of it.
  static constexpr std::uint32_t kVersion = 1;
  static constexpr std::size_t kBytes = 4096;
  // No count is larger: one that is has been damaged. Sums of two cannot go round.
  static constexpr std::uint64_t kCountMax = std::uint64_t{1} << 62;

  // Empty, and sealed against growing and shrinking.
  static common::Result<CounterPage> create();
  // What create() made, maybe in another program. The error says what it is instead; `fd` is closed then. Waits for
  // nothing, whatever it is.
  static common::Result<CounterPage> attach(common::UniqueFd fd);

  // The error says what is wrong: another version, or damage.
  common::Result<ServiceTotals> read() const;
  common::Result<void> write(const ServiceTotals& totals) const;
  int fd() const { return fd_.get(); }

 private:
  explicit CounterPage(common::UniqueFd fd) : fd_(std::move(fd)) {}

  common::UniqueFd fd_;
};

}  // namespace master
