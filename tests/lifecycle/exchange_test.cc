// Exchanges: requests are whole whatever pieces they come in, and no answer but the right one is taken for it.
#include "exchange.h"

#include <gtest/gtest.h>

#include "answer_format.h"

namespace lifecycle {
namespace {

constexpr std::uint32_t kId = 4711;

std::string joined(const Exchange& exchange) {
  std::string bytes;
  for (const std::string& piece : exchange.pieces) bytes += piece;
  return bytes;
}

support::HttpResponse right_answer(const Exchange& exchange) {
  return {.status = 200, .headers = {}, .body = "ledger 4711 B 99 7 0" + exchange.expected_end};
}

TEST(Exchange, IsOneRequestWithItsIdForEveryKind) {
  Random random(1);
  for (std::size_t kind = 0; kind < kKinds; ++kind) {
    const Exchange exchange = make_exchange(kId, manner_of(static_cast<Kind>(kind)), Wish::kClose, random);
    const std::string bytes = joined(exchange);
    EXPECT_NE(bytes.find("/ledger?id=4711&size="), std::string::npos) << bytes;
    EXPECT_NE(bytes.find("Connection: close\r\n"), std::string::npos);
    EXPECT_EQ(bytes.find("HTTP/1.1"), bytes.rfind("HTTP/1.1"));
  }
}

TEST(Exchange, TakesTheRightAnswer) {
  Random random(2);
  const Exchange exchange = make_exchange(kId, manner_of(Kind::kChunked), Wish::kStay, random);
  const auto origin = check_answer(exchange, right_answer(exchange));
  ASSERT_TRUE(origin.has_value()) << origin.error();
  EXPECT_EQ(origin->letter, 'B');
  EXPECT_EQ(origin->pid, 99);
  EXPECT_EQ(origin->generation, 7U);
}

TEST(Exchange, RefusesEveryOtherAnswer) {
  Random random(3);
  const Exchange exchange = make_exchange(kId, manner_of(Kind::kSlowReader), Wish::kStay, random);
  support::HttpResponse response = right_answer(exchange);
  response.status = 500;
  EXPECT_FALSE(check_answer(exchange, response).has_value());
  response = right_answer(exchange);
  response.body.replace(response.body.find("4711"), 4, "4712");
  EXPECT_FALSE(check_answer(exchange, response).has_value()) << "another's";
  response = right_answer(exchange);
  response.body.pop_back();
  EXPECT_FALSE(check_answer(exchange, response).has_value()) << "short";
  response = right_answer(exchange);
  response.body += 'x';
  EXPECT_FALSE(check_answer(exchange, response).has_value()) << "long";
  response = right_answer(exchange);
  std::swap(response.body[response.body.size() - 1], response.body[response.body.size() - 9]);
  EXPECT_FALSE(check_answer(exchange, response).has_value()) << "swapped";
  response.body = "hello\n";
  EXPECT_FALSE(check_answer(exchange, response).has_value());
}

TEST(Exchange, ExpectsTheChecksumOfTheBodyItSends) {
  Random random(4);
  const Exchange exchange = make_exchange(kId, manner_of(Kind::kKeepAlive), Wish::kStay, random);
  const std::string bytes = joined(exchange);
  const std::string body = bytes.substr(bytes.find("\r\n\r\n") + 4);
  const std::string said = " " + std::to_string(body.size()) + " " + std::to_string(ledger::checksum(body)) + "\n";
  EXPECT_TRUE(exchange.expected_end.starts_with(said)) << exchange.expected_end.substr(0, 60);
}

}  // namespace
}  // namespace lifecycle
