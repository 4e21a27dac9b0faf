// Host and RequestContext: what an application gets through the table, and what it may send.
#include "worker/host.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/unique_fd.h"
#include "worker/request_context.h"

namespace {

supervisor_str str(std::string_view text) { return {text.data(), text.size()}; }
std::string text(supervisor_str value) { return value.len == 0 ? std::string() : std::string(value.data, value.len); }

class RecordingExchange final : public worker::Exchange {
 public:
  void respond(int status, std::span<const common::Field> fields, std::string_view body) override {
    ++answers;
    last_status = status;
    last_body = body;
    for (const common::Field& field : fields) headers.emplace_back(field.name, field.value);
  }
  std::string_view peer() override {
    ++peers_asked;
    return "192.0.2.7:51234";
  }
  int fd() const override { return client; }

  int answers = 0;
  int peers_asked = 0;
  int last_status = 0;
  int client = -1;
  std::string last_body;
  std::vector<std::pair<std::string, std::string>> headers;
};

common::Config config_with_settings() {
  common::Config config;
  config.app = {{"redis.url", "redis://[::1]"}, {"debug", "true"}, {"empty", ""}};
  config.app_toml = "debug = true\n";
  return config;
}

class HostTest : public testing::Test {
 protected:
  HostTest() {
    request.method = "POST";
    request.target = "/a?b";
    request.body = "payload";
    context.begin(request, exchange);
  }

  int respond(int status, std::vector<supervisor_field> fields = {}, std::string_view body = "hello\n") {
    const supervisor_response response = {sizeof response, status, fields.data(), fields.size(), str(body)};
    return table.respond(&context, &response);
  }

  worker::Host host{config_with_settings()};
  const supervisor_host& table = host.table();
  common::Request request;
  RecordingExchange exchange;
  worker::RequestContext context;
};

TEST_F(HostTest, FillsEveryFunctionOfTheTable) {
  EXPECT_EQ(table.size, sizeof(supervisor_host));
  EXPECT_EQ(table.abi_version, SUPERVISOR_ABI_VERSION);
  EXPECT_TRUE(table.log && table.fail && table.setting && table.settings_toml);
  EXPECT_TRUE(table.request_info && table.respond && table.cancelled);
}

TEST_F(HostTest, FindsSettingsInWhateverOrderTheyWereConfigured) {
  supervisor_str value = {};
  EXPECT_EQ(table.setting(str("redis.url"), &value), 1);
  EXPECT_EQ(text(value), "redis://[::1]");
  EXPECT_EQ(table.setting(str("debug"), &value), 1);
  EXPECT_EQ(text(value), "true");
  EXPECT_EQ(table.setting(str("empty"), &value), 1);
  EXPECT_EQ(text(value), "");
  EXPECT_EQ(table.setting(str("redis"), &value), 0);
  EXPECT_EQ(table.setting(str("redis.urls"), &value), 0);
  EXPECT_EQ(table.setting({nullptr, 0}, &value), 0);
  EXPECT_EQ(text(table.settings_toml()), "debug = true\n");
}

TEST_F(HostTest, KeepsTheLastReasonUntilItIsTaken) {
  table.fail(str("first"));
  table.fail(str("second"));
  EXPECT_EQ(host.take_failure(), "second");
  EXPECT_EQ(host.take_failure(), "");
}

TEST_F(HostTest, ShowsTheWholeRequest) {
  const std::array<common::Field, 2> headers = {{{"Host", "a"}, {"X-Twice", "1"}}};
  const std::array<common::Field, 1> trailers = {{{"Checksum", "7"}}};
  request.headers = headers;
  request.trailers = trailers;
  const supervisor_request_info* const info = table.request_info(&context);
  EXPECT_EQ(info->size, sizeof(supervisor_request_info));
  EXPECT_EQ(text(info->method), "POST");
  EXPECT_EQ(text(info->target), "/a?b");
  EXPECT_EQ(text(info->version), "1.1");
  EXPECT_EQ(text(info->body), "payload");
  EXPECT_EQ(text(info->peer), "192.0.2.7:51234");
  EXPECT_EQ(text(info->scheme), "http");
  ASSERT_EQ(info->headers_len, 2U);
  EXPECT_EQ(text(info->headers[1].name), "X-Twice");
  ASSERT_EQ(info->trailers_len, 1U);
  EXPECT_EQ(text(info->trailers[0].value), "7");
}

TEST_F(HostTest, ConvertsARequestOnceAndOnlyWhenAsked) {
  respond(200);
  EXPECT_EQ(exchange.peers_asked, 0);
  const supervisor_request_info* const first = table.request_info(&context);
  EXPECT_EQ(table.request_info(&context), first);
  EXPECT_EQ(exchange.peers_asked, 1);
}

TEST_F(HostTest, ShowsTheNextRequestAndNothingOfTheOneBefore) {
  const std::array<common::Field, 1> headers = {{{"Cookie", "secret"}}};
  request.headers = headers;
  EXPECT_EQ(table.request_info(&context)->headers_len, 1U);
  common::Request next;
  next.minor_version = 0;
  context.begin(next, exchange);
  EXPECT_EQ(table.request_info(&context)->headers_len, 0U);
  EXPECT_EQ(text(table.request_info(&context)->version), "1.0");
  EXPECT_FALSE(context.answered());
}

TEST_F(HostTest, ForwardsAnAnswerAsItIs) {
  EXPECT_EQ(respond(404, {{str("X-A"), str("1")}, {str("X-B"), {nullptr, 0}}}, "no\n"), 0);
  EXPECT_EQ(exchange.last_status, 404);
  EXPECT_EQ(exchange.last_body, "no\n");
  const std::vector<std::pair<std::string, std::string>> expected = {{"X-A", "1"}, {"X-B", ""}};
  EXPECT_EQ(exchange.headers, expected);
  EXPECT_TRUE(context.answered());
}

TEST_F(HostTest, TakesOneAnswerPerRequest) {
  EXPECT_EQ(respond(200), 0);
  EXPECT_EQ(respond(200), -1);
  EXPECT_EQ(exchange.answers, 1);
}

TEST_F(HostTest, TakesTheLimitsOfTheStatusAndNothingBeyond) {
  EXPECT_EQ(respond(199), -1);
  EXPECT_EQ(respond(600), -1);
  EXPECT_EQ(respond(-1), -1);
  EXPECT_FALSE(context.answered());
  EXPECT_EQ(respond(200), 0);
  context.begin(request, exchange);
  EXPECT_EQ(respond(599), 0);
}

TEST_F(HostTest, RefusesFieldsThatCouldSplitOrContradictTheResponse) {
  for (const auto& [name, value] : std::multimap<std::string, std::string>{{"X-A", "1\r\nX-B: 2"},
                                                                           {"X-A", std::string("1\0002", 3)},
                                                                           {"X A", "1"},
                                                                           {"", "1"},
                                                                           {"Content-Length", "6"},
                                                                           {"transfer-encoding", "chunked"},
                                                                           {"Connection", "close"},
                                                                           {"Date", "today"}}) {
    EXPECT_EQ(respond(200, {{str(name), str(value)}}), -1) << name;
  }
  EXPECT_EQ(exchange.answers, 0);
}

TEST_F(HostTest, RefusesLengthsWithoutAnAddress) {
  supervisor_response response = {sizeof response, 200, nullptr, 1, str("a")};
  EXPECT_EQ(table.respond(&context, &response), -1);
  response = {sizeof response, 200, nullptr, 0, {nullptr, 1}};
  EXPECT_EQ(table.respond(&context, &response), -1);
  response = {sizeof response - 1, 200, nullptr, 0, str("a")};
  EXPECT_EQ(table.respond(&context, &response), -1);
  EXPECT_EQ(table.respond(&context, nullptr), -1);
  EXPECT_EQ(table.respond(nullptr, &response), -1);
  EXPECT_EQ(exchange.answers, 0);
}

TEST_F(HostTest, TakesAResponseOfALaterAndLongerVersion) {
  const supervisor_response response = {sizeof response + 64, 200, nullptr, 0, str("a")};
  EXPECT_EQ(table.respond(&context, &response), 0);
}

TEST_F(HostTest, SeesThatTheClientHasGone) {
  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  const common::UniqueFd server(ends[0]);
  common::UniqueFd client(ends[1]);
  EXPECT_EQ(table.cancelled(&context), 0);  // without a socket nobody can go
  exchange.client = server.get();
  EXPECT_EQ(table.cancelled(&context), 0);
  ASSERT_EQ(write(client.get(), "next", 4), 4);  // unread bytes before the end do not hide it
  EXPECT_EQ(table.cancelled(&context), 0);
  client.reset();
  EXPECT_EQ(table.cancelled(&context), 1);
}

}  // namespace
