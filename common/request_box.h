// RequestBox: the request that application code is handling, noted where it can be read when the worker is gone.
//
// In the worker's shared memory (common/worker_memory.h): noted when the handler is entered and taken back when it is
// left, so that a worker that hangs, crashes or is killed in the middle is known with its request. One request: of
// several handlers on the way, the one that was entered last. Relaxed atomics; whoever reads while it is written may
// see parts of two requests. It is a report, not a lock.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace common {

inline constexpr std::size_t kRequestLineMax = 256;  // bytes that are kept of "GET /target"

class RequestBox {
 public:
  // By the worker. A copy of at most kRequestLineMax bytes; allocates nothing, calls nothing.
  void begin(std::string_view method, std::string_view target);
  void end() { length_.store(0, std::memory_order_relaxed); }

  // By the master, who believes nothing: "GET /target", with "..." behind what was cut, printable ASCII alone ('?' for
  // all else). nullopt: no request is in hand.
  std::optional<std::string> read() const;

 private:
  std::atomic<std::uint32_t> length_;  // of the whole line, also of what is not kept; 0 = none
  std::array<std::atomic<std::uint64_t>, kRequestLineMax / sizeof(std::uint64_t)> words_;
};

}  // namespace common
