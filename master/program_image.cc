// ProgramImage: fork(2), execve(2), and the descriptors that survive it.
#include "master/program_image.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string_view>
#include <tuple>
#include <utility>

#include "common/format.h"
#include "common/inherited_fds.h"
#include "master/handover.h"

namespace master {
namespace {

enum class OnExec { kSurvives, kCloses };

void mark(std::span<const int> fds, OnExec what) {
  for (const int fd : fds) {
    const int flags = fcntl(fd, F_GETFD);
    if (flags < 0) continue;
    fcntl(fd, F_SETFD, what == OnExec::kCloses ? flags | FD_CLOEXEC : flags & ~FD_CLOEXEC);
  }
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> result(texts.size() + 1, nullptr);
  std::ranges::transform(texts, result.begin(), [](std::string& text) { return text.data(); });
  return result;
}

[[noreturn]] void run_check(const ProgramImage& program, int handover, std::span<const int> fds, int output) {
  // What it does not understand it must not keep open either.
  std::vector<int> keep(fds.begin(), fds.end());
  keep.push_back(handover);
  keep.push_back(output);
  std::ranges::sort(keep);
  common::close_all_except(keep);
  dup2(output, STDOUT_FILENO);
  dup2(output, STDERR_FILENO);
  keep.erase(std::ranges::find(keep, output));
  mark(keep, OnExec::kSurvives);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  std::vector<std::string> arguments = {program.arguments.front(), std::string(kCheckVerb), std::to_string(handover)};
  arguments.insert(arguments.end(), program.arguments.begin() + 1, program.arguments.end());
  execv(program.path.c_str(), pointers(arguments).data());
  const std::string words = common::format("execute {}: {}\n", program.path, common::errno_text(errno));
  std::ignore = write(STDERR_FILENO, words.data(), words.size());
  _exit(1);
}

// Where a shell has found it; "" = somewhere else. A symbolic link stays one, so that it can be changed.
std::string found_by_path(const std::string& name) {
  const char* const variable = std::getenv("PATH");
  std::string_view rest = variable == nullptr ? "" : variable;
  while (!name.empty() && !rest.empty()) {
    const std::string_view directory = rest.substr(0, rest.find(':'));
    rest.remove_prefix(std::min(directory.size() + 1, rest.size()));
    std::error_code error;
    const auto path = std::filesystem::absolute(std::filesystem::path(directory) / name, error);
    if (!error && std::filesystem::equivalent(path, "/proc/self/exe", error)) return path.string();
  }
  return "";
}

}  // namespace

ProgramImage own_program(int argc, const char* const* argv) {
  ProgramImage program{.path = {}, .arguments = {argv, argv + argc}};
  const std::string name = argc > 0 ? argv[0] : "";
  std::error_code error;
  if (name.find('/') != name.npos) {
    program.path = std::filesystem::absolute(name, error).string();
  } else {
    program.path = found_by_path(name);
  }
  // Started by somebody who gave another name: the file it was then.
  if (program.path.empty()) program.path = std::filesystem::read_symlink("/proc/self/exe", error).string();
  if (program.arguments.empty()) program.arguments.push_back(program.path);
  return program;
}

common::Result<StartedCheck> start_check(const ProgramImage& program, int handover, std::span<const int> fds) {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) < 0) return common::fail_errno("pipe for the check", errno);
  common::UniqueFd reading(ends[0]);
  const common::UniqueFd writing(ends[1]);
  const pid_t pid = fork();
  if (pid < 0) return common::fail_errno("fork for the check", errno);
  if (pid == 0) run_check(program, handover, fds, writing.get());
  fcntl(reading.get(), F_SETFL, O_NONBLOCK);
  return StartedCheck{.pid = pid, .output = std::move(reading)};
}

common::Error exec_program(const ProgramImage& program, int handover, std::span<const int> fds) {
  std::vector<int> surviving(fds.begin(), fds.end());
  surviving.push_back(handover);
  mark(surviving, OnExec::kSurvives);
  setenv(kHandoverVariable, common::format("{}:{}", getpid(), handover).c_str(), 1);
  std::vector<std::string> arguments = program.arguments;
  execv(program.path.c_str(), pointers(arguments).data());
  const int errnum = errno;
  unsetenv(kHandoverVariable);
  mark(surviving, OnExec::kCloses);
  return {.message = common::format("execute {}: {}", program.path, common::errno_text(errnum)), .errnum = errnum};
}

std::optional<int> handed_over() {
  const char* const value = std::getenv(kHandoverVariable);
  if (value == nullptr) return std::nullopt;
  const std::string text = value;
  unsetenv(kHandoverVariable);
  const std::size_t colon = text.find(':');
  pid_t pid = 0;
  int fd = -1;
  if (colon == text.npos) return std::nullopt;
  std::from_chars(text.data(), text.data() + colon, pid);
  std::from_chars(text.data() + colon + 1, text.data() + text.size(), fd);
  // Of somebody else, who has started us with his environment.
  if (pid != getpid() || fd <= STDERR_FILENO) return std::nullopt;
  return fd;
}

}  // namespace master
