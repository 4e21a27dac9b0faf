// Privileges: who the processes are once the application runs as another user, and that all else goes on working.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <pwd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <sstream>
#include <string>
#include <vector>

#include "common/capabilities.h"
#include "common/json.h"
#include "support/environment.h"
#include "support/process_table.h"
#include "support/signal.h"
#include "support/supervisor_process.h"

namespace {

using common::Capability;
using common::Json;
using support::Deadline;
using support::HttpResponse;
using support::joined;
using support::set;
using support::SupervisorOptions;
using support::SupervisorProcess;
using testing::HasSubstr;

constexpr const char* kUser = "nobody";  // base-passwd makes it on every Debian
constexpr auto kPatience = std::chrono::seconds(20);

// The words behind "NAME:" in /proc/PID/status.
std::string status_line(pid_t pid, const std::string& name) {
  std::istringstream file(support::read_text("/proc/" + std::to_string(pid) + "/status"));
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with(name + ":")) continue;
    std::istringstream rest(line.substr(name.size() + 1));
    std::string words;
    for (std::string word; rest >> word;) words += (words.empty() ? "" : " ") + word;
    return words;
  }
  return "";
}

common::CapabilitySet capabilities(pid_t pid, const std::string& name) {
  return common::CapabilitySet::of_bits(std::stoull(status_line(pid, name), nullptr, 16));
}

struct stat about(const std::string& path) {
  struct stat file{};
  EXPECT_EQ(::lstat(path.c_str(), &file), 0) << path;
  return file;
}

// Below 1024, where only root and CAP_NET_BIND_SERVICE may listen; 0 = none is free.
int privileged_port() {
  for (int port = 1023; port > 900; --port) {
    const common::UniqueFd probe(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::bind(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return port;
  }
  return 0;
}

class Privileges : public ::testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "NOT TESTED: only root can run an application as another user; use sudo";
    const passwd* const account = ::getpwnam(kUser);
    ASSERT_NE(account, nullptr) << kUser;
    user_ = account->pw_uid;
    group_ = account->pw_gid;
    // The user can reach it, and write into it.
    std::filesystem::permissions(directory_.path("."), std::filesystem::perms(0755));
    ASSERT_EQ(::chown(directory_.path(".").c_str(), user_, group_), 0);
  }

  // A copy that the user can read, wherever the build directory lies.
  std::string app(std::string_view name) {
    const std::string copy = directory_.path(std::string(name) + ".so");
    std::filesystem::copy_file(support::application(name), copy, std::filesystem::copy_options::overwrite_existing);
    std::filesystem::permissions(copy, std::filesystem::perms(0755));
    return copy;
  }
  SupervisorOptions options(std::string_view app_name, const std::vector<std::string>& more = {}) {
    return {.arguments = joined({{"--workers", "1", "--user", kUser}, more}), .app = app(app_name)};
  }
  std::string ids(const std::string& umask) const {
    const std::string user = std::to_string(user_);
    const std::string group = std::to_string(group_);
    return "uid " + user + " " + user + " " + user + " gid " + group + " " + group + " " + group + " groups " + group +
           " umask " + umask;
  }
  void expect_unprivileged(pid_t pid) const {
    const std::string user = std::to_string(user_);
    const std::string group = std::to_string(group_);
    EXPECT_EQ(status_line(pid, "Uid"), user + " " + user + " " + user + " " + user);
    EXPECT_EQ(status_line(pid, "Gid"), group + " " + group + " " + group + " " + group);
    EXPECT_EQ(status_line(pid, "Groups"), group);
    for (const char* name : {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"}) {
      EXPECT_TRUE(capabilities(pid, name).empty()) << name << " of " << pid;
    }
    EXPECT_EQ(status_line(pid, "NoNewPrivs"), "1");
    // Root's if the process were not dumpable: then it would leave no core (proc(5)).
    EXPECT_EQ(about("/proc/" + std::to_string(pid) + "/environ").st_uid, user_);
  }

  support::TemporaryDirectory directory_;
  uid_t user_ = 0;
  gid_t group_ = 0;
};

TEST_F(Privileges, OfTemplateAndWorkersAreTheUsersAndNothingMore) {
  SupervisorProcess server(options("torture"));
  ASSERT_TRUE(server.wait_ready(1)) << server.output();
  const std::vector<pid_t> children = support::children_of(server.pid());
  EXPECT_EQ(children.size(), 2U) << "template and worker";
  for (const pid_t child : children) expect_unprivileged(child);
}

TEST_F(Privileges, OfTheMasterAreTheFewItNeeds) {
  SupervisorProcess server(options("torture"));
  ASSERT_TRUE(server.wait_ready(1)) << server.output();
  EXPECT_EQ(status_line(server.pid(), "Uid"), "0 0 0 0");
  const auto permitted = capabilities(server.pid(), "CapPrm");
  EXPECT_TRUE(permitted.has(Capability::kKill));
  constexpr int kSysModule = 16;
  constexpr int kSysAdmin = 21;
  for (const int given_up : {kSysModule, kSysAdmin}) EXPECT_EQ(permitted.bits() >> given_up & 1, 0U) << given_up;
  EXPECT_EQ(capabilities(server.pid(), "CapEff"), permitted);
  EXPECT_EQ(capabilities(server.pid(), "CapBnd"), permitted) << "what it executes gets no more";
}

TEST_F(Privileges, AreGoneBeforeTheApplicationIsLoaded) {
  const std::string trace = directory_.path("by-load");
  SupervisorProcess server(
      options("identity", joined({set("security.umask", "\"0027\""), set("app.file", "\"" + trace + "\"")})));
  ASSERT_TRUE(server.wait_ready(1)) << server.output();
  EXPECT_EQ(server.get("/load").body, ids("27"));
  EXPECT_EQ(server.get("/now").body, ids("27"));
  EXPECT_EQ(server.get("/regain").body, "no");
  const std::string by_worker = directory_.path("by-worker");
  EXPECT_EQ(server.get("/make?path=" + by_worker).body, "made");
  for (const std::string& path : {trace, by_worker}) {
    EXPECT_EQ(about(path).st_uid, user_) << path;
    EXPECT_EQ(about(path).st_gid, group_) << path;
    EXPECT_EQ(about(path).st_mode & 0777, 0640U) << path;
  }
}

TEST_F(Privileges, AreGoneInCheckToo) {
  const std::string trace = directory_.path("by-check");
  SupervisorProcess check({.arguments = joined({{"check", "--user", kUser, "--set", "security.umask=0077"},
                                                set("app.file", "\"" + trace + "\""),
                                                {app("identity")}}),
                           .defaults = support::Defaults::kNone});
  EXPECT_EQ(check.wait_exit(), 0) << check.output();
  EXPECT_EQ(about(trace).st_uid, user_);
  EXPECT_EQ(about(trace).st_mode & 0777, 0600U);
}

TEST_F(Privileges, StayAsTheyAreWhenNobodyIsNamed) {
  SupervisorProcess server({.arguments = {"--workers", "1"}, .app = app("torture")});
  ASSERT_TRUE(server.wait_ready(1)) << server.output();
  for (const pid_t pid : support::children_of(server.pid())) {
    EXPECT_EQ(status_line(pid, "CapEff"), status_line(::getpid(), "CapEff"));
    EXPECT_EQ(status_line(pid, "NoNewPrivs"), status_line(::getpid(), "NoNewPrivs"));
  }
}

TEST_F(Privileges, OfAGroupAloneLeaveTheUser) {
  SupervisorProcess server({.arguments = {"--workers", "1", "--group", std::to_string(group_)}, .app = app("torture")});
  ASSERT_TRUE(server.wait_ready(1)) << server.output();
  EXPECT_EQ(status_line(server.worker(0), "Uid"), "0 0 0 0");
  const std::string group = std::to_string(group_);
  EXPECT_EQ(status_line(server.worker(0), "Gid"), group + " " + group + " " + group + " " + group);
}

TEST_F(Privileges, OfAReplacedWorkerAreTheSame) {
  SupervisorProcess server(options("identity", set("restart.backoff_first", "\"10ms\"")));
  ASSERT_TRUE(server.wait_ready(1)) << server.output();
  const pid_t first = server.worker(0);
  EXPECT_EQ(server.get("/crash").status, 0);
  ASSERT_TRUE(server.wait_status([](const support::Status& now) { return now.crashed == 1; }, Deadline(kPatience)));
  ASSERT_TRUE(server.wait_ready(1)) << server.output();
  const pid_t second = server.worker(0);
  EXPECT_NE(second, first);
  expect_unprivileged(second);
  EXPECT_EQ(server.control("POST", "/recycle?slot=0").status, 202) << server.output();
  ASSERT_TRUE(server.wait_status(
      [&](const support::Status& now) {
        const auto ready = now.ready_by_slot();
        return ready.contains(0) && ready.at(0).pid != second;
      },
      Deadline(kPatience)));
  expect_unprivileged(server.worker(0));
}

TEST_F(Privileges, LeaveTheMasterAbleToLookIntoAWorkerAndToCloseWhatItHas) {
  SupervisorProcess server(options("torture", set("recycle.interval", "\"50ms\"")));
  ASSERT_TRUE(server.wait_ready(1)) << server.output();
  ASSERT_EQ(server.get("/leak?kind=eventfd&count=1").status, 200);
  const HttpResponse answer = server.control("GET", "/fds?slot=0");
  ASSERT_EQ(answer.status, 200) << answer.body;
  int leaked = -1;
  const Json report = Json::parse(answer.body, nullptr, false);
  const Json& worker = report.contains("workers") ? report["workers"][0] : report;
  for (const Json& each : worker["descriptors"]) {
    if (each["kind"] == "eventfd" && each["owner"] == "application") leaked = each["fd"].get<int>();
  }
  ASSERT_GE(leaked, 0) << answer.body;
  const std::size_t before = support::open_files_at_rest(server.worker(0));
  EXPECT_EQ(server.control("POST", "/close-fd?slot=0&fd=" + std::to_string(leaked)).status, 200);
  EXPECT_TRUE(support::wait_until([&] { return support::open_files(server.worker(0)) < before; }));
  const Json status = Json::parse(server.control("GET", "/status").body, nullptr, false);
  EXPECT_GT(status["workers"][0]["pss_bytes"], 0);
  EXPECT_GT(status["workers"][0]["fds"]["total"], 0);
}

TEST_F(Privileges, LeaveTheMasterAbleToKillAWorkerThatHangs) {
  SupervisorProcess server(
      options("torture", joined({set("workers.hang_timeout", "\"300ms\""), set("workers.stop_timeout", "\"500ms\"")})));
  ASSERT_TRUE(server.wait_ready(1)) << server.output();
  const pid_t first = server.worker(0);
  support::HttpClient client = server.connect();
  ASSERT_TRUE(client.send(support::get_request("/sleep?ms=60000")));
  ASSERT_TRUE(support::wait_until([&] { return !support::process(first); }, Deadline(kPatience))) << server.output();
  ASSERT_TRUE(server.wait_ready(1)) << server.output();
  expect_unprivileged(server.worker(0));
}

TEST_F(Privileges, OfTheNextTemplateAreTheSame) {
  SupervisorProcess server(options("torture"));
  ASSERT_TRUE(server.wait_ready(1)) << server.output();
  const auto template_of = [&] {
    for (const pid_t child : support::children_of(server.pid())) {
      if (status_line(child, "Name").starts_with("template")) return child;
    }
    return pid_t{0};
  };
  const pid_t first = template_of();
  ASSERT_GT(first, 0);
  ASSERT_TRUE(support::send_signal(first, SIGKILL));
  ASSERT_TRUE(support::wait_until(
      [&] {
        const pid_t now = template_of();
        return now != 0 && now != first && status_line(now, "NoNewPrivs") == "1";
      },
      Deadline(kPatience)))
      << server.output();
  EXPECT_EQ(server.control("POST", "/recycle?slot=0").status / 100, 2);
  ASSERT_TRUE(
      server.wait_status([](const support::Status& now) { return now.recycled_in_all() == 1; }, Deadline(kPatience)))
      << server.output();
  expect_unprivileged(template_of());
  expect_unprivileged(server.worker(0));
}

TEST_F(Privileges, LeaveTheMasterAbleToOpenAPrivilegedPortForAnotherSlot) {
  const int port = privileged_port();
  ASSERT_NE(port, 0);
  SupervisorProcess server(options("torture", {"--bind", "127.0.0.1:" + std::to_string(port)}));
  ASSERT_TRUE(server.wait_ready(1)) << server.output();
  EXPECT_EQ(support::fetch("127.0.0.1:" + std::to_string(port), "/hello").body, "hello\n");
  EXPECT_EQ(server.control("POST", "/scale?workers=2").status / 100, 2);
  ASSERT_TRUE(server.wait_ready(2)) << server.output();
  EXPECT_EQ(support::fetch("127.0.0.1:" + std::to_string(port), "/hello").body, "hello\n");
}

// A worker in a handler hears of the death by the kernel's signal alone: it needs PR_SET_PDEATHSIG, set anew after the
// change of user, and a master that may send it.
TEST_F(Privileges, LetABusyWorkerHearThatItsMasterWasKilled) {
  const std::string socket = directory_.path("http.sock");
  SupervisorProcess server(
      options("torture", joined({set("workers.stop_timeout", "\"500ms\""), set("workers.hang_timeout", "\"0s\"")})));
  ASSERT_TRUE(server.wait_ready(1)) << server.output();
  support::HttpClient client = server.connect();
  ASSERT_TRUE(client.send(support::get_request("/sleep?ms=60000")));
  ASSERT_TRUE(server.wait_status([](const support::Status& now) { return now.workers.at(0).in_flight == 1; },
                                 Deadline(kPatience)));
  server.signal(SIGKILL);
  EXPECT_EQ(server.wait_exit(), -SIGKILL);
  EXPECT_TRUE(support::wait_until([&] { return server.processes().empty(); }, Deadline(kPatience)));
  EXPECT_FALSE(std::filesystem::exists(socket)) << "in a directory that the template may write";
  // This one is in a directory of root's: the next start replaces it.
  EXPECT_TRUE(std::filesystem::remove(server.control_path()));
}

TEST_F(Privileges, DecideWhoOwnsTheSocketFiles) {
  const std::string socket = directory_.path("http.sock");
  SupervisorProcess server(options("torture", joined({{"--bind", "unix:" + socket, "--set", "security.umask=0007"},
                                                      set("control.mode", "\"0660\"")})));
  ASSERT_TRUE(server.wait_ready(1)) << server.output();
  EXPECT_EQ(about(socket).st_uid, user_);
  EXPECT_EQ(about(socket).st_gid, group_);
  EXPECT_EQ(about(socket).st_mode & 0777, 0660U);
  EXPECT_EQ(about(server.control_path()).st_uid, 0U);
  EXPECT_EQ(about(server.control_path()).st_gid, group_);
  EXPECT_EQ(about(server.control_path()).st_mode & 0777, 0660U);
  server.signal(SIGTERM);
  EXPECT_EQ(server.wait_exit(), 0);
  EXPECT_FALSE(std::filesystem::exists(socket)) << "in a directory of the user, removed by the master";
}

TEST_F(Privileges, OfAnAccountThatDoesNotExistEndTheStartWithOneLine) {
  for (const std::string key : {"user", "group"}) {
    SupervisorProcess server({.arguments = {"--" + key, "no-such-account"}, .app = app("torture")});
    EXPECT_EQ(server.wait_exit(), 1);
    EXPECT_THAT(server.output(), HasSubstr("security." + key + ": there is no " + key + " 'no-such-account'; create "));
    const std::string output = server.output();
    EXPECT_EQ(std::ranges::count(output, '\n'), 1) << output;
  }
}

TEST_F(Privileges, ThatCannotReadTheApplicationAreNamed) {
  const std::string path = app("torture");
  std::filesystem::permissions(path, std::filesystem::perms(0700));
  ASSERT_EQ(::chown(path.c_str(), 0, 0), 0);
  SupervisorProcess server({.arguments = {"--user", kUser}, .app = path});
  EXPECT_EQ(server.wait_exit(), 1);
  EXPECT_THAT(server.output(), HasSubstr("not readable by this user"));
}

}  // namespace
