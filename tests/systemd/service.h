// Service: an instance of the installed units, with its configuration, as an operator has it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "command.h"
#include "container.h"
#include "support/status.h"

namespace systemd {

// What most services here are: two workers on one address of their own.
inline constexpr const char* kAddress = "127.0.0.1:8000";
inline constexpr const char* kTwoWorkers = "workers.count = 2\nlisten.bind = [\"127.0.0.1:8000\"]\n";
inline constexpr const char* kQuickRecycling = "recycle.interval = \"50ms\"\nrecycle.age_min = \"0s\"\n";

class Service {
 public:
  // Writes /etc/supervisor/<instance>.toml: `application` of the build, and these lines.
  Service(Container& container, std::string instance, std::string_view application, std::string_view lines);

  void configure(std::string_view application, std::string_view lines) const;
  void add_drop_in(std::string_view text) const;  // of the service; replaces the one before
  // One of those that are installed as examples: "private-network".
  void take_example(const std::string& name) const;
  // Replaces what the socket unit listens on. `more` are further lines of its [Socket].
  void listen(const std::vector<std::string>& streams, std::string_view more = "") const;

  Outcome start() const { return systemctl("start"); }
  Outcome stop() const { return systemctl("stop"); }
  Outcome restart() const { return systemctl("restart"); }
  Outcome reload() const { return systemctl("reload"); }
  Outcome start_socket() const { return container_.systemctl({"start", socket()}); }

  std::string unit() const { return "supervisor@" + instance_ + ".service"; }
  std::string socket() const { return "supervisor@" + instance_ + ".socket"; }
  std::string show(const std::string& property) const { return container_.show(unit(), property); }
  int restarts() const;  // by systemd, of itself
  pid_t master() const { return container_.main_pid(unit()); }
  // As `supervisor status` knows it; a failed test if nobody answers.
  support::Status status() const;
  bool wait_status_text(std::string_view text) const;  // in what `systemctl status` shows
  bool wait_journal(std::string_view text) const { return container_.wait_journal(unit(), text); }
  std::vector<JournalRecord> journal(const std::vector<std::string>& matches = {}) const;

 private:
  Outcome systemctl(const std::string& verb) const;

  Container& container_;
  std::string instance_;
};

// Long form of what is repeated: SUPERVISOR_TEST_LONG.
int times(int in_short, int in_long);

}  // namespace systemd
