// The open-files rule: arithmetic on limits, with the words for those that are too low.
#include "master/open_files_rule.h"

#include <algorithm>
#include <limits>

namespace master {
namespace {

constexpr std::uint64_t kHeadroomMin = 64;

std::uint64_t headroom(std::uint64_t soft) { return std::max(kHeadroomMin, soft / 4); }

std::uint64_t connections_that_fit(std::uint64_t soft, std::uint64_t reserve) {
  const std::uint64_t taken = reserve + headroom(soft);
  const std::uint64_t room = soft > taken ? soft - taken : 0;
  const std::uint64_t fit = std::max({room, soft / 8, std::uint64_t{1}});
  return std::min<std::uint64_t>(fit, std::numeric_limits<std::uint32_t>::max());
}

// The smallest soft limit into which `connections` fit.
std::uint64_t limit_needed(std::uint64_t connections, std::uint64_t reserve) {
  std::uint64_t soft = std::max(connections + reserve + kHeadroomMin, (connections + reserve) * 4 / 3);
  while (connections_that_fit(soft, reserve) < connections) ++soft;  // at most twice: rounding
  return soft;
}

}  // namespace

OpenFilesPlan decide_open_files(const OpenFilesFacts& facts) {
  const std::uint64_t kernel_max = facts.nr_open == 0 ? common::kOpenFilesCap : facts.nr_open;
  const std::uint64_t ceiling = std::min(common::kOpenFilesCap, kernel_max);
  const std::uint64_t hard = std::min(facts.hard, ceiling);
  if (facts.configured == 0) return {hard, hard};
  const std::uint64_t wanted = std::min(facts.configured, ceiling);
  if (wanted <= hard) return {wanted, hard};
  if (facts.privilege == Privilege::kMayRaiseHard) return {wanted, wanted};
  const std::string number = std::to_string(wanted);
  return {hard, hard,
          "limits.open_files = " + number + " is above the hard limit of " + std::to_string(hard) +
              ", which is used instead: raise it with LimitNOFILE=" + number + " in the unit, or `ulimit -Hn " +
              number + "` as root before the start"};
}

std::optional<std::string> refuse_open_files(std::uint64_t soft, std::uint64_t workers, std::uint64_t addresses) {
  // Standard streams, poller, signals, scoreboard, control socket and its clients, the template's channel, /proc files.
  constexpr std::uint64_t kMasterItself = 16;
  const std::uint64_t needed = kMasterItself + workers * (addresses + 2);
  if (soft >= needed) return std::nullopt;
  return "the limit of " + std::to_string(soft) + " open files is too low for " + std::to_string(workers) +
         " workers on " + std::to_string(addresses) + " addresses, which need " + std::to_string(needed) +
         ": raise it (LimitNOFILE= in the unit, ulimit -n in a shell), or run fewer workers";
}

ConnectionBudget decide_connections(const ConnectionFacts& facts) {
  const std::uint64_t fit = connections_that_fit(facts.open_files_soft, facts.reserve);
  if (facts.configured == 0) return {static_cast<std::uint32_t>(fit)};
  if (facts.configured <= fit) return {facts.configured};
  const std::string needed = std::to_string(limit_needed(facts.configured, facts.reserve));
  return {static_cast<std::uint32_t>(fit),
          "limits.connections = " + std::to_string(facts.configured) + " does not fit into " +
              std::to_string(facts.open_files_soft) + " open files per worker, " + std::to_string(fit) +
              " is used instead: raise the limit to " + needed + " (LimitNOFILE=" + needed +
              " in the unit, `ulimit -n " + needed +
              "` in a shell; limits.open_files if it is set lower), or lower limits.connections"};
}

}  // namespace master
