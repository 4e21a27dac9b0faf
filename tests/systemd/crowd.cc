// Crowd: three load generators side by side.
#include "crowd.h"

#include <ostream>

namespace systemd {
namespace {

using support::LoadMode;
using support::LoadOptions;

LoadOptions of_mode(LoadMode mode, const std::string& address, LoadOptions options) {
  options.mode = mode;
  options.address = address;
  return options;
}

}  // namespace

support::LoadReport CrowdReport::all() const {
  support::LoadReport sum = new_connection;
  sum += keep_alive;
  sum += pipelined;
  return sum;
}

std::ostream& operator<<(std::ostream& out, const CrowdReport& report) {
  return out << "a connection each: " << report.new_connection << "\nkeep-alive: " << report.keep_alive
             << "\npipelined: " << report.pipelined;
}

Crowd::Generators::Generators(const std::string& address, const LoadOptions& rest)
    : new_connection(of_mode(LoadMode::kNewConnection, address, rest)),
      keep_alive(of_mode(LoadMode::kKeepAlive, address, rest)),
      pipelined(of_mode(LoadMode::kPipelined, address, rest)) {}

Crowd::Crowd(const std::string& address, const LoadOptions& rest) { generators_.emplace(address, rest); }

bool Crowd::wait_for_answers(std::uint64_t more, support::Deadline deadline) const {
  const CrowdReport before = report();
  return support::wait_until(
      [&] {
        const CrowdReport now = report();
        return now.new_connection.answered >= before.new_connection.answered + more &&
               now.keep_alive.answered >= before.keep_alive.answered + more &&
               now.pipelined.answered >= before.pipelined.answered + more;
      },
      deadline);
}

CrowdReport Crowd::report() const {
  if (!generators_) return last_;
  return {generators_->new_connection.report(), generators_->keep_alive.report(), generators_->pipelined.report()};
}

CrowdReport Crowd::stop() {
  if (generators_) {
    last_ = {generators_->new_connection.stop(), generators_->keep_alive.stop(), generators_->pipelined.stop()};
    generators_.reset();
  }
  return last_;
}

}  // namespace systemd
