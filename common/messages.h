// Messages: every sentence the master, a template and a worker can say to each other.
//
//   master -> template   kForkWorker (+ the worker's channel end, + its WorkerMemory)
//   template -> master   kLoaded | kFailed, then kForked | kForkFailed for each kForkWorker
//   master -> worker     kStartWorker (+ one listening socket per address), later kOwnSlot, kLimits, kDrain,
//                        kAdopt (+ client connections)
//   worker -> master     kReady | kFailed, later kAsked
// A process that finds its channel closed knows that its master is gone.
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>
#include <type_traits>

namespace common {

inline constexpr std::uint32_t kMessageVersion = 2;
inline constexpr std::size_t kMessageTextMax = 2048;  // bytes, including the terminating NUL
inline constexpr std::size_t kAdoptMax = 64;          // connections in one kAdopt

enum class MessageType : std::uint32_t {
  kForkWorker = 1,
  kLoaded,
  kFailed,
  kForked,
  kForkFailed,
  kStartWorker,
  kReady,
  kDrain,
  kOwnSlot,  // no other process of this slot is left
  kLimits,   // the limits have changed
  kAsked,    // the question in the AskBox is answered
  kAdopt,  // clients that the master took from the queue of a slot without a worker: yours now, whatever your state
};

// What becomes of the clients in the listen queues of a worker that drains.
enum class DrainQueue : std::uint32_t {
  kLeave,  // a successor serves the same sockets
  kEmpty,  // nobody will: new connections are steered away already; what is queued, or still on its way, is accepted
};
inline constexpr std::uint64_t kAllSockets = ~std::uint64_t{0};

// How far a process came before it failed.
enum class Stage : std::uint32_t { kNone = 0, kOpenApp, kLoadApp, kFork, kSetUp, kRing, kWorkerStart };
std::string_view stage_name(Stage stage);

// Sent as it lies in memory, the unused tail of `text` left out: both ends are the same binary of the same host.
struct Message {
  std::uint32_t version = kMessageVersion;
  MessageType type{};
  std::uint64_t worker = 0;  // WorkerId; kForkWorker, kForked, kForkFailed, kStartWorker
  std::uint32_t slot = 0;  // kForkWorker
  std::uint32_t generation = 0;  // kForkWorker
  std::uint32_t record = 0;  // kForkWorker: index into the scoreboard
  std::int32_t pid = 0;  // kForked
  std::uint64_t shared_sockets = 0;  // kStartWorker: bit i = workers of other slots accept from the i-th socket, too
  std::uint32_t connections_max = 0;  // kLimits
  DrainQueue drain_queue = DrainQueue::kLeave;  // kDrain
  // kDrain with kEmpty. Bit i is the i-th socket of kStartWorker. The others are left: those that a successor or
  // another slot's worker accepts from, too.
  std::uint64_t empty_sockets = kAllSockets;
  std::uint32_t empty_ms_max = 0;  // kDrain with kEmpty: by when at the latest; 0 = half of workers.stop_timeout
  Stage stage = Stage::kNone;  // kFailed
  std::int32_t errnum = 0;  // kFailed, kForkFailed; 0 = no system call was involved
  char text[kMessageTextMax] = {};  // kFailed: the reason; kLoaded: the application's name

  std::string_view text_view() const { return {text, strnlen(text, kMessageTextMax)}; }
  void set_text(std::string_view value) {
    const std::size_t length = value.size() < kMessageTextMax - 1 ? value.size() : kMessageTextMax - 1;
    if (length > 0) std::memcpy(text, value.data(), length);
    text[length] = '\0';
  }
};
static_assert(std::is_trivially_copyable_v<Message>);

}  // namespace common
