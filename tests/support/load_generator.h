// LoadGenerator: threads that keep asking a server and keep a ledger of what became of every request.
//
// Each request has an id of its own, which torture's /inspect sends back: an answer to another request is found out.
// What counts as lost follows RFC 9112, 9.6: requests that were sent after one whose answer said "Connection: close"
// were not accepted, and are sent again on another connection without being counted as lost.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "support/http_client.h"

namespace support {

enum class LoadMode {
  kNewConnection,  // one request each; every second one asks the server to close, the others close themselves
  kKeepAlive,      // one request at a time on a connection that stays
  kPipelined,      // kPipelineDepth requests in one write, then their answers
};

// A connection that ends before any byte of the answer: RFC 9112 lets a client retry a GET on a reused connection.
// kStrict counts it as lost all the same, because a server that drains well gives no reason for it.
enum class Strictness { kStrict, kRetryReused };

struct LoadOptions {
  std::string address = {};
  LoadMode mode = LoadMode::kNewConnection;
  unsigned threads = 2;
  Strictness strictness = Strictness::kStrict;
  std::string target = "/inspect";  // "?id=N" is added, or "&id=N"
  common::Duration answer_timeout = std::chrono::seconds(15);
};

struct LoadReport {
  std::uint64_t sent = 0;
  std::uint64_t answered = 0;   // 200 and the right one
  std::uint64_t retried = 0;    // not accepted by the server, sent again
  std::uint64_t refused = 0;    // connect(2) failed
  std::uint64_t reset = 0;      // the connection was reset before the whole answer
  std::uint64_t ended = 0;      // FIN before the whole answer
  std::uint64_t timed_out = 0;
  std::uint64_t wrong = 0;      // another status, another request's answer, not HTTP
  std::vector<std::string> examples;  // the first failures, in words

  std::uint64_t cut_off() const { return reset + ended; }
  std::uint64_t failed() const { return refused + reset + ended + timed_out + wrong; }
  LoadReport& operator+=(const LoadReport& other);
};
std::ostream& operator<<(std::ostream& out, const LoadReport& report);

class LoadGenerator {
 public:
  explicit LoadGenerator(LoadOptions options);
  ~LoadGenerator();
  LoadGenerator(const LoadGenerator&) = delete;
  LoadGenerator& operator=(const LoadGenerator&) = delete;

  LoadReport report() const;
  // Waits for this many more answers than there are now.
  bool wait_for_answers(std::uint64_t more, Deadline deadline = Deadline(std::chrono::seconds(30))) const;
  LoadReport stop();

 private:
  class Client;  // one thread's connection and ledger

  LoadOptions options_;
  std::atomic<bool> stopping_{false};
  std::vector<std::unique_ptr<Client>> clients_;
  std::vector<std::thread> threads_;
};

}  // namespace support
