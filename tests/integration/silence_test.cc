// Silence: thousands of clients that say nothing, too little or too late are gone by their deadline, and those who
// behave do not notice.
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include "common/unique_fd.h"
#include "support/environment.h"
#include "support/load_generator.h"
#include "support/process_table.h"
#include "support/supervisor_process.h"

namespace {

using namespace std::chrono_literals;
using support::Deadline;
using support::HttpClient;
using support::SupervisorProcess;

// All deadlines that matter here but one. A client's is over one of them after its last step.
constexpr common::Duration kPatience = 1s;
// The keep-alive's, times kPatience: who behaves is idle, too, while the machine has no processor for it.
constexpr int kKeepAlive = 3;
constexpr common::Duration kSlack = 4s;  // for a machine that has other work

// All of them, or as many as one process may open. Under a sanitizer a quarter: it shadows every buffer.
int clients_in_all() {
  const auto room = static_cast<int>(std::min<std::uint64_t>(support::raise_open_files(), 1'000'000)) - 200;
  return std::min(support::is_sanitized() ? 2'500 : 10'000, room);
}

SupervisorProcess& started(std::optional<SupervisorProcess>& server) {
  std::vector<std::string> arguments = {"--workers", "1"};
  for (const char* key : {"header", "body", "write", "linger"}) {
    for (const std::string& word : support::set(std::string("timeouts.") + key, "\"1s\"")) arguments.push_back(word);
  }
  for (const std::string& word : support::set("timeouts.keep_alive", "\"" + std::to_string(kKeepAlive) + "s\"")) {
    arguments.push_back(word);
  }
  for (const std::string& word : support::set("recycle.fds_used", "0.0")) arguments.push_back(word);
  server.emplace(support::SupervisorOptions{.arguments = std::move(arguments)});
  return *server;
}

// Crowd: many clients of one server, each from a source address whose ports are not used up.
class Crowd {
 public:
  explicit Crowd(const SupervisorProcess& server) : server_(server) {}

  void add(int count, std::string_view first_words) {
    const std::string address = server_.address();
    for (int i = 0; i < count; ++i) {
      const std::string source = "127.0.1." + std::to_string(1 + clients_.size() % 250) + ":0";
      common::Result<HttpClient> client = HttpClient::connect(address, Deadline(), source);
      if (!client) {
        ADD_FAILURE() << "client " << clients_.size() << ": " << client.error().message;
        return;
      }
      if (!first_words.empty()) client->send(first_words);
      clients_.push_back(std::move(*client));
    }
  }

  void half_close() {
    for (HttpClient& client : clients_) client.half_close();
  }
  void say(std::string_view words) {
    for (HttpClient& client : clients_) client.send_some(words);
  }

 private:
  const SupervisorProcess& server_;
  std::vector<HttpClient> clients_;
};

struct Silence : testing::Test {
  Silence() : server(started(holder)), crowd(server) {
    ready = server.wait_ready(1);
    EXPECT_TRUE(ready);
    worker = server.worker(0);
    files_before = support::open_files(worker);
    load.emplace(support::LoadOptions{
        .address = server.address(), .mode = support::LoadMode::kKeepAlive, .threads = 1, .answer_timeout = 5s});
    EXPECT_TRUE(load->wait_for_answers(1));
  }

  std::uint64_t connections() const {
    const auto now = server.status();
    return now ? now->worker(worker).connections : ~std::uint64_t{0};
  }
  // The first may be gone when the last comes, and how many are there at a time is a matter of speed; but many are.
  void expect_many_that_say(std::string_view first_words) {
    constexpr int kParts = 20;
    const int part = clients_in_all() / kParts;
    std::uint64_t most = 0;
    for (int i = 0; i < kParts; ++i) {
      crowd.add(part, first_words);
      const auto now = server.status();
      if (now) most = std::max(most, now->worker(worker).connections);
    }
    EXPECT_GE(most, static_cast<std::uint64_t>(part)) << "they were gone before they were many";
  }
  // Only the connection of the load is left, by the deadline; the descriptors are back; all answers came.
  void expect_gone(common::TimePoint last_step, int deadlines = 1) {
    const common::TimePoint end = last_step + deadlines * kPatience + support::patience(kSlack);
    const Deadline deadline(std::max(end - common::Clock::now(), common::Duration::zero()));
    EXPECT_TRUE(support::wait_until([&] { return connections() <= 1; }, deadline)) << connections() << " are left";
    EXPECT_TRUE(support::wait_until([&] { return support::open_files(worker) <= files_before + 8; }))
        << support::open_files(worker) << " descriptors, " << files_before << " before";
    EXPECT_TRUE(load->wait_for_answers(10));
    const support::LoadReport report = load->stop();
    EXPECT_EQ(report.failed(), 0U) << report;
    EXPECT_EQ(server.worker(0), worker) << "it was replaced";
  }

  std::optional<SupervisorProcess> holder;
  SupervisorProcess& server;
  Crowd crowd;
  bool ready = false;
  pid_t worker = 0;
  std::size_t files_before = 0;
  std::optional<support::LoadGenerator> load;
};

TEST_F(Silence, OfClientsThatNeverSpeakEndsAtTheHeaderDeadline) {
  expect_many_that_say("");
  expect_gone(common::Clock::now());
}

TEST_F(Silence, OfClientsThatHalfCloseEndsAtOnce) {
  crowd.add(clients_in_all(), "");
  crowd.half_close();
  expect_gone(common::Clock::now() - kPatience);
}

TEST_F(Silence, OfClientsThatStayIdleEndsAtTheKeepAliveDeadline) {
  expect_many_that_say(support::get_request("/hello"));
  expect_gone(common::Clock::now(), kKeepAlive + 1);  // then lingering
}

TEST_F(Silence, OfOneByteASecondEndsAtTheHeaderDeadlineAllTheSame) {
  crowd.add(clients_in_all(), "G");
  const common::TimePoint begun = common::Clock::now();
  std::size_t next = 0;
  const std::string_view request = "ET /hello HTTP/1.1";
  // Each client says a byte whenever this comes round, until the server has had enough of all of them.
  support::wait_until(
      [&] {
        crowd.say(request.substr(next++ % request.size(), 1));
        return connections() <= 1;
      },
      Deadline(10s));
  expect_gone(begun, 2);  // the header's, then lingering after the 408
}

TEST_F(Silence, OfBodiesThatStandStillEndsAtTheBodyDeadline) {
  expect_many_that_say("POST /inspect HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nx");
  expect_gone(common::Clock::now(), 2);  // the body's, then lingering
}

// A client whose side takes little and makes the server's side take little: small segments keep its send buffer small.
common::UniqueFd narrow_client(const std::string& address) {
  common::UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int segment = 536;
  const int buffer = 4096;
  ::setsockopt(fd.get(), IPPROTO_TCP, TCP_MAXSEG, &segment, sizeof segment);
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
  sockaddr_in server{};
  server.sin_family = AF_INET;
  server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  server.sin_port = htons(static_cast<std::uint16_t>(std::stoi(address.substr(address.rfind(':') + 1))));
  EXPECT_EQ(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&server), sizeof server), 0);
  return fd;
}

TEST_F(Silence, OfClientsThatNeverReadEndsAtTheWriteDeadline) {
  // Few, because each answer takes the application some milliseconds, and waits in memory.
  constexpr std::uint64_t kCount = 200;
  const std::string big = server.directory().path("big");
  std::ofstream(big) << std::string(std::size_t{160} << 10, 'x');
  const std::string request = support::get_request("/file?path=" + big);
  std::vector<common::UniqueFd> narrow;
  for (std::uint64_t i = 0; i < kCount; ++i) {
    narrow.push_back(narrow_client(server.address()));
    ASSERT_EQ(::write(narrow.back().get(), request.data(), request.size()), static_cast<ssize_t>(request.size()));
  }
  // Only one that waits for its client is in flight beside the one in the handler. How many are at a time depends on
  // how many the application answers within the deadline.
  EXPECT_TRUE(server.wait_status([&](const support::Status& now) {
    return now.worker(worker).in_flight >= kCount / 20;
  })) << "the answers were not too big";
  expect_gone(common::Clock::now());
}

TEST_F(Silence, OfClientsThatKeepTheirEndOpenAfterTheLastAnswerEndsAtTheLingerDeadline) {
  expect_many_that_say(support::get_request("/hello", "Connection: close\r\n"));
  expect_gone(common::Clock::now());
}

}  // namespace
