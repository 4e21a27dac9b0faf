// Service: the supervisor under test, with a configuration and an application that can be exchanged while it runs.
//
// Files of its own directory: app.so (replaced by rename(2), as an installer does), service.toml, http.sock, and the
// file in which the application counts executions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "clientele.h"
#include "history.h"
#include "support/process_table.h"
#include "support/supervisor_process.h"

namespace lifecycle {

struct ServiceOptions {
  int workers = 3;
  common::Duration grace = support::patience(std::chrono::milliseconds(500));
  common::Duration stop_timeout = std::chrono::seconds(30);
};

class Service {
 public:
  explicit Service(ServiceOptions options);

  support::SupervisorProcess& process() { return *process_; }
  bool wait_ready() { return process_->wait_ready(static_cast<std::size_t>(options_.workers)); }
  const ServiceOptions& options() const { return options_; }
  Addresses addresses() const;

  // From the next reload on. `letter` is 'A' or 'B'; `module` is any file.
  void install(char letter) { install_module(module_of(letter)); }
  void install_module(const std::string& module);
  void uninstall();
  // What the configuration says beyond what every test wants.
  struct Change {
    std::string lines = {};    // of TOML
    std::string address = {};  // one more to listen at
  };
  void configure(const Change& change);
  void slow_load(std::chrono::milliseconds delay);  // of every load() from now on; 0 = none

  // What the application has counted, up to the largest id of `attempts`.
  std::vector<std::uint8_t> executions(const std::vector<Attempt>& attempts) const;

  static std::string module_of(char letter);

 private:
  std::string configuration(const std::string& address) const;

  ServiceOptions options_;
  support::TemporaryDirectory directory_;
  std::optional<support::SupervisorProcess> process_;  // last: it stops before its files go
};

}  // namespace lifecycle
