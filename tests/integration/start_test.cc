// Starting: what the supervisor has set up by the time it is ready, seen from outside.
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <csignal>
#include <cstdlib>
#include <set>

#include "support/process_table.h"
#include "support/signal.h"
#include "support/supervisor_process.h"

namespace {

using support::Deadline;
using support::Defaults;
using support::HttpResponse;
using support::joined;
using support::Status;
using support::SupervisorOptions;
using support::SupervisorProcess;

SupervisorOptions on_address(const std::string& bind, const std::string& control) {
  return {.arguments = {"--workers", "2", "--bind", bind, "--control", control, support::application("torture")},
          .defaults = Defaults::kNone};
}

// For servers without the usual defaults, whose control socket lies in a directory of the test.
bool answers_hello(const std::string& address) {
  return support::wait_until([&] { return support::fetch(address, "/hello").status == 200; },
                             Deadline(std::chrono::seconds(20)));
}

class ListeningSocket {  // somebody else's
 public:
  ListeningSocket() : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof(address);
    auto* const generic = reinterpret_cast<sockaddr*>(&address);
    EXPECT_EQ(::bind(fd_.get(), generic, length), 0);
    EXPECT_EQ(::listen(fd_.get(), 1), 0);
    ::getsockname(fd_.get(), generic, &length);
    port_ = ntohs(address.sin_port);
  }
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }

 private:
  common::UniqueFd fd_;
  int port_ = 0;
};

TEST(Start, ServesTheApplicationOnThePortItReports) {
  SupervisorProcess server({.arguments = {"--workers", "2"}});
  ASSERT_TRUE(server.wait_ready(2));
  EXPECT_FALSE(server.address().ends_with(":0")) << server.address();
  const HttpResponse answer = server.get("/hello");
  EXPECT_EQ(answer.status, 200) << answer.body;
  EXPECT_NE(answer.body.find("hello"), std::string::npos) << answer.body;
  const std::string port = server.address().substr(server.address().rfind(':'));
  EXPECT_NE(server.output().find(port), std::string::npos) << "the chosen port is not in the log";
}

TEST(Start, GivesEveryWorkerOneListeningSocketOfItsOwn) {
  SupervisorProcess server({.arguments = {"--workers", "4"}});
  ASSERT_TRUE(server.wait_ready(4));
  const common::Result<Status> status = server.status();
  ASSERT_TRUE(status.has_value()) << status.error().message;
  const std::set<std::uint64_t> of_master = support::listening_inodes(server.pid());
  EXPECT_EQ(of_master.size(), 4U);
  std::set<std::uint64_t> all;
  for (const auto& [slot, worker] : status->ready_by_slot()) {
    const std::set<std::uint64_t> own = support::listening_inodes(worker.pid);
    EXPECT_EQ(own.size(), 1U) << "slot " << slot;
    all.insert(own.begin(), own.end());
  }
  EXPECT_EQ(all, of_master) << "the sockets are the master's, one for each worker";
  ASSERT_EQ(status->listeners.size(), 1U);
  EXPECT_EQ(status->listeners[0].sockets, 4);
}

TEST(Start, MakesItsWorkersChildrenOfTheMaster) {
  SupervisorProcess server({.arguments = {"--workers", "3"}});
  ASSERT_TRUE(server.wait_ready(3));
  const common::Result<Status> status = server.status();
  ASSERT_TRUE(status.has_value()) << status.error().message;
  EXPECT_EQ(status->master_pid, server.pid());
  for (const auto& [slot, worker] : status->ready_by_slot()) {
    const auto entry = support::process(worker.pid);
    ASSERT_TRUE(entry.has_value()) << "slot " << slot;
    EXPECT_EQ(entry->parent, server.pid()) << "slot " << slot;
    EXPECT_EQ(worker.generation, 1);
    EXPECT_EQ(worker.state, "ready");
  }
}

TEST(Start, NeverMapsTheApplicationInTheMaster) {
  SupervisorProcess server({.arguments = {"--workers", "1"}});
  ASSERT_TRUE(server.wait_ready(1));
  const common::Result<Status> status = server.status();
  ASSERT_TRUE(status.has_value()) << status.error().message;
  EXPECT_FALSE(support::maps_file(server.pid(), "torture.so"));
  EXPECT_TRUE(support::maps_file(status->ready_by_slot().at(0).pid, "torture.so"));
}

TEST(Start, CountsTheDescriptorsOfTheMaster) {
  SupervisorProcess server({.arguments = {"--workers", "2"}});
  ASSERT_TRUE(server.wait_ready(2));
  std::size_t at_rest = 0;
  // The connection that asks is one of them while the answer is made.
  EXPECT_TRUE(server.wait_status([&](const Status& now) {
    at_rest = support::open_files_at_rest(server.pid());
    return now.master_fds == at_rest + 1;
  })) << server.status()->master_fds
      << " with the one that asks, " << at_rest << " without";
}

TEST(Start, RaisesTheSoftLimitOfOpenFilesToTheHardOne) {
  SupervisorProcess server(
      {.arguments = {"--workers", "1"}, .launcher = {"/bin/sh", "-c", "ulimit -S -n 256; exec \"$@\"", "sh"}});
  ASSERT_TRUE(server.wait_ready(1));
  const common::Result<Status> status = server.status();
  ASSERT_TRUE(status.has_value()) << status.error().message;
  EXPECT_GT(status->open_files_soft, 256U);
  EXPECT_EQ(status->open_files_soft, std::min<std::uint64_t>(status->open_files_hard, 1'048'576));
  const std::string limits = support::read_text("/proc/" + std::to_string(server.pid()) + "/limits");
  EXPECT_NE(limits.find(std::to_string(status->open_files_soft)), std::string::npos) << limits;
}

TEST(Start, KeepsTheControlSocketForItsUserAlone) {
  SupervisorProcess server({.arguments = {"--workers", "1"}});
  ASSERT_TRUE(server.wait_ready(1));
  struct stat file{};
  ASSERT_EQ(::stat(server.control_path().c_str(), &file), 0);
  EXPECT_TRUE(S_ISSOCK(file.st_mode));
  EXPECT_EQ(file.st_mode & 0777U, 0600U);
}

TEST(Start, ListensOnAUnixPathAndRemovesItAfterwards) {
  const support::TemporaryDirectory directory;
  const std::string path = directory.path("app.sock");
  {
    SupervisorProcess server(on_address("unix:" + path, directory.path("control")));
    EXPECT_TRUE(answers_hello("unix:" + path));
  }
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(Start, ListensOnAnAbstractUnixName) {
  const support::TemporaryDirectory directory;
  const std::string name = "unix:@supervisor-test-" + std::to_string(::getpid());
  SupervisorProcess server(on_address(name, directory.path("control")));
  EXPECT_TRUE(answers_hello(name));
}

TEST(Start, ReplacesTheUnixSocketOfAServerThatIsGone) {
  const support::TemporaryDirectory directory;
  const std::string path = directory.path("app.sock");
  SupervisorProcess first(on_address("unix:" + path, directory.path("control")));
  ASSERT_TRUE(answers_hello("unix:" + path));
  // A crash of everything at once leaves the file behind.
  for (const pid_t pid : first.processes()) support::send_signal(pid, SIGKILL);
  ASSERT_TRUE(first.wait_exit().has_value());
  SupervisorProcess second(on_address("unix:" + path, directory.path("control2")));
  EXPECT_TRUE(answers_hello("unix:" + path));
}

TEST(Start, RefusesTheUnixPathOfAServerThatLives) {
  const support::TemporaryDirectory directory;
  const std::string path = directory.path("app.sock");
  SupervisorProcess first(on_address("unix:" + path, directory.path("control")));
  ASSERT_TRUE(answers_hello("unix:" + path));
  SupervisorProcess second(on_address("unix:" + path, directory.path("control2")));
  EXPECT_EQ(second.wait_exit(), 1);
  EXPECT_NE(second.output().find(path), std::string::npos) << second.output();
  EXPECT_TRUE(answers_hello("unix:" + path));
}

TEST(Start, ListensOnIpv6) {
  SupervisorProcess server({.arguments = {"--workers", "2", "--bind", "[::1]:0"}});
  ASSERT_TRUE(server.wait_ready(2));
  ASSERT_TRUE(server.address(1).starts_with("[::1]:")) << server.address(1);
  EXPECT_EQ(support::fetch(server.address(1), "/hello").status, 200);
}

TEST(Start, ListensOnTwoAddresses) {
  SupervisorProcess server({.arguments = {"--workers", "2", "--bind", "127.0.0.1:0"}});
  ASSERT_TRUE(server.wait_ready(2));
  ASSERT_NE(server.address(0), server.address(1));
  for (const std::size_t index : {0U, 1U}) {
    EXPECT_EQ(support::fetch(server.address(index), "/hello").status, 200) << server.address(index);
  }
}

TEST(Start, RefusesAnAddressInUse) {
  const ListeningSocket other;
  const support::TemporaryDirectory directory;
  SupervisorProcess server(on_address(other.address(), directory.path("control")));
  EXPECT_EQ(server.wait_exit(), 1);
  EXPECT_NE(server.output().find(other.address()), std::string::npos) << server.output();
  EXPECT_NE(server.output().find("in use"), std::string::npos) << server.output();
}

TEST(Start, EndsWithZeroWhenAskedToStop) {
  for (const int signal : {SIGTERM, SIGINT, SIGQUIT}) {
    SupervisorProcess server({.arguments = {"--workers", "2"}});
    ASSERT_TRUE(server.wait_ready(2));
    server.signal(signal);
    EXPECT_EQ(server.wait_exit(), 0) << "signal " << signal;
  }
}

TEST(Start, EndsWithZeroWhenStoppedOverTheControlSocket) {
  SupervisorProcess server({.arguments = {"--workers", "2"}});
  ASSERT_TRUE(server.wait_ready(2));
  EXPECT_EQ(server.control("POST", "/stop").status / 100, 2);
  EXPECT_EQ(server.wait_exit(), 0);
}

TEST(Start, EndsWithTwoWhenItIsCalledWrongly) {
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"--no-such-option"}, {"--workers"}, {}, {"a.so", "b.so"}}) {
    SupervisorProcess server({.arguments = arguments, .defaults = Defaults::kNone});
    EXPECT_EQ(server.wait_exit(), 2) << server.output();
    EXPECT_FALSE(server.output().empty());
  }
}

TEST(Start, ShowsHelpAndVersion) {
  for (const char* option : {"--help", "--version"}) {
    SupervisorProcess server({.arguments = {option}, .defaults = Defaults::kNone});
    EXPECT_EQ(server.wait_exit(), 0) << option;
    EXPECT_TRUE(server.wait_output(option == std::string("--help") ? "--workers" : "supervisor"));
  }
}

// As in a container whose seccomp profile forbids it.
TEST(Start, RefusesWithTheCauseWhereIoUringIsForbidden) {
  SupervisorProcess server(
      {.arguments = {"--workers", "1"},
       .launcher = {"/usr/bin/strace", "-f", "-qq", "-o", "/dev/null", "-e", "inject=io_uring_setup:error=EPERM"}});
  EXPECT_EQ(server.wait_exit(), 1);
  EXPECT_NE(server.output().find("io_uring is not available: Operation not permitted"), std::string::npos)
      << server.output();
}

}  // namespace
