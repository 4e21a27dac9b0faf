// ReserveFds: descriptors kept for nothing but being given up, so that at the limit a client can still be told so.
//
// accept(2) needs a free number in this process and a free entry in the system's table of open files. Each reserve is
// an eventfd of its own, so giving one up yields both.
#pragma once

#include <cstdint>
#include <vector>

#include "common/clock.h"
#include "common/fd_ledger.h"
#include "common/unique_fd.h"

namespace worker {

class ReserveFds {
 public:
  // Enough for a refused client to keep its socket for a moment while the next ones are told.
  static constexpr std::uint32_t kWanted = 4;

  explicit ReserveFds(common::FdLedger ledger) : ledger_(ledger) {}

  // Takes what can be had, at most kWanted. From then on this many are meant to be there.
  void take(common::TimePoint now);
  // Takes back what was given up; kFull if none is missing.
  enum class Level { kShort, kFull };
  Level refill(common::TimePoint now);
  // Closes one: the next descriptor is anybody's.
  enum class Given { kNo, kYes };
  Given give_up();
  // Whether one descriptor more than the reserve is to be had now.
  static bool has_spare();

  void release();
  std::uint32_t missing() const { return target_ - size(); }
  std::uint32_t size() const { return static_cast<std::uint32_t>(fds_.size()); }

 private:
  common::FdLedger ledger_;
  std::vector<common::UniqueFd> fds_;
  std::uint32_t target_ = 0;
};

}  // namespace worker
