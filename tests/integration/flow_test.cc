// Flow: clients that are slow or gone, and how long the server waits for them.
#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "support/process_table.h"
#include "support/supervisor_process.h"

namespace {

using support::Deadline;
using support::get_request;
using support::HttpClient;
using support::HttpRead;
using support::joined;
using support::ReadOutcome;
using support::Status;
using support::SupervisorProcess;

std::vector<std::string> with_timeout(std::string_view which, std::string_view duration) {
  return joined({{"--workers", "1"}, support::set("timeouts." + std::string(which), duration)});
}

std::string random_bytes(std::size_t size) {
  std::mt19937 engine(7);
  std::string bytes(size, '\0');
  for (char& byte : bytes) byte = static_cast<char>(engine());
  return bytes;
}

TEST(Flow, AnswersTwoThousandRequestsOfOneWriteToASlowReader) {
  SupervisorProcess server({.arguments = {"--workers", "1"}});
  ASSERT_TRUE(server.wait_ready(1));
  constexpr int kRequests = 2000;
  std::string unsent;
  for (int index = 0; index < kRequests; ++index) unsent += get_request("/inspect?id=" + std::to_string(index));
  HttpClient client = server.connect();
  client.limit_receive_buffer(4096);
  // Nothing is read before the server has stopped taking requests, or all are sent: then it holds what it can.
  common::TimePoint last_progress = common::Clock::now();
  support::wait_until([&] {
    const std::size_t sent = client.send_some(unsent);
    unsent.erase(0, sent);
    if (sent > 0) last_progress = common::Clock::now();
    return unsent.empty() || common::Clock::now() - last_progress > std::chrono::milliseconds(100);
  });
  for (int index = 0; index < kRequests; ++index) {
    unsent.erase(0, client.send_some(unsent));
    const HttpRead read = client.read();
    ASSERT_EQ(read.outcome, ReadOutcome::kAnswer) << "request " << index;
    ASSERT_NE(read.response.body.find("id=" + std::to_string(index) + "\""), std::string::npos) << read.response.body;
  }
}

TEST(Flow, SendsALargeFileToASlowReader) {
  SupervisorProcess server({.arguments = {"--workers", "1"}});
  ASSERT_TRUE(server.wait_ready(1));
  const std::string content = random_bytes(20'000'000);
  const std::string path = server.directory().write("large.bin", content);
  HttpClient client = server.connect();
  client.limit_receive_buffer(16 * 1024);
  ASSERT_TRUE(client.send(get_request("/file?path=" + path)));
  EXPECT_EQ(server.get("/hello").status, 200) << "a slow reader holds up nobody else";
  const HttpRead read = client.read(support::BodyRule::kPresent, Deadline(std::chrono::seconds(40)));
  ASSERT_EQ(read.outcome, ReadOutcome::kAnswer);
  EXPECT_TRUE(read.response.body == content) << read.response.body.size() << " bytes, not those of the file";
}

TEST(Flow, EndsAConnectionWhoseHeadDoesNotCome) {
  SupervisorProcess server({.arguments = with_timeout("header", "\"1s\"")});  // from connect to send, too
  ASSERT_TRUE(server.wait_ready(1));
  HttpClient client = server.connect();
  ASSERT_TRUE(client.send("GET /hello HT"));
  const HttpRead read = client.read();
  ASSERT_EQ(read.outcome, ReadOutcome::kAnswer);
  EXPECT_EQ(read.response.status, 408);
  EXPECT_EQ(client.read_to_end().outcome, ReadOutcome::kEnd);
}

// Browsers open connections ahead of need, and would show a 408 on one as the answer to a later request.
TEST(Flow, EndsAConnectionThatNeverSaidAnythingWithoutAWord) {
  SupervisorProcess server({.arguments = with_timeout("header", "\"300ms\"")});
  ASSERT_TRUE(server.wait_ready(1));
  HttpClient client = server.connect();
  EXPECT_EQ(client.read_to_end().outcome, ReadOutcome::kEnd);
}

TEST(Flow, CountsTheHeaderTimeoutFromTheFirstByteHoweverManyFollow) {
  SupervisorProcess server(
      {.arguments = joined({with_timeout("header", "\"500ms\""), support::set("timeouts.linger", "\"200ms\"")})});
  ASSERT_TRUE(server.wait_ready(1));
  HttpClient client = server.connect();
  ASSERT_TRUE(client.send("GET /hello HTTP/1.1\r\nHost: test\r\nX: "));
  // One byte each few milliseconds, so that the connection is never silent, until the server has had enough.
  EXPECT_TRUE(support::wait_until([&] { return !client.send("x"); })) << "each byte gives it more time";
  const HttpRead read = client.read();
  ASSERT_TRUE(read.outcome == ReadOutcome::kAnswer || read.outcome == ReadOutcome::kReset);
  EXPECT_EQ(read.response.status, read.outcome == ReadOutcome::kAnswer ? 408 : 0);
}

TEST(Flow, EndsAConnectionWhoseBodyDoesNotCome) {
  SupervisorProcess server({.arguments = with_timeout("body", "\"300ms\"")});
  ASSERT_TRUE(server.wait_ready(1));
  HttpClient client = server.connect();
  ASSERT_TRUE(client.send("POST /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345"));
  const HttpRead read = client.read();
  ASSERT_EQ(read.outcome, ReadOutcome::kAnswer);
  EXPECT_EQ(read.response.status, 408);
  EXPECT_EQ(client.read_to_end().outcome, ReadOutcome::kEnd);
}

TEST(Flow, EndsASilentConnectionBetweenRequestsWithoutAWord) {
  SupervisorProcess server({.arguments = with_timeout("keep_alive", "\"300ms\"")});
  ASSERT_TRUE(server.wait_ready(1));
  HttpClient client = server.connect();
  ASSERT_TRUE(client.send(get_request("/hello")));
  ASSERT_EQ(client.read().outcome, ReadOutcome::kAnswer);
  const HttpRead end = client.read_to_end();
  EXPECT_EQ(end.outcome, ReadOutcome::kEnd);
  EXPECT_EQ(end.response.body, "");
}

TEST(Flow, AbortsAClientThatDoesNotReadItsAnswer) {
  SupervisorProcess server({.arguments = with_timeout("write", "\"300ms\"")});
  ASSERT_TRUE(server.wait_ready(1));
  const std::string path = server.directory().write("large.bin", random_bytes(20'000'000));
  HttpClient client = server.connect();
  client.limit_receive_buffer(4096);
  ASSERT_TRUE(client.send(get_request("/file?path=" + path)));
  // Whoever has been answered has been counted as a connection before.
  EXPECT_TRUE(server.wait_status([](const Status& now) {
    const support::WorkerStatus worker = now.ready_by_slot().at(0);
    return worker.requests == 1 && worker.connections == 0;
  })) << "a client that reads nothing holds its connection for ever";
}

TEST(Flow, FreesTheDescriptorsOfClientsThatVanish) {
  SupervisorProcess server({.arguments = {"--workers", "1"}});
  ASSERT_TRUE(server.wait_ready(1));
  const std::string pid_text = server.get("/pid").body;
  const pid_t worker = static_cast<pid_t>(std::stol(pid_text));
  const std::size_t before = support::open_files_at_rest(worker);
  for (int round = 0; round < 50; ++round) {
    HttpClient begun = server.connect();
    ASSERT_TRUE(begun.send("GET /he"));
    begun.abort();
    HttpClient waiting = server.connect();
    ASSERT_TRUE(waiting.send(get_request("/inspect") + get_request("/inspect")));
    waiting.abort();
  }
  EXPECT_TRUE(support::wait_until([&] { return support::open_files(worker) <= before; }))
      << support::open_files(worker) << " descriptors instead of " << before;
  EXPECT_EQ(server.get("/pid").body, pid_text) << "a client that goes away kills nobody";
}

TEST(Flow, ClosesAFailedSendersConnectionWithoutTouchingOthers) {
  SupervisorProcess server({.arguments = {"--workers", "1"}});
  ASSERT_TRUE(server.wait_ready(1));
  const std::string path = server.directory().write("large.bin", random_bytes(5'000'000));
  HttpClient steady = server.connect();
  for (int round = 0; round < 10; ++round) {
    HttpClient fickle = server.connect();
    ASSERT_TRUE(fickle.send(get_request("/file?path=" + path)));
    fickle.abort();  // the server is writing to it: EPIPE or ECONNRESET, never SIGPIPE
    ASSERT_TRUE(steady.send(get_request("/hello")));
    const HttpRead read = steady.read();
    ASSERT_EQ(read.outcome, ReadOutcome::kAnswer) << "round " << round;
    EXPECT_EQ(read.response.status, 200);
  }
}

}  // namespace
