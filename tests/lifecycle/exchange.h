// Exchange: one request of a kind of client, with what its answer has to say. Pure: random numbers are handed in.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "history.h"
#include "support/http_client.h"

namespace lifecycle {

using Random = std::mt19937;
using Milliseconds = std::chrono::milliseconds;

// How a kind of client behaves; every span of time is chosen anew, up to the value here.
struct Manner {
  enum class Stay : std::uint8_t { kOneRequest, kManyRequests } stay = Stay::kManyRequests;
  std::size_t requests_in_flight = 1;
  Milliseconds pause_max{8};  // between exchanges; shorter than any grace
  std::size_t pieces = 1;  // writes for one request
  Milliseconds piece_pause_max{0};
  std::size_t body_max = 0;  // 0 = GET, else POST
  bool is_chunked = false;
  std::size_t answer_max = 2'000;
  Milliseconds hold_max{0};  // time in the handler
  std::size_t read_bytes = 0;  // of a client that takes the first part of an answer so slowly; 0 = as it comes
};
Manner manner_of(Kind kind);

struct Exchange {
  std::uint32_t id = 0;
  std::vector<std::string> pieces;  // to be written one after the other
  std::string expected_end;  // of the answer's body: " RECEIVED SUM\n" and the filler
};

enum class Wish { kStay, kClose };  // kClose: "Connection: close" in the request
Exchange make_exchange(std::uint32_t id, const Manner& manner, Wish wish, Random& random);

struct Origin {  // of an answer, as it says itself
  char letter = 0;
  pid_t pid = 0;
  std::uint32_t generation = 0;
};
// Where the answer comes from, or why it is not the one to this request.
std::expected<Origin, std::string> check_answer(const Exchange& exchange, const support::HttpResponse& response);

}  // namespace lifecycle
