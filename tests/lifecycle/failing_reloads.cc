// Failing reloads: the ways in which a new generation can turn out to be none, and what must be true after each.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <map>
#include <stdexcept>

#include "common/json.h"
#include "common/unique_fd.h"
#include "drivers.h"

namespace lifecycle {
namespace {

using support::Deadline;
using support::HttpResponse;
using support::Status;
using support::SupervisorProcess;

constexpr common::Duration kRefusalTimeout = std::chrono::seconds(30);
constexpr auto kTooSlow = std::chrono::milliseconds(60'000);

// A port that somebody else listens at.
class TakenPort {
 public:
  TakenPort() : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    auto* const generic = reinterpret_cast<sockaddr*>(&address);
    if (::bind(socket_.get(), generic, length) != 0 || ::listen(socket_.get(), 1) != 0 ||
        ::getsockname(socket_.get(), generic, &length) != 0) {
      throw std::runtime_error("no port to be had");
    }
    text_ = "127.0.0.1:" + std::to_string(ntohs(address.sin_port));
  }
  const std::string& address() const { return text_; }

 private:
  common::UniqueFd socket_;
  std::string text_;
};

struct Mistake {
  const char* name;
  void (*make)(Service& service, const TakenPort& taken);
};

void install_broken(Service& service, const char* name) { service.install_module(support::application(name)); }

constexpr auto kMistakes = std::to_array<Mistake>({
    {"a configuration that is not TOML",
     [](Service& service, const TakenPort&) { service.configure({.lines = "workers = [\n"}); }},
    {"an unknown key", [](Service& service, const TakenPort&) { service.configure({.lines = "workers.cuont = 2\n"}); }},
    {"no application", [](Service& service, const TakenPort&) { service.uninstall(); }},
    {"an application that is not ELF",
     [](Service& service, const TakenPort&) { service.install_module("/etc/passwd"); }},
    {"another ABI", [](Service& service, const TakenPort&) { install_broken(service, "abi_newer"); }},
    {"load() fails", [](Service& service, const TakenPort&) { install_broken(service, "load_fails"); }},
    {"load() throws", [](Service& service, const TakenPort&) { install_broken(service, "load_throws"); }},
    {"load() crashes", [](Service& service, const TakenPort&) { install_broken(service, "load_crashes"); }},
    {"load() takes too long",
     [](Service& service, const TakenPort&) {
       service.configure({.lines = "workers.start_timeout = \"500ms\"\n"});
       service.slow_load(kTooSlow);
     }},
    {"worker_start() fails", [](Service& service, const TakenPort&) { install_broken(service, "worker_start_fails"); }},
    {"an address in use",
     [](Service& service, const TakenPort& taken) { service.configure({.address = taken.address()}); }},
});

std::map<int, pid_t> pids_by_slot(const Status& status) {
  std::map<int, pid_t> pids;
  for (const auto& [slot, worker] : status.ready_by_slot()) pids[slot] = worker.pid;
  return pids;
}

std::string last_error(const SupervisorProcess& server) {
  const common::Json status = common::Json::parse(server.control("GET", "/status").body, nullptr, false);
  if (!status.is_object() || !status.contains("reload")) return "";
  const common::Json error = status["reload"].value("last_error", common::Json());
  return error.is_string() ? error.get<std::string>() : "";
}

void fail_reload(Trial& trial, const Mistake& mistake, const TakenPort& taken, int slot) {
  SCOPED_TRACE(mistake.name);
  SupervisorProcess& server = trial.process();
  ASSERT_TRUE(trial.service().wait_ready());
  const common::Result<Status> before = server.status();
  ASSERT_TRUE(before.has_value()) << before.error().message;
  mistake.make(trial.service(), taken);
  const HttpResponse answer =
      support::fetch("unix:" + server.control_path(), "/reload", Deadline(kRefusalTimeout), "POST");
  EXPECT_GE(answer.status, 400) << answer.body;
  EXPECT_FALSE(answer.body.empty()) << "a refusal without a reason";
  EXPECT_NE(last_error(server), "");
  const common::Result<Status> after = server.status();
  ASSERT_TRUE(after.has_value()) << after.error().message;
  EXPECT_EQ(after->generation, before->generation);
  EXPECT_EQ(pids_by_slot(*after), pids_by_slot(*before));
  // From memory: what lies on the disk now is the mistake.
  const pid_t old = before->ready_by_slot().at(slot).pid;
  EXPECT_EQ(server.control("POST", "/recycle?slot=" + std::to_string(slot)).status / 100, 2);
  const auto is_replaced = [&] {
    const pid_t now = server.worker(slot);
    return now != 0 && now != old;
  };
  EXPECT_TRUE(support::wait_until(is_replaced)) << "the old generation cannot replace its workers any more";
}

}  // namespace

void fail_reloads(Trial& trial, int count) {
  const TakenPort taken;
  for (int round = 0; round < count; ++round) {
    const Mistake& mistake = kMistakes[static_cast<std::size_t>(round) % kMistakes.size()];
    fail_reload(trial, mistake, taken, round % trial.service().options().workers);
    trial.service().configure({});
    trial.service().slow_load(std::chrono::milliseconds(0));
    trial.service().install(trial.letter());
    if (::testing::Test::HasFatalFailure()) return;
  }
  trial.expect_progress();
}

}  // namespace lifecycle
