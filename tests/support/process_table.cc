// ProcessTable: parses the files of proc(5).
#include "support/process_table.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <system_error>

namespace support {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kMemory = "smaps_rollup";
constexpr std::uint64_t kKibibyte = 1024;

std::string file_of(pid_t pid, std::string_view name) {
  return "/proc/" + std::to_string(pid) + "/" + std::string(name);
}

template <typename Visit>
void for_each_pid(Visit visit) {
  std::error_code error;
  for (fs::directory_iterator it("/proc", error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename();
    if (std::isdigit(static_cast<unsigned char>(name[0])) != 0) visit(static_cast<pid_t>(std::stol(name)));
  }
}

bool has_environment(pid_t pid, std::string_view marker) {
  std::istringstream variables(read_text(file_of(pid, "environ")));
  for (std::string variable; std::getline(variables, variable, '\0');) {
    if (variable == marker) return true;
  }
  return false;
}

// The sum of the numbers of all lines that begin with `prefix`.
std::uint64_t sum_of_lines(const std::string& text, std::string_view prefix) {
  std::istringstream lines(text);
  std::uint64_t sum = 0;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(prefix)) sum += std::stoull(line.substr(line.find(':') + 1));
  }
  return sum;
}

void add_listening(const std::string& table, std::set<std::uint64_t>& inodes) {
  std::istringstream lines(read_text(table));
  std::string line;
  std::getline(lines, line);  // the heading
  while (std::getline(lines, line)) {
    std::istringstream fields(line);
    std::string number, local, remote, state, queues, timer, retransmits, uid, timeout;
    std::uint64_t inode = 0;
    fields >> number >> local >> remote >> state >> queues >> timer >> retransmits >> uid >> timeout >> inode;
    if (state == "0A") inodes.insert(inode);  // TCP_LISTEN
  }
}

}  // namespace

std::string read_text(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  if (file) text << file.rdbuf();
  return text.str();
}

std::optional<ProcessEntry> process(pid_t pid) {
  const std::string text = read_text(file_of(pid, "stat"));
  const std::size_t name_end = text.rfind(')');  // the name may hold anything, spaces and brackets included
  if (name_end == std::string::npos) return std::nullopt;
  std::istringstream fields(text.substr(name_end + 1));
  ProcessEntry entry;
  entry.pid = pid;
  long group = 0;
  fields >> entry.state >> entry.parent >> group >> entry.session;
  std::string skipped;
  for (int field = 7; field <= 13; ++field) fields >> skipped;
  std::uint64_t user = 0;
  std::uint64_t system = 0;
  fields >> user >> system;
  entry.cpu = common::Duration(std::chrono::seconds(1)) * static_cast<long>(user + system) / ::sysconf(_SC_CLK_TCK);
  return entry;
}

std::vector<ProcessEntry> processes_of(pid_t session, std::string_view marker) {
  std::vector<ProcessEntry> found;
  for_each_pid([&](pid_t pid) {
    const std::optional<ProcessEntry> entry = process(pid);
    if (!entry) return;
    if (entry->session == session || has_environment(pid, marker)) found.push_back(*entry);
  });
  return found;
}

std::vector<pid_t> children_of(pid_t parent) {
  std::vector<pid_t> found;
  for_each_pid([&](pid_t pid) {
    const std::optional<ProcessEntry> entry = process(pid);
    if (entry && entry->parent == parent) found.push_back(pid);
  });
  return found;
}

std::size_t open_files(pid_t pid) {
  std::error_code error;
  std::size_t count = 0;
  for (fs::directory_iterator it(file_of(pid, "fd"), error), end; !error && it != end; it.increment(error)) ++count;
  return count;
}

std::size_t open_files_at_rest(pid_t pid) {
  constexpr int kMoments = 20;
  constexpr int kPauseMs = 5;
  std::size_t fewest = open_files(pid);
  for (int i = 0; i < kMoments; ++i) {
    poll(nullptr, 0, kPauseMs);  // nothing tells from outside when a connection has been closed
    fewest = std::min(fewest, open_files(pid));
  }
  return fewest;
}

std::set<std::uint64_t> socket_inodes(pid_t pid) {
  constexpr std::string_view kPrefix = "socket:[";
  std::set<std::uint64_t> inodes;
  std::error_code error;
  for (fs::directory_iterator it(file_of(pid, "fd"), error), end; !error && it != end; it.increment(error)) {
    std::error_code gone;
    const std::string target = fs::read_symlink(it->path(), gone);
    if (!gone && target.starts_with(kPrefix)) inodes.insert(std::stoull(target.substr(kPrefix.size())));
  }
  return inodes;
}

std::set<std::uint64_t> listening_inodes(pid_t pid) {
  std::set<std::uint64_t> listening;
  add_listening("/proc/net/tcp", listening);
  add_listening("/proc/net/tcp6", listening);
  std::set<std::uint64_t> both;
  for (const std::uint64_t inode : socket_inodes(pid)) {
    if (listening.contains(inode)) both.insert(inode);
  }
  return both;
}

bool maps_file(pid_t pid, std::string_view name) {
  return read_text(file_of(pid, "maps")).find(name) != std::string::npos;
}

std::uint64_t voluntary_switches(pid_t pid) {
  return sum_of_lines(read_text(file_of(pid, "status")), "voluntary_ctxt_switches");
}

std::uint64_t involuntary_switches(pid_t pid) {
  return sum_of_lines(read_text(file_of(pid, "status")), "nonvoluntary_ctxt_switches");
}

std::uint64_t private_bytes(pid_t pid) {
  return sum_of_lines(read_text(file_of(pid, kMemory)), "Private_") * kKibibyte;
}

std::uint64_t anonymous_bytes(pid_t pid) {
  return sum_of_lines(read_text(file_of(pid, kMemory)), "Anonymous:") * kKibibyte;
}

}  // namespace support
