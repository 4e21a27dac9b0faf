// UpgradeDesk: one upgrade of the program at a time, from the wish to the moment when nothing is in its way.
//
//   idle --ask()--> waiting --nothing is under way--> checking --the new program can take over--> ready --> (execve)
//    ^                 |                                  |                                         |
//    +-----------------+----------------------------------+---- too late, refused, or it failed ----+
// Pure.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

#include "common/clock.h"
#include "common/json.h"

namespace master {

class UpgradeDesk {
 public:
  enum class State {
    kIdle,
    kWaiting,   // for whatever is under way to end
    kChecking,  // a child runs the new program
    kReady,     // to be executed as soon as nothing is under way
  };

  // For a program that only has to read what it is given.
  static constexpr common::Duration kCheckPatience = std::chrono::seconds(10);

  // Asked for again while one is under way: that one will do, for the program is looked for only when it is checked.
  void ask(common::TimePoint now, common::Duration patience);
  void begin_check(pid_t pid, common::TimePoint now);
  void pass();
  // Over: "" as reason = it was done, by the image before this one.
  void end(const std::string& error);

  State state() const { return state_; }
  bool owns_pid(pid_t pid) const { return pid > 0 && pid == pid_; }
  pid_t pid() const { return pid_; }
  std::optional<common::TimePoint> deadline() const;
  bool is_late(common::TimePoint now) const { return deadline() && *deadline() <= now; }

  // A new image begins with what the one before did.
  void resume(std::uint32_t count) { count_ = count; }
  std::uint32_t count() const { return count_; }

  // {"state": "ok" | "running" | "failed", "last_error": text or null, "count": upgrades since the first start}
  common::Json to_json() const;

 private:
  State state_ = State::kIdle;
  common::TimePoint give_up_at_{};
  common::TimePoint check_until_{};
  pid_t pid_ = 0;  // of the check
  std::uint32_t count_ = 0;
  std::string last_error_;
};

}  // namespace master
