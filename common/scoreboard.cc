// Scoreboard: creation and mapping of the shared records.
#include "common/scoreboard.h"

#include <sys/mman.h>

#include <cerrno>
#include <new>

#include "common/check.h"

namespace common {

Result<Scoreboard> Scoreboard::create() {
  constexpr std::size_t kBytes = sizeof(WorkerGauges) * kRecordsMax;
  UniqueFd fd(memfd_create("supervisor-scoreboard", MFD_CLOEXEC));
  if (!fd) return fail_errno("memfd_create for the scoreboard", errno);
  if (ftruncate(fd.get(), kBytes) < 0) return fail_errno("ftruncate of the scoreboard", errno);
  void* memory = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  if (memory == MAP_FAILED) return fail_errno("mmap of the scoreboard", errno);
  return Scoreboard(std::move(fd), {new (memory) WorkerGauges[kRecordsMax]{}, kRecordsMax});
}

Scoreboard::Scoreboard(Scoreboard&& other) noexcept
    : fd_(std::move(other.fd_)), records_(std::exchange(other.records_, {})) {}

Scoreboard::~Scoreboard() {
  if (!records_.empty()) munmap(records_.data(), records_.size_bytes());
}

WorkerGauges& Scoreboard::record(std::uint32_t index) {
  CHECK(index < records_.size());
  return records_[index];
}

}  // namespace common
