// PollWatch: how an application's event loops come back from waiting; one that returns at once for ever shows here.
//
// Written by the worker's interposed epoll_wait(2) and its kin, read by the master. Relaxed atomics, one record for all
// threads of the worker: two loops that spin at the same time are told as one of them.
#pragma once

#include <atomic>
#include <cstdint>

namespace common {

struct PollWatch {
  std::atomic<std::uint64_t> returns;  // waits of the application that ended with at least one event, ever
  std::atomic<std::uint64_t> same;  // the last that many in a row reported the same first event of the same epoll
  std::atomic<std::uint64_t> data;  // of that event: epoll_event.data
  std::atomic<std::uint32_t> events;  // of that event: epoll_event.events
  std::atomic<std::int32_t> epoll_fd;  // -1 or 0 before the first
};

}  // namespace common
