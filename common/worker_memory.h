// WorkerMemory: the memory one worker shares with the master: its descriptor ledger, its poll watch and its boxes.
//
// One memfd per worker process, made by the master before the fork and mapped by both; the master keeps its
// descriptor for the next image of its program. It is sparse: of the room for every possible descriptor only the pages
// that are touched exist. The worker can write all of it, so the master believes none of it: indices and counts are
// checked when they are read.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include "common/ask_box.h"
#include "common/crash_box.h"
#include "common/fd_ledger.h"
#include "common/poll_watch.h"
#include "common/request_box.h"
#include "common/result.h"
#include "common/unique_fd.h"

namespace common {

inline constexpr std::size_t kStacksMax = 4096;  // a power of two: places that open descriptors, hashed

enum class TraceSwitch : std::uint32_t { kOff, kOn };

class WorkerMemory {
 public:
  struct Made;
  WorkerMemory() = default;  // none
  // Room for descriptors 0 to `descriptors` - 1. The descriptor goes to the worker.
  static Result<Made> create(std::uint64_t descriptors);
  // Maps what create() made; `fd` is closed.
  static Result<WorkerMemory> attach(UniqueFd fd);

  WorkerMemory(WorkerMemory&& other) noexcept : memory_(std::exchange(other.memory_, {})) {}
  WorkerMemory& operator=(WorkerMemory&& other) noexcept;
  ~WorkerMemory();

  explicit operator bool() const { return !memory_.empty(); }
  FdLedger ledger() const;  // valid as long as this; of no descriptors if there is no memory
  // These need memory.
  PollWatch& polls() const;
  AskBox& ask() const;
  RequestBox& request() const;
  CrashBox& crash() const;
  std::atomic<TraceSwitch>& trace() const;  // the master turns it on when it suspects a leak

 private:
  explicit WorkerMemory(std::span<std::byte> memory) : memory_(memory) {}

  std::span<std::byte> memory_;  // mapped shared
};

struct WorkerMemory::Made {
  WorkerMemory memory;
  UniqueFd fd;
};

}  // namespace common
