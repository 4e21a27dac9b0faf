// Container: a booted Debian with a systemd of its own and the build installed in it, driven from outside.
//
// It shares the network namespace of the thread that boots it (see network.h), so a test's clients reach its loopback
// addresses as if they were their own. Everything in it is gone with the object, or with the test process, however
// that ends. The build is where `cmake --install --prefix /usr` puts it; applications of the build directory are at
// /usr/lib/supervisor-test, read only. Errors of the boot are returned, all others are a test's to look at.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "command.h"
#include "common/result.h"
#include "common/unique_fd.h"
#include "journal.h"
#include "support/captured_output.h"
#include "support/deadline.h"
#include "traces.h"

namespace systemd {

// Why no container can be booted on this machine, or the root file system for it, made when it is not there yet.
common::Result<std::string> root_file_system();

// "torture" -> /usr/lib/supervisor-test/torture.so
std::string application_inside(std::string_view name);

class Container {
 public:
  // Returns once systemd says that it is "running": with a failed unit the boot has failed.
  static common::Result<std::unique_ptr<Container>> boot(const std::string& root);
  ~Container();
  Container(const Container&) = delete;
  Container& operator=(const Container&) = delete;

  // Runs a program inside as root, with a small environment of its own.
  Outcome run(const std::vector<std::string>& arguments, support::Deadline deadline = command_time()) const;
  Outcome shell(const std::string& script, support::Deadline deadline = command_time()) const;
  Outcome systemctl(std::vector<std::string> arguments, support::Deadline deadline = command_time()) const;

  // A property of a unit as `systemctl show` has it; empty if there is none.
  std::string show(const std::string& unit, const std::string& property) const;
  bool wait_show(const std::string& unit, const std::string& property, std::string_view value,
                 support::Deadline deadline = command_time()) const;
  // MainPID= as this process's /proc knows it; 0 if there is none.
  pid_t main_pid(const std::string& unit) const;

  // All records of the unit that are written by now and match ("PRIORITY=3"; several of one field: any of them).
  std::vector<JournalRecord> journal(const std::string& unit, const std::vector<std::string>& matches = {}) const;
  // Until there is one whose text holds `text`.
  bool wait_journal(const std::string& unit, std::string_view text, support::Deadline deadline = command_time()) const;

  // With all directories above it. `path` is absolute and the container's.
  void write_file(const std::string& path, std::string_view text) const;
  // A unit file or drop-in under /run/systemd/system ("a.service", "a.service.d/b.conf"), and daemon-reload.
  void write_unit(const std::string& name, std::string_view text) const;
  // A path of the container as this process can open it or connect to it (but not through absolute links).
  std::string outside(const std::string& path) const;

  pid_t leader() const { return leader_; }  // its PID 1
  const Traces& traces() const { return traces_; }
  std::string console() { return output_.text(); }

  // Ends it at once, as when its power fails; whether its keeper found nothing that would not go.
  bool stop();

 private:
  Container() = default;
  static support::Deadline command_time() { return support::Deadline(std::chrono::seconds(90)); }
  common::Result<void> start(const std::string& root);
  common::Result<void> wait_booted();
  bool find_leader();

  support::CapturedOutput output_;  // of the keeper, nspawn and the console
  common::UniqueFd lifeline_;       // closed = the container ends
  pid_t keeper_ = -1;
  pid_t leader_ = 0;
  Traces traces_;
};

}  // namespace systemd
