// Crowd: clients of three kinds that ask without a pause while a test does something to the service.
//
// Of torture.so by default: its answers tell to which request they belong.
#pragma once

#include <iosfwd>
#include <optional>
#include <string>

#include "support/load_generator.h"

namespace systemd {

struct CrowdReport {
  support::LoadReport new_connection;
  support::LoadReport keep_alive;
  support::LoadReport pipelined;

  support::LoadReport all() const;
  std::uint64_t failed() const { return all().failed(); }
};
// What each kind met, with the first failures in words.
std::ostream& operator<<(std::ostream& out, const CrowdReport& report);

class Crowd {
 public:
  // `address` as HttpClient::connect() takes it: "127.0.0.1:8000", "unix:/path". Two threads of each kind by default.
  explicit Crowd(const std::string& address, const support::LoadOptions& rest = {});

  // Whether every kind gets so many answers more than it has now.
  bool wait_for_answers(std::uint64_t more,
                        support::Deadline deadline = support::Deadline(std::chrono::seconds(30))) const;
  CrowdReport report() const;  // until now
  CrowdReport stop();  // when the requests in flight are answered; closes all connections

 private:
  struct Generators {  // one of each kind
    Generators(const std::string& address, const support::LoadOptions& rest);
    support::LoadGenerator new_connection;
    support::LoadGenerator keep_alive;
    support::LoadGenerator pipelined;
  };
  std::optional<Generators> generators_;  // until stop()
  CrowdReport last_;  // since then
};

}  // namespace systemd
