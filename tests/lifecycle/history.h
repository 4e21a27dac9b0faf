// History: everything that happened in one run, as its clients, its driver and its application wrote it down.
//
// Plain facts without a judgement; judge() in judgement.h makes one of them. Times are of one clock.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "common/clock.h"

namespace lifecycle {

enum class Kind : std::uint8_t {
  kNewConnection,   // one request each
  kKeepAlive,       // one POST at a time, soon after one another
  kPipelined,       // several POSTs in one write
  kSlowSender,      // head and body in pieces
  kSlowReader,      // a large answer through a small window
  kChunked,         // a chunked body, a write for each chunk
  kUnixSocket,      // kKeepAlive on another kind of socket
  kConnectAndWait,  // nothing is sent for a while; and now and then nothing at all
};
inline constexpr std::size_t kKinds = 8;
const char* name_of(Kind kind);

// How an attempt to have a request answered ended.
enum class Ending : std::uint8_t {
  kAnswered,     // 200, whole, and byte by byte the answer to this request
  kNotAccepted,  // not answered, after an answer that said "Connection: close" (RFC 9112, 9.6); sent again elsewhere
  kNotSent,      // the connection had been closed before the request was written; sent again elsewhere
  kTurnedAway,   // 503
  kRefused,      // there was no connection to be had
  kReset,
  kTruncated,   // FIN within the answer
  kUnanswered,  // FIN before any byte of the answer, although the connection was open when the request was sent
  kTimedOut,
  kWrong,    // another's answer, another status, not HTTP
  kSurplus,  // bytes came when no answer was owed: one was given twice
};
inline constexpr std::size_t kEndings = 11;
const char* name_of(Ending ending);

enum class Last : std::uint8_t { kNo, kYes };  // whether the answer said "Connection: close"

struct Attempt {
  std::uint32_t id = 0;
  Kind kind = Kind::kNewConnection;
  Ending ending = Ending::kAnswered;
  Last last = Last::kNo;
  char letter = 0;               // of kAnswered: the build of the application
  std::uint32_t generation = 0;  // of kAnswered: as the worker was told
  pid_t server = 0;              // who answers on this connection, as far as answers told; 0 = not known
  std::uint16_t port = 0;        // the client's; 0 = not TCP, or never connected
  common::TimePoint connected;   // before connect(2)
  common::TimePoint sent;        // before the first byte; of kNotSent: when the client had last heard of the server
  common::TimePoint ended;
};

// One generation of the application: from when it was asked for until the answer that it has been replaced.
struct Epoch {
  char letter = 0;
  std::uint32_t generation = 0;
  common::TimePoint begins;
  common::TimePoint ends = common::TimePoint::max();
};

// A worker that the driver killed. While it could accept no more and still lived, its connections were counted.
struct Death {
  pid_t pid = 0;
  common::TimePoint at;              // before the signal
  std::vector<std::uint16_t> ports;  // of the TCP clients whose connections it held then; sorted
};

// Of a worker that was to have no descriptors left: 503 and eviction are what the product promises then.
struct Shortage {
  pid_t pid = 0;
  common::TimePoint from;
  common::TimePoint until;
};

struct History {
  std::vector<Attempt> attempts;
  std::vector<std::string> remarks;  // of failed attempts, in words: the first few
  std::vector<Epoch> epochs;
  std::vector<Death> deaths;
  std::vector<Shortage> shortages;
  std::vector<std::uint8_t> executions;  // by id: how often the application began with it
  common::Duration drain_max{};  // how long a draining worker may answer those that were connected before
  common::Duration grace{};  // how long a draining worker leaves a connection open that has nothing in flight
};

}  // namespace lifecycle
