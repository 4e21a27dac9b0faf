// Strangers: the last processes that ended before anybody told of them.
//
// The word of a fork can come after the end of what was forked; and orphans from below become ours.
#pragma once

#include <sys/types.h>

#include <array>
#include <cstddef>
#include <optional>
#include <utility>

namespace master {

class Strangers {
 public:
  void remember(pid_t pid, int wait_status) { ended_[next_++ % ended_.size()] = {pid, wait_status}; }
  // How it ended, if it has; once.
  std::optional<int> take(pid_t pid) {
    for (auto& [known, wait_status] : ended_) {
      if (known != pid) continue;
      known = 0;
      return wait_status;
    }
    return std::nullopt;
  }
  // No fork is pending: whoever ended until now was no worker, and its number may be the next worker's.
  void forget() { ended_.fill({}); }

 private:
  std::array<std::pair<pid_t, int>, 64> ended_{};
  std::size_t next_ = 0;
};

}  // namespace master
