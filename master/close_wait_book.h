// CloseWaitBook: the sockets in CLOSE_WAIT, since when each has been seen, and whose it is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <unordered_map>
#include <vector>

#include "common/clock.h"
#include "master/sample.h"
#include "master/worker_id.h"

namespace master {

inline constexpr std::size_t kCloseWaitMax = 65'536;  // sockets followed at the same time; more are not counted

enum class SocketOwner { kServer, kApplication };

struct CloseWaitSocket {
  int fd = -1;
  std::uint64_t inode = 0;
  common::TimePoint since{};  // when it was first seen
};

// Pure: told of every look of the kernel's list, and of what was found where. A socket that is seen in a second look
// gets an owner by a search, which goes through all processes that could hold it and may take several looks. It is not
// counted if nobody holds it (a stranger's), if it is the server's, or if two processes do: replacing one of them would
// not close it.
class CloseWaitBook {
 public:
  void note(std::span<const std::uint64_t> listed, common::TimePoint now);
  // Nothing is known: the kernel does not tell.
  void clear() { sockets_.clear(); }

  bool wants_search() const;
  // From now on every process is searched for what wants_search() speaks of now.
  void begin_search();
  bool is_sought(std::uint64_t inode) const;
  void found(WorkerId holder, int fd, std::uint64_t inode, SocketOwner owner);
  void end_search();
  // A process that could hold them has appeared: those that nobody held are sought again.
  void seek_unheld();

  // The application's sockets by worker, oldest first. `is_its_own` is asked for each: a worker may have gone, and a
  // descriptor that the server had only just got when it was found is known to it by now.
  std::map<WorkerId, std::vector<CloseWaitSocket>> by_worker(const std::function<bool(WorkerId, int fd)>& is_its_own);

 private:
  //   new --seen again--> waiting --begin_search--> sought --found, end_search--> application --> exempt
  //                          ^                         +---found: the server's, or twice----------> exempt
  //                          +------ seek_unheld ------+-- unheld (end_search: found nowhere)
  // Any state ends when the socket is no longer listed.
  enum class State { kNew, kWaiting, kSought, kApplication, kExempt, kUnheld };

  struct Entry {
    State state = State::kNew;
    std::uint64_t look = 0;  // in which it was listed last
    WorkerId holder = kNoWorker;
    CloseWaitSocket socket{};
  };

  std::unordered_map<std::uint64_t, Entry> sockets_{};  // by inode
  std::uint64_t look_ = 0;
};

// nullptr = none of this worker.
CloseWaitCount count_close_wait(const std::vector<CloseWaitSocket>* sockets, common::Duration age_min,
                                common::TimePoint now);

}  // namespace master
