// OriginalServer: starting Debian's Python, and reading what it says.
#include "original_server.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace incidents {
namespace {

constexpr const char* kPython = "/usr/bin/python3";  // Debian's: another one in PATH has other modules

[[noreturn]] void execute_python(char* const* arguments, int output) {
  ::dup2(output, STDOUT_FILENO);
  ::dup2(output, STDERR_FILENO);
  if (::chdir(INCIDENT_ORIGINALS_DIR) == 0) ::execv(kPython, arguments);
  ::_exit(127);
}

std::vector<char*> pointers(std::vector<std::string>& arguments) {
  std::vector<char*> result;
  for (std::string& argument : arguments) result.push_back(argument.data());
  result.push_back(nullptr);
  return result;
}

// -B: nothing is written into the source tree.
std::vector<std::string> python(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {kPython, "-B"});
  return arguments;
}

ChildProcess start(std::vector<std::string> arguments, int output, std::optional<std::uint64_t> open_files) {
  arguments = python(std::move(arguments));
  const std::vector<char*> argv = pointers(arguments);
  return ChildProcess([&] { execute_python(argv.data(), output); }, open_files);
}

}  // namespace

bool has_python_module(const std::string& name) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    const int nothing = ::open("/dev/null", O_WRONLY);
    std::vector<std::string> arguments = python({"-c", "import " + name});
    execute_python(pointers(arguments).data(), nothing);
  }
  int state = 0;
  return ::waitpid(pid, &state, 0) == pid && WIFEXITED(state) && WEXITSTATUS(state) == 0;
}

OriginalServer::OriginalServer(std::vector<std::string> arguments, std::optional<std::uint64_t> open_files)
    : process_(start(std::move(arguments), output_.write_fd(), open_files)) {
  output_.close_write_end();
}

std::string OriginalServer::wait_address(support::Deadline deadline) {
  constexpr std::string_view kBefore = "Listening at: http://";
  if (!wait_output(kBefore, deadline)) return "";
  const std::string text = output();
  const std::size_t begin = text.find(kBefore) + kBefore.size();
  return text.substr(begin, text.find_first_of(" \n", begin) - begin);
}

bool OriginalServer::wait_output(std::string_view text, support::Deadline deadline) {
  return support::wait_until([&] { return output().find(text) != std::string::npos; }, deadline);
}

}  // namespace incidents
