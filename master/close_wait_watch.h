// CloseWaitWatch: which sockets of each worker's application are in CLOSE_WAIT: their peer has gone, and nobody cares.
//
// Looks at the kernel's list of such sockets (all of this network namespace, by inode) and searches the descriptors of
// the processes for those that stay. Both together take at most about 1 % of a CPU: what took long is not repeated soon
// (the kernel's list walks all buckets of its table: about 1 ms on a machine with 24 GiB). In the master's thread; no
// look takes more than some milliseconds, however many descriptors there are.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "common/clock.h"
#include "common/fd_ledger.h"
#include "common/result.h"
#include "master/close_wait_book.h"
#include "master/sample.h"
#include "master/worker_id.h"

namespace master {

// A process that could hold a socket. The template goes with them, as kNoWorker: what was opened before the fork is
// held by it as well, and no recycling would close it.
struct SocketHolder {
  WorkerId id = kNoWorker;
  pid_t pid = 0;
  common::FdLedger ledger{};  // valid during the call
};

class CloseWaitWatch {
 public:
  using List = std::function<common::Result<std::vector<std::uint64_t>>()>;  // list_close_wait()

  explicit CloseWaitWatch(List list) : list_(std::move(list)) {}

  // Once per recycle.interval, with every process there is. Returns what the operator should know, once: that the
  // kernel does not tell.
  std::optional<std::string> look(std::span<const SocketHolder> holders, common::TimePoint now);

  // nullopt = the kernel does not tell, or nobody has looked yet.
  std::optional<CloseWaitCount> count(WorkerId worker, common::Duration age_min, common::TimePoint now) const;
  std::vector<int> descriptors(WorkerId worker) const;
  // For at least `age_min`, oldest first.
  std::vector<CloseWaitSocket> aged(WorkerId worker, common::Duration age_min, common::TimePoint now) const;

 private:
  // Of a search that goes on: whose descriptors come next, and where in /proc/PID/fd (a position of seekdir(3)).
  struct Search {
    std::vector<WorkerId> to_visit;  // from the back
    long position;
  };

  void welcome(std::span<const SocketHolder> holders);
  void search(std::span<const SocketHolder> holders);

  List list_;
  CloseWaitBook book_{};
  std::optional<Search> search_{};
  std::set<WorkerId> seen_{};  // the processes of the last look
  std::map<WorkerId, std::vector<CloseWaitSocket>> sockets_{};
  common::TimePoint not_before_{};
  enum class Knowledge { kNone, kRefused, kFresh } knowledge_ = Knowledge::kNone;
};

// Whether `fd` of the process is still that socket: to be asked before anything is done to it.
bool is_still(pid_t pid, const CloseWaitSocket& socket);

}  // namespace master
