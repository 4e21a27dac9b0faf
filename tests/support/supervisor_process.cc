// SupervisorProcess: fork, exec, and the search for what was left behind.
#include "support/supervisor_process.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <filesystem>
#include <iostream>
#include <map>
#include <stdexcept>

#include "support/process_table.h"

extern char** environ;

namespace support {
namespace {

std::vector<char*> pointers(std::vector<std::string>& strings) {
  std::vector<char*> result;
  for (std::string& string : strings) result.push_back(string.data());
  result.push_back(nullptr);
  return result;
}

std::string unique_marker() {
  static std::atomic<unsigned> counter{0};
  return "SUPERVISOR_TEST_ID=" + std::to_string(::getpid()) + "-" + std::to_string(++counter);
}

bool replaces_environment(std::string_view variable) {
  return variable.starts_with("ASAN_OPTIONS=") || variable.starts_with("SUPERVISOR_ARGS=") ||
         variable.starts_with("SUPERVISOR_TEST_ID=") || variable.starts_with("RUNTIME_DIRECTORY=") ||
         variable.starts_with("XDG_RUNTIME_DIR=") || variable.starts_with("LISTEN_") ||
         variable.starts_with("NOTIFY_SOCKET=");
}

// In the child, between fork and exec: only calls that are safe in a copy of a process with threads.
[[noreturn]] void execute(char* const* argv, char* const* envp, int output, std::optional<std::uint64_t> open_files) {
  ::setsid();
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);  // a test that is killed takes its server along
  const int nothing = ::open("/dev/null", O_RDONLY);
  ::dup2(nothing, STDIN_FILENO);
  ::dup2(output, STDOUT_FILENO);
  ::dup2(output, STDERR_FILENO);
  if (nothing > STDERR_FILENO) ::close(nothing);
  if (open_files) {
    const rlimit limit{.rlim_cur = *open_files, .rlim_max = *open_files};
    ::setrlimit(RLIMIT_NOFILE, &limit);
  }
  ::execvpe(argv[0], argv, envp);
  ::_exit(127);
}

}  // namespace

std::vector<std::string> set(std::string_view key, std::string_view value) {
  return {"--set", std::string(key) + "=" + std::string(value)};
}

std::vector<std::string> joined(std::initializer_list<std::vector<std::string>> parts) {
  std::vector<std::string> all;
  for (const std::vector<std::string>& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

SupervisorProcess::SupervisorProcess(SupervisorOptions options)
    : options_(std::move(options)), marker_(unique_marker()) {
  // What a killed master leaves behind becomes our child, so that it can be found and waited for.
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  start();
}

void SupervisorProcess::start() {
  std::vector<std::string> arguments = options_.launcher;
  arguments.push_back(program());
  if (options_.defaults == Defaults::kPortAndControl) {
    for (const char* word : {"--bind", "127.0.0.1:0"}) arguments.emplace_back(word);
  }
  if (options_.defaults != Defaults::kNone) arguments.insert(arguments.end(), {"--control", control_path()});
  arguments.insert(arguments.end(), options_.arguments.begin(), options_.arguments.end());
  if (options_.defaults != Defaults::kNone && !options_.app.empty()) arguments.push_back(options_.app);

  std::vector<std::string> variables = options_.variables;
  variables.push_back(marker_);
  // A process that crashes must die of its signal, not of the sanitizer's report about it.
  variables.emplace_back("ASAN_OPTIONS=handle_segv=0:handle_abort=0");
  for (char** variable = environ; *variable != nullptr; ++variable) {
    if (!replaces_environment(*variable)) variables.emplace_back(*variable);
  }
  const std::vector<char*> argv = pointers(arguments);
  const std::vector<char*> envp = pointers(variables);
  pid_ = ::fork();
  if (pid_ < 0) throw std::runtime_error("fork failed");
  if (pid_ == 0) execute(argv.data(), envp.data(), output_.write_fd(), options_.open_files);
  output_.close_write_end();
}

SupervisorProcess::~SupervisorProcess() {
  if (running()) {
    signal(SIGTERM);
    if (!wait_exit()) {
      ADD_FAILURE() << "supervisor did not stop after SIGTERM\n" << output();
      signal(SIGKILL);
      wait_exit();
    }
  }
  expect_nothing_left();
  if (::testing::Test::HasFailure()) std::cerr << "---- log of " << marker_ << "\n" << output() << "----\n";
}

void SupervisorProcess::expect_nothing_left() {
  if (!wait_until([this] { return processes().empty(); })) {
    for (const pid_t pid : processes()) {
      ADD_FAILURE() << "process " << pid
                    << " was left behind: " << read_text("/proc/" + std::to_string(pid) + "/cmdline");
      ::kill(pid, SIGKILL);
    }
    wait_until([this] { return processes().empty(); });
  }
  EXPECT_FALSE(std::filesystem::exists(control_path())) << "the control socket was left behind";
}

void SupervisorProcess::signal(int number) const {
  if (!exit_code_) ::kill(pid_, number);
}

bool SupervisorProcess::running() { return !wait_exit(Deadline(common::Duration::zero())).has_value(); }

std::optional<int> SupervisorProcess::wait_exit(Deadline deadline) {
  wait_until(
      [this] {
        int state = 0;
        if (!exit_code_ && ::waitpid(pid_, &state, WNOHANG) == pid_) {
          exit_code_ = WIFEXITED(state) ? WEXITSTATUS(state) : -WTERMSIG(state);
        }
        return exit_code_.has_value();
      },
      deadline);
  return exit_code_;
}

bool SupervisorProcess::wait_ready(std::size_t workers, Deadline deadline) {
  bool ready = false;
  wait_until(
      [&] {
        const common::Result<Status> now = status();
        ready = now.has_value() && now->ready_by_slot().size() == workers;
        return ready || !running();
      },
      deadline);
  return ready;
}

bool SupervisorProcess::wait_output(std::string_view text, Deadline deadline) {
  return wait_until([&] { return output().find(text) != std::string::npos; }, deadline);
}

common::Result<Status> SupervisorProcess::status() const {
  const HttpResponse answer = control("GET", "/status");
  if (answer.status != 200) return common::fail("GET /status: " + std::to_string(answer.status) + " " + answer.body);
  common::Result<Status> result = parse_status(answer.body);
  if (result && addresses_.empty()) {
    for (const ListenerStatus& listener : result->listeners) addresses_.push_back(listener.address);
  }
  return result;
}

HttpResponse SupervisorProcess::control(std::string_view method, std::string_view target) const {
  return fetch("unix:" + control_path(), target, Deadline(), method);
}

HttpResponse SupervisorProcess::get(std::string_view target, Deadline deadline) const {
  return fetch(address(), target, deadline);
}

HttpClient SupervisorProcess::connect() const {
  common::Result<HttpClient> client = HttpClient::connect(address());
  if (!client) throw std::runtime_error(client.error().message);
  return std::move(*client);
}

pid_t SupervisorProcess::worker(int slot) const {
  const common::Result<Status> now = status();
  if (!now) return 0;
  const std::map<int, WorkerStatus> ready = now->ready_by_slot();
  const auto worker = ready.find(slot);
  return worker == ready.end() ? 0 : worker->second.pid;
}

std::string SupervisorProcess::address(std::size_t index) const {
  if (addresses_.empty()) {
    const common::Result<Status> now = status();
    if (!now) ADD_FAILURE() << "no address: " << now.error().message;
  }
  return index < addresses_.size() ? addresses_[index] : "";
}

std::vector<pid_t> SupervisorProcess::processes() const {
  std::vector<pid_t> living;
  for (const ProcessEntry& entry : processes_of(pid_, marker_)) {
    if (entry.pid == ::getpid()) continue;
    const bool ours = entry.parent == ::getpid() && entry.pid != pid_;
    if (entry.state == 'Z' && ours && ::waitpid(entry.pid, nullptr, WNOHANG) == entry.pid) continue;
    living.push_back(entry.pid);
  }
  return living;
}

}  // namespace support
