// Command: fork, exec and one pipe for all output.
#include "command.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <ostream>
#include <stdexcept>

#include "common/unique_fd.h"

namespace systemd {
namespace {

using common::UniqueFd;

struct Pipe {
  UniqueFd read_end;
  UniqueFd write_end;
};

Pipe make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("pipe2 failed");
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

// Until the program, and all that inherited its output, has closed it; false when the deadline comes first.
bool read_all(int fd, std::string& output, const support::Deadline& deadline) {
  while (!deadline.passed()) {
    pollfd entry{.fd = fd, .events = POLLIN, .revents = 0};
    if (::poll(&entry, 1, deadline.poll_milliseconds()) <= 0) continue;
    char buffer[65'536];
    const ssize_t count = ::read(fd, buffer, sizeof buffer);
    if (count <= 0) return true;
    output.append(buffer, static_cast<std::size_t>(count));
  }
  return false;
}

}  // namespace

std::ostream& operator<<(std::ostream& out, const Outcome& outcome) {
  return out << "exit " << outcome.exit << ": " << outcome.output;
}

Outcome run_command(std::vector<std::string> arguments, support::Deadline deadline) {
  std::vector<char*> argv;
  argv.reserve(arguments.size() + 1);
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  const UniqueFd nothing(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  Pipe out = make_pipe();
  const pid_t pid = ::fork();
  if (pid < 0) throw std::runtime_error("fork failed");
  if (pid == 0) {  // only calls that are safe in a copy of a process with threads
    ::dup2(nothing.get(), STDIN_FILENO);
    ::dup2(out.write_end.get(), STDOUT_FILENO);
    ::dup2(out.write_end.get(), STDERR_FILENO);
    ::execvp(argv[0], argv.data());
    ::_exit(127);
  }
  out.write_end.reset();
  Outcome outcome;
  if (!read_all(out.read_end.get(), outcome.output, deadline)) {
    ::kill(pid, SIGKILL);
    outcome.output += "\n(killed: it did not end in time)";
  }
  int status = 0;
  ::waitpid(pid, &status, 0);
  outcome.exit = WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
  return outcome;
}

}  // namespace systemd
