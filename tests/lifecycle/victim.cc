// Victim: signals, limits and /proc/net/tcp.
#include "victim.h"

#include <poll.h>
#include <sys/resource.h>

#include <algorithm>
#include <csignal>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "support/deadline.h"
#include "support/process_table.h"
#include "support/signal.h"

namespace lifecycle {
namespace {

// The master looks at the limits once each recycle.interval (1 s) and tells the worker how many connections it can
// have. It may have looked just before the limit came back, and then takes until the next look to notice.
constexpr common::Duration kNotice = 2 * std::chrono::seconds(1);

// The clients' ports of the connections among these sockets.
std::vector<std::uint16_t> peer_ports(const std::set<std::uint64_t>& inodes) {
  constexpr int kHex = 16;
  std::vector<std::uint16_t> ports;
  std::istringstream lines(support::read_text("/proc/net/tcp"));
  std::string line;
  std::getline(lines, line);  // the heading
  while (std::getline(lines, line)) {
    std::istringstream fields(line);
    std::string number, local, remote, state, queues, timer, retransmits, uid, timeout;
    std::uint64_t inode = 0;
    fields >> number >> local >> remote >> state >> queues >> timer >> retransmits >> uid >> timeout >> inode;
    const std::size_t colon = remote.find(':');
    if (!inodes.contains(inode) || colon == std::string::npos) continue;
    ports.push_back(static_cast<std::uint16_t>(std::stoul(remote.substr(colon + 1), nullptr, kHex)));
  }
  std::ranges::sort(ports);
  return ports;
}

bool is_stopped(pid_t pid) {
  const std::optional<support::ProcessEntry> entry = support::process(pid);
  return entry && entry->state == 'T';
}

bool is_gone(pid_t pid) {
  const std::optional<support::ProcessEntry> entry = support::process(pid);
  return !entry || entry->state == 'Z';
}

bool stop(pid_t pid) {
  if (!support::send_signal(pid, SIGSTOP)) return false;
  return support::wait_until([&] { return is_stopped(pid) || is_gone(pid); }) && is_stopped(pid);
}

void let_pass(std::chrono::milliseconds span) { ::poll(nullptr, 0, static_cast<int>(span.count())); }

}  // namespace

std::optional<Death> kill_worker(pid_t pid, int signal) {
  if (!stop(pid)) return std::nullopt;
  Death death{.pid = pid, .at = common::Clock::now(), .ports = peer_ports(support::socket_inodes(pid))};
  support::send_signal(pid, signal);
  support::send_signal(pid, SIGCONT);  // for a signal other than KILL, which is taken before anything else is done
  support::wait_until([&] { return is_gone(pid); });
  return death;
}

bool halt(pid_t pid, std::chrono::milliseconds span) {
  const bool is_halted = stop(pid);
  if (is_halted) let_pass(span);
  support::send_signal(pid, SIGCONT);
  return is_halted;
}

std::optional<Shortage> starve(pid_t pid, std::chrono::milliseconds span) {
  rlimit before{};
  if (::prlimit(pid, RLIMIT_NOFILE, nullptr, &before) != 0) return std::nullopt;
  const rlimit none{.rlim_cur = support::open_files(pid), .rlim_max = before.rlim_max};
  Shortage shortage{.pid = pid, .from = common::Clock::now(), .until = {}};
  if (::prlimit(pid, RLIMIT_NOFILE, &none, nullptr) != 0) return std::nullopt;
  let_pass(span);
  ::prlimit(pid, RLIMIT_NOFILE, &before, nullptr);
  shortage.until = common::Clock::now() + kNotice;
  return shortage;
}

}  // namespace lifecycle
