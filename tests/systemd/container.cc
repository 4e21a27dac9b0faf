// Container: the keeper is started, PID 1 found behind it, and everything else goes through nsenter(1).
#include "container.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>

#include "support/environment.h"
#include "support/process_table.h"

namespace systemd {
namespace {

namespace fs = std::filesystem;
using support::Deadline;

constexpr common::Duration kBootTime = std::chrono::seconds(60);
constexpr common::Duration kMakeTime = std::chrono::minutes(25);
constexpr std::array<const char*, 2> kEnds = {"boot_container: the container has ended",
                                              "keep_container: the container has not begun"};

std::string script(std::string_view name) { return std::string(SUPERVISOR_SYSTEMD_TESTS) + "/" + std::string(name); }

std::string last_line(std::string text) {
  while (text.ends_with('\n')) text.pop_back();
  return text.substr(text.rfind('\n') + 1);
}

// The last word of a line of /proc/PID/status: of NSpid, its number in the innermost namespace.
std::string last_word_of(pid_t pid, std::string_view name) {
  std::istringstream lines(support::read_text("/proc/" + std::to_string(pid) + "/status"));
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(name)) return line.substr(line.find_last_of(" \t") + 1);
  }
  return "";
}

std::string name_of(pid_t pid) { return last_line(support::read_text("/proc/" + std::to_string(pid) + "/comm")); }

[[noreturn]] void execute(char* const* argv, int input, int output) {  // between fork and exec
  ::setsid();  // not to be met by what a terminal sends to the test
  ::dup2(input, STDIN_FILENO);
  ::dup2(output, STDOUT_FILENO);
  ::dup2(output, STDERR_FILENO);
  ::execvp(argv[0], argv);
  ::_exit(127);
}

}  // namespace

common::Result<std::string> root_file_system() {
  const Outcome outcome = run_command({script("make_root.sh"), support::program()}, Deadline(kMakeTime));
  if (!outcome.ok()) return common::fail(last_line(outcome.output));
  return last_line(outcome.output);
}

std::string application_inside(std::string_view name) {
  return "/usr/lib/supervisor-test/" + std::string(name) + ".so";
}

common::Result<std::unique_ptr<Container>> Container::boot(const std::string& root) {
  std::unique_ptr<Container> container(new Container);
  common::Result<void> step = container->start(root);
  if (step) step = container->wait_booted();
  if (step) return container;
  container->stop();
  return common::fail(step.error().message + "\n" + container->console());
}

Container::~Container() { stop(); }

common::Result<void> Container::start(const std::string& root) {
  std::string work = fs::temp_directory_path() / "supervisor-container-XXXXXX";
  int ends[2];
  if (::mkdtemp(work.data()) == nullptr) return common::fail_errno("mkdtemp " + work, errno);
  if (::pipe2(ends, O_CLOEXEC) != 0) return common::fail_errno("pipe2", errno);
  const common::UniqueFd input(ends[0]);
  lifeline_.reset(ends[1]);
  traces_.work = work;
  std::vector<std::string> command = {"unshare", "--mount", script("keep_container.sh"),
                                      work,      root,      support::binary_directory()};
  std::vector<char*> argv;
  argv.reserve(command.size() + 1);
  for (std::string& word : command) argv.push_back(word.data());
  argv.push_back(nullptr);
  keeper_ = ::fork();
  if (keeper_ < 0) return common::fail_errno("fork", errno);
  if (keeper_ == 0) execute(argv.data(), input.get(), output_.write_fd());
  output_.close_write_end();
  return {};
}

common::Result<void> Container::wait_booted() {
  const Deadline deadline(kBootTime);
  const auto has_ended = [this] {
    return std::ranges::any_of(kEnds, [&](const char* end) { return console().find(end) != std::string::npos; });
  };
  support::wait_until([&] { return find_leader() || has_ended(); }, deadline);
  if (leader_ == 0) return common::fail("systemd-nspawn did not start a container");
  std::string state;
  const auto is_up = [&] {
    state = last_line(systemctl({"is-system-running", "--wait"}, deadline).output);
    return state == "running" || state == "degraded" || has_ended();
  };
  support::wait_until(is_up, deadline);
  if (state == "running") return {};
  return common::fail("the container is '" + state + "' after its boot: " + systemctl({"--failed"}, deadline).output);
}

// keeper > unshare > boot script > nspawn > PID 1: its child that is number 1 in a namespace that nspawn is not in.
bool Container::find_leader() {
  pid_t pid = keeper_;
  while (name_of(pid) != "systemd-nspawn") {
    const std::vector<pid_t> children = support::children_of(pid);
    if (children.empty()) return false;
    pid = children.back();  // the script's newest
  }
  for (const pid_t child : support::children_of(pid)) {
    if (name_of(child) != "systemd" || last_word_of(child, "NSpid:") != "1") continue;
    traces_.outer_pids = pid_namespace_of(pid);
    traces_.inner_pids = pid_namespace_of(child);
    leader_ = child;
    return traces_.outer_pids != traces_.inner_pids;
  }
  return false;
}

Outcome Container::run(const std::vector<std::string>& arguments, Deadline deadline) const {
  std::vector<std::string> command = {"nsenter",
                                      "--all",
                                      "--target",
                                      std::to_string(leader_),
                                      "--",
                                      "/usr/bin/env",
                                      "--ignore-environment",
                                      "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
                                      "LANG=C.UTF-8",
                                      "SYSTEMD_PAGER=",
                                      "SYSTEMD_COLORS=0",
                                      "SYSTEMD_URLIFY=0"};
  command.insert(command.end(), arguments.begin(), arguments.end());
  return run_command(std::move(command), deadline);
}

Outcome Container::shell(const std::string& text, Deadline deadline) const {
  return run({"/bin/bash", "-c", text}, deadline);
}

Outcome Container::systemctl(std::vector<std::string> arguments, Deadline deadline) const {
  arguments.insert(arguments.begin(), {"/usr/bin/systemctl", "--no-pager", "--full"});
  return run(arguments, deadline);
}

std::string Container::show(const std::string& unit, const std::string& property) const {
  std::string value = systemctl({"show", "--value", "--property", property, unit}).output;
  if (value.ends_with('\n')) value.pop_back();
  return value;
}

bool Container::wait_show(const std::string& unit, const std::string& property, std::string_view value,
                          Deadline deadline) const {
  return support::wait_until([&] { return show(unit, property) == value; }, deadline);
}

pid_t Container::main_pid(const std::string& unit) const {
  const std::string inside = show(unit, "MainPID");
  for (pid_t pid : support::children_of(leader_)) {
    if (last_word_of(pid, "NSpid:") == inside) return pid;
  }
  return 0;
}

std::vector<JournalRecord> Container::journal(const std::string& unit, const std::vector<std::string>& matches) const {
  run({"/usr/bin/journalctl", "--sync"});
  std::vector<std::string> command = {"/usr/bin/journalctl", "--no-pager", "--quiet", "--all",
                                      "--output=json",       "--unit",     unit};
  command.insert(command.end(), matches.begin(), matches.end());
  return parse_journal(run(command).output);
}

bool Container::wait_journal(const std::string& unit, std::string_view text, Deadline deadline) const {
  const auto is_there = [&] {
    for (const JournalRecord& record : journal(unit)) {
      if (record.message().find(text) != std::string::npos) return true;
    }
    return false;
  };
  return support::wait_until(is_there, deadline);
}

void Container::write_file(const std::string& path, std::string_view text) const {
  const fs::path file = outside(path);
  fs::create_directories(file.parent_path());
  std::ofstream stream(file, std::ios::binary | std::ios::trunc);
  if (!(stream << text << std::flush)) throw std::runtime_error("cannot write " + file.string());
}

void Container::write_unit(const std::string& name, std::string_view text) const {
  write_file("/run/systemd/system/" + name, text);
  const Outcome outcome = systemctl({"daemon-reload"});
  if (!outcome.ok()) throw std::runtime_error("daemon-reload: " + outcome.output);
}

std::string Container::outside(const std::string& path) const {
  return "/proc/" + std::to_string(leader_) + "/root" + path;
}

bool Container::stop() {
  if (keeper_ < 0) return true;
  lifeline_.reset();
  int status = -1;
  const bool has_ended = support::wait_until([&] { return ::waitpid(keeper_, &status, WNOHANG) != 0; },
                                             Deadline(std::chrono::seconds(40)));
  if (!has_ended) {
    ::kill(keeper_, SIGKILL);
    ::waitpid(keeper_, &status, 0);
  }
  keeper_ = -1;
  return has_ended && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace systemd
