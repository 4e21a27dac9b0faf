// SupervisorProcess: the real `supervisor`, started by a test on a free port with a directory of its own.
//
// It stops the process when the test ends and then insists that nothing is left: no process of its session and no
// control socket. What it finds instead is a failure of the test, with the log of the run.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "support/captured_output.h"
#include "support/deadline.h"
#include "support/environment.h"
#include "support/http_client.h"
#include "support/status.h"
#include "support/temporary_directory.h"

namespace support {

// kPortAndControl: --bind 127.0.0.1:0 --control DIR/control.sock; kControl: addresses are left to the configuration.
enum class Defaults { kPortAndControl, kControl, kNone };

struct SupervisorOptions {
  std::vector<std::string> arguments = {};        // options and, with kNone, the application too
  std::string app = application("torture");       // unless kNone, the last argument; empty = none
  std::vector<std::string> launcher = {};         // a command that ends by executing its arguments
  std::vector<std::string> variables = {};        // "NAME=VALUE"
  std::optional<std::uint64_t> open_files = {};   // both limits
  Defaults defaults = Defaults::kPortAndControl;
};

// {"--set", "KEY=VALUE"}; `value` in TOML, so a string comes with its quotes.
std::vector<std::string> set(std::string_view key, std::string_view value);
std::vector<std::string> joined(std::initializer_list<std::vector<std::string>> parts);

class SupervisorProcess {
 public:
  explicit SupervisorProcess(SupervisorOptions options = {});
  ~SupervisorProcess();
  SupervisorProcess(const SupervisorProcess&) = delete;
  SupervisorProcess& operator=(const SupervisorProcess&) = delete;

  pid_t pid() const { return pid_; }
  void signal(int number) const;
  bool running();

  // The exit code, or minus the signal that killed it; nullopt if it still runs at the deadline.
  std::optional<int> wait_exit(Deadline deadline = Deadline(std::chrono::seconds(20)));
  // Whether `workers` workers were ready at once before the deadline; false at once when the process ends.
  bool wait_ready(std::size_t workers, Deadline deadline = Deadline(std::chrono::seconds(20)));
  bool wait_output(std::string_view text, Deadline deadline = Deadline());

  // By GET /status. An Error when nobody answers or the answer breaks the contract.
  common::Result<Status> status() const;
  // Polls the status until `predicate` likes one; returns the last one seen.
  template <typename Predicate>
  bool wait_status(Predicate predicate, Deadline deadline = Deadline()) {
    return wait_until(
        [&] {
          const common::Result<Status> now = status();
          return now.has_value() && predicate(*now);
        },
        deadline);
  }
  HttpResponse control(std::string_view method, std::string_view target) const;
  HttpResponse get(std::string_view target, Deadline deadline = Deadline()) const;
  // A connection to address(); throws when there is none to be had.
  HttpClient connect() const;
  // The ready worker of the slot; 0 if there is none.
  pid_t worker(int slot) const;

  // The N-th address as the status says it, with the port that was chosen.
  std::string address(std::size_t index = 0) const;
  std::string control_path() const { return directory_.path("control.sock"); }
  const TemporaryDirectory& directory() const { return directory_; }
  std::string output() { return output_.text(); }

  // All of its processes that live now (the dead ones that were left to us are waited for on the way).
  std::vector<pid_t> processes() const;

 private:
  void start();
  void expect_nothing_left();

  SupervisorOptions options_;
  TemporaryDirectory directory_;
  CapturedOutput output_;
  std::string marker_;  // "SUPERVISOR_TEST_ID=..."
  pid_t pid_ = -1;
  std::optional<int> exit_code_;
  mutable std::vector<std::string> addresses_;  // as the first complete status said them
};

}  // namespace support
