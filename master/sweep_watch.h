// SweepWatch: when the sockets that no worker serves are to be looked at: by the clock, and when a client comes to one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "common/clock.h"
#include "master/poller.h"

namespace master {

// The sockets have a poller of their own within the master's. Where the kernel refuses it, the clock alone remains.
class SweepWatch {
 public:
  struct Sweep {
    std::vector<int> sockets;  // borrowed: what is left to be swept, until the next plan()
    std::uint64_t revision;  // another one when a number may mean another socket
    std::size_t clients;  // that this sweep has found
    bool is_held_back;  // it has not looked for any, because no worker would have taken them
    bool may_close;  // sockets are closed when they have been empty for long enough
  };

  // OWNERSHIP: `poller` outlives the watch.
  explicit SweepWatch(Poller& poller) : poller_(poller) {}
  ~SweepWatch() { unwatch(); }
  SweepWatch(const SweepWatch&) = delete;
  SweepWatch& operator=(const SweepWatch&) = delete;

  common::TimePoint deadline() const { return deadline_; }  // max() = none
  void ask() { deadline_ = common::TimePoint(); }  // the sockets have changed
  bool owns(int fd) const { return inner_ && inner_->fd() == fd; }
  void on_event();
  // After each sweep. Without sockets that may be closed there is no next one until ask() or a client.
  void plan(const Sweep& sweep, common::TimePoint now);

 private:
  bool watch(const Sweep& sweep);
  void unwatch();

  Poller& poller_;
  std::optional<Poller> inner_;
  std::vector<int> watched_;
  std::uint64_t revision_ = 0;
  bool is_woken_ = false;
  common::TimePoint deadline_ = common::TimePoint::max();
};

}  // namespace master
