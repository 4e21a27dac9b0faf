// WorkerMemory: a sealed memfd, its layout and its two mappings.
#include "common/worker_memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <new>
#include <string>

#include "common/check.h"
#include "common/config.h"

namespace common {
namespace {

constexpr std::uint32_t kLayoutVersion = 2;

struct Head {
  std::atomic<std::uint32_t> version;
  std::atomic<TraceSwitch> trace;
  PollWatch polls;
  AskBox ask;
  RequestBox request;
  CrashBox crash;
  std::array<FdStack, kStacksMax> stacks;
};
// How many entries follow is told by the size of the file alone, which is sealed: nothing in it can move the end.
constexpr std::size_t kEntriesAt = (sizeof(Head) + alignof(FdEntry) - 1) / alignof(FdEntry) * alignof(FdEntry);
static_assert(std::atomic<std::uint64_t>::is_always_lock_free && std::atomic<TraceSwitch>::is_always_lock_free,
              "shared between processes");

constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

// All zero is a valid beginning of everything in it: nothing is written, so that nothing becomes resident.
Head& head_of(std::span<std::byte> memory) { return *std::launder(reinterpret_cast<Head*>(memory.data())); }

Result<std::span<std::byte>> map(int fd, std::size_t bytes) {
  void* const memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (memory == MAP_FAILED) return fail_errno("mmap of a worker's memory", errno);
  madvise(memory, bytes, MADV_DONTDUMP);  // a core is about the application; failing costs only room in it
  return std::span(static_cast<std::byte*>(memory), bytes);
}

std::unexpected<Error> not_ours(const std::string& what) {
  return fail("worker memory: " + what + "; master and worker must be the same program");
}

}  // namespace

Result<WorkerMemory::Made> WorkerMemory::create(std::uint64_t descriptors) {
  const std::size_t bytes = kEntriesAt + std::min(descriptors, kOpenFilesCap) * sizeof(FdEntry);
  UniqueFd fd(memfd_create("supervisor-worker", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd) return fail_errno("memfd_create for a worker's memory", errno);
  if (ftruncate(fd.get(), static_cast<off_t>(bytes)) < 0) return fail_errno("ftruncate of a worker's memory", errno);
  // A file that can shrink could kill the master with SIGBUS.
  if (fcntl(fd.get(), F_ADD_SEALS, kSeals) < 0) return fail_errno("seals on a worker's memory", errno);
  auto memory = map(fd.get(), bytes);
  if (!memory) return std::unexpected(memory.error());
  head_of(*memory).version.store(kLayoutVersion, std::memory_order_relaxed);
  return Made{.memory = WorkerMemory(*memory), .fd = std::move(fd)};
}

Result<WorkerMemory> WorkerMemory::attach(UniqueFd fd) {
  struct stat status = {};
  if (fstat(fd.get(), &status) < 0) return fail_errno("fstat of a worker's memory", errno);
  const auto bytes = static_cast<std::size_t>(std::max<off_t>(status.st_size, 0));
  if (bytes < kEntriesAt || (bytes - kEntriesAt) % sizeof(FdEntry) != 0 ||
      (bytes - kEntriesAt) / sizeof(FdEntry) > kOpenFilesCap) {
    return not_ours(std::to_string(bytes) + " bytes, expected " + std::to_string(kEntriesAt) + " and a multiple of " +
                    std::to_string(sizeof(FdEntry)));
  }
  const int seals = fcntl(fd.get(), F_GET_SEALS);
  if (seals < 0 || (seals & F_SEAL_SHRINK) == 0) return not_ours("it is not sealed against shrinking");
  auto memory = map(fd.get(), bytes);
  if (!memory) return std::unexpected(memory.error());
  WorkerMemory attached(*memory);
  const std::uint32_t version = head_of(*memory).version.load(std::memory_order_relaxed);
  if (version != kLayoutVersion) {
    return not_ours("layout version " + std::to_string(version) + ", expected " + std::to_string(kLayoutVersion));
  }
  return attached;
}

WorkerMemory& WorkerMemory::operator=(WorkerMemory&& other) noexcept {
  if (this != &other) {
    if (!memory_.empty()) munmap(memory_.data(), memory_.size_bytes());
    memory_ = std::exchange(other.memory_, {});
  }
  return *this;
}

WorkerMemory::~WorkerMemory() {
  if (!memory_.empty()) munmap(memory_.data(), memory_.size_bytes());
}

FdLedger WorkerMemory::ledger() const {
  if (memory_.empty()) return {};
  auto* const entries = std::launder(reinterpret_cast<FdEntry*>(memory_.data() + kEntriesAt));
  return {{entries, (memory_.size_bytes() - kEntriesAt) / sizeof(FdEntry)}, head_of(memory_).stacks};
}

PollWatch& WorkerMemory::polls() const {
  CHECK(!memory_.empty());
  return head_of(memory_).polls;
}

AskBox& WorkerMemory::ask() const {
  CHECK(!memory_.empty());
  return head_of(memory_).ask;
}

RequestBox& WorkerMemory::request() const {
  CHECK(!memory_.empty());
  return head_of(memory_).request;
}

CrashBox& WorkerMemory::crash() const {
  CHECK(!memory_.empty());
  return head_of(memory_).crash;
}

std::atomic<TraceSwitch>& WorkerMemory::trace() const {
  CHECK(!memory_.empty());
  return head_of(memory_).trace;
}

}  // namespace common
