// The open-files rule: arithmetic on limits, with the words for those that are too low.
#include "master/open_files_rule.h"

#include <algorithm>
#include <limits>

namespace master {
namespace {

constexpr std::uint64_t kHeadroomMin = 64;

std::uint64_t connections_that_fit(std::uint64_t soft, std::uint64_t reserve) {
  const std::uint64_t taken = reserve + application_headroom(soft);
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

// Under a limit that is too small for all, the reserve gets up to half of what connections leave, rounded up: without
// it the worker cannot even refuse.
ConnectionBudget divide(const ConnectionFacts& facts, std::uint64_t connections) {
  const std::uint64_t left = facts.open_files_soft > connections ? facts.open_files_soft - connections : 0;
  const std::uint64_t wanted = facts.reserve + application_headroom(facts.open_files_soft);
  const std::uint64_t reserve = left >= wanted ? facts.reserve : std::min(facts.reserve, left - left / 2);
  return {.connections = static_cast<std::uint32_t>(connections),
          .open_files_soft = facts.open_files_soft,
          .reserve = reserve,
          .headroom = left - reserve};
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
  if (facts.configured == 0) return divide(facts, fit);
  if (facts.configured <= fit) return divide(facts, facts.configured);
  ConnectionBudget budget = divide(facts, fit);
  const std::string needed = std::to_string(limit_needed(facts.configured, facts.reserve));
  budget.warning = "limits.connections = " + std::to_string(facts.configured) + " does not fit into " +
                   std::to_string(facts.open_files_soft) + " open files per worker, " + std::to_string(fit) +
                   " is used instead: raise the limit to " + needed + " (LimitNOFILE=" + needed +
                   " in the unit, `ulimit -n " + needed +
                   "` in a shell; limits.open_files if it is set lower), or lower limits.connections";
  return budget;
}

std::string arithmetic_of(const ConnectionBudget& budget) {
  return std::to_string(budget.connections) + " connections = " + std::to_string(budget.open_files_soft) +
         " open files - " + std::to_string(budget.reserve) + " in reserve - " + std::to_string(budget.headroom) +
         " for the application";
}

std::uint64_t application_headroom(std::uint64_t soft) { return std::max(kHeadroomMin, soft / 4); }

}  // namespace master
