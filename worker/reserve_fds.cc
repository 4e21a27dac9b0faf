// ReserveFds: eventfds that nobody signals.
#include "worker/reserve_fds.h"

#include <sys/eventfd.h>

#include <cerrno>

#include "common/high_fd.h"

namespace worker {

void ReserveFds::take(common::TimePoint now) {
  target_ = kWanted;
  // Under a limit too low for all of them, what there is counts as full. Any other want passes.
  if (refill(now) == Level::kShort && errno == EMFILE) target_ = size();
}

ReserveFds::Level ReserveFds::refill(common::TimePoint now) {
  while (fds_.size() < target_) {
    common::UniqueFd fd(eventfd(0, EFD_CLOEXEC));
    if (!fd) return Level::kShort;
    fds_.push_back(common::move_high(std::move(fd)));
    ledger_.note_server(fds_.back().get(), common::FdRole::kReserve, now);
  }
  return Level::kFull;
}

ReserveFds::Given ReserveFds::give_up() {
  if (fds_.empty()) return Given::kNo;
  ledger_.forget(fds_.back().get());
  fds_.pop_back();
  return Given::kYes;
}

bool ReserveFds::has_spare() { return static_cast<bool>(common::UniqueFd(eventfd(0, EFD_CLOEXEC))); }

void ReserveFds::release() {
  target_ = 0;
  while (give_up() == Given::kYes) {
  }
}

}  // namespace worker
