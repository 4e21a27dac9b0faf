// SweepWatch: a poller that is made anew when its sockets change. Others hold them too, so that closing one would not
// take it out.
#include "master/sweep_watch.h"

#include <chrono>
#include <utility>

namespace master {
namespace {

constexpr common::Duration kInterval = std::chrono::milliseconds(100);
constexpr common::Duration kHeldInterval = std::chrono::milliseconds(10);
constexpr common::Duration kBusyInterval = std::chrono::milliseconds(2);

}  // namespace

void SweepWatch::on_event() {
  is_woken_ = true;
  ask();
}

// Whoever is woken and finds nobody (accept() fails, or somebody else was faster) would be woken at once again.
void SweepWatch::plan(const Sweep& sweep, common::TimePoint now) {
  const bool is_in_vain = std::exchange(is_woken_, false) && sweep.clients == 0;
  const bool is_blind = !sweep.sockets.empty() && (sweep.is_held_back || is_in_vain || !watch(sweep));
  if (is_blind || sweep.sockets.empty()) unwatch();
  deadline_ = sweep.may_close ? now + kInterval : common::TimePoint::max();
  if (is_blind) deadline_ = now + (sweep.is_held_back ? kHeldInterval : sweep.clients > 0 ? kBusyInterval : kInterval);
}

bool SweepWatch::watch(const Sweep& sweep) {
  if (inner_ && watched_ == sweep.sockets && revision_ == sweep.revision) return true;
  unwatch();
  Poller inner;
  if (!inner.open()) return false;
  for (const int socket : sweep.sockets) {
    if (!inner.watch(socket, EPOLLIN)) return false;
  }
  if (!poller_.watch(inner.fd(), EPOLLIN)) return false;
  inner_ = std::move(inner);
  watched_ = sweep.sockets;
  revision_ = sweep.revision;
  return true;
}

void SweepWatch::unwatch() {
  if (!inner_) return;
  poller_.forget(inner_->fd());
  inner_.reset();
}

}  // namespace master
