// Exchange: requests in words and pieces, answers byte by byte.
#include "exchange.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <sstream>

#include "answer_format.h"

namespace lifecycle {
namespace {

std::size_t up_to(std::size_t most, Random& random) {
  return std::uniform_int_distribution<std::size_t>(0, most)(random);
}

std::string make_body(std::size_t most, std::uint32_t id, Random& random) {
  std::string body;
  if (most > 0) ledger::append_filler(body, ~id, 1 + up_to(most - 1, random));
  return body;
}

std::string make_head(std::uint32_t id, const Manner& manner, std::size_t answer_size, Wish wish, Random& random) {
  std::string head = manner.body_max > 0 ? "POST" : "GET";
  head += " /ledger?id=" + std::to_string(id) + "&size=" + std::to_string(answer_size);
  // Few, for a handler that holds its request holds up all connections of its worker.
  if (manner.hold_max.count() > 0 && up_to(15, random) == 0) {
    head += "&ms=" + std::to_string(up_to(static_cast<std::size_t>(manner.hold_max.count()), random));
  }
  head += " HTTP/1.1\r\nHost: ledger\r\n";
  if (wish == Wish::kClose) head += "Connection: close\r\n";
  return head;
}

// `text` in `count` pieces of random sizes.
std::vector<std::string> split(const std::string& text, std::size_t count, Random& random) {
  std::vector<std::size_t> cuts = {0, text.size()};
  while (cuts.size() < count + 1) cuts.push_back(up_to(text.size(), random));
  std::ranges::sort(cuts);
  std::vector<std::string> pieces;
  for (std::size_t index = 0; index + 1 < cuts.size(); ++index) {
    if (cuts[index] < cuts[index + 1]) pieces.push_back(text.substr(cuts[index], cuts[index + 1] - cuts[index]));
  }
  return pieces;
}

std::vector<std::string> chunks(std::string head, const std::string& body, std::size_t count, Random& random) {
  std::vector<std::string> pieces = {std::move(head) + "Transfer-Encoding: chunked\r\n\r\n"};
  for (const std::string& part : split(body, count, random)) {
    char size[20];
    std::snprintf(size, sizeof size, "%zx\r\n", part.size());
    pieces.push_back(size + part + "\r\n");
  }
  pieces.emplace_back("0\r\n\r\n");
  return pieces;
}

}  // namespace

Manner manner_of(Kind kind) {
  using Stay = Manner::Stay;
  constexpr std::size_t kWindow = 16'000;
  switch (kind) {
    case Kind::kNewConnection: return {.stay = Stay::kOneRequest, .hold_max = Milliseconds(10)};
    case Kind::kKeepAlive: return {.body_max = 1'000, .hold_max = Milliseconds(5)};
    case Kind::kPipelined: return {.requests_in_flight = 8, .pause_max = Milliseconds(20), .body_max = 1'000};
    case Kind::kSlowSender: return {.pieces = 6, .piece_pause_max = Milliseconds(30), .body_max = 4'000};
    case Kind::kSlowReader: return {.piece_pause_max = Milliseconds(20), .answer_max = 600'000, .read_bytes = kWindow};
    case Kind::kChunked:
      return {.pieces = 4, .piece_pause_max = Milliseconds(10), .body_max = 20'000, .is_chunked = true};
    case Kind::kUnixSocket: return {.body_max = 1'000, .hold_max = Milliseconds(5)};
    case Kind::kConnectAndWait: return {.stay = Stay::kOneRequest, .pause_max = Milliseconds(0), .body_max = 1'000};
  }
  return {};
}

Exchange make_exchange(std::uint32_t id, const Manner& manner, Wish wish, Random& random) {
  const std::size_t answer_size = up_to(manner.answer_max, random);
  const std::string body = make_body(manner.body_max, id, random);
  std::string head = make_head(id, manner, answer_size, wish, random);
  Exchange exchange{.id = id, .pieces = {}, .expected_end = {}};
  if (manner.is_chunked) {
    exchange.pieces = chunks(std::move(head), body, manner.pieces, random);
  } else {
    if (manner.body_max > 0) head += "Content-Length: " + std::to_string(body.size()) + "\r\n";
    exchange.pieces = split(head + "\r\n" + body, manner.pieces, random);
  }
  exchange.expected_end = " " + std::to_string(body.size()) + " " + std::to_string(ledger::checksum(body)) + "\n";
  ledger::append_filler(exchange.expected_end, id, answer_size);
  return exchange;
}

std::expected<Origin, std::string> check_answer(const Exchange& exchange, const support::HttpResponse& response) {
  const std::string& body = response.body;
  const auto refuse = [&](const std::string& why) {
    return std::unexpected(why + ": " + std::to_string(response.status) + " " + body.substr(0, 100));
  };
  if (response.status != 200) return refuse("not 200");
  std::istringstream line(body.substr(0, body.find('\n')));
  std::string word;
  std::string slot;
  std::uint32_t id = 0;
  Origin origin;
  line >> word >> id >> origin.letter >> origin.pid >> origin.generation >> slot;
  if (!line || word != "ledger") return refuse("not an answer of the application");
  if (id != exchange.id) return refuse("the answer to request " + std::to_string(id));
  const auto told = static_cast<std::size_t>(line.tellg());
  if (std::string_view(body).substr(told) != exchange.expected_end) {
    return refuse("not byte by byte what was asked for");
  }
  return origin;
}

}  // namespace lifecycle
