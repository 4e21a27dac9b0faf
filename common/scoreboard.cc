// Scoreboard: creation and mapping of the shared records.
#include "common/scoreboard.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <new>

#include "common/check.h"

namespace common {

namespace {

constexpr std::size_t kBytes = sizeof(WorkerGauges) * kRecordsMax;

Result<void*> map(int fd) {
  void* const memory = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (memory == MAP_FAILED) return fail_errno("mmap of the scoreboard", errno);
  return memory;
}

}  // namespace

Result<Scoreboard> Scoreboard::create() {
  UniqueFd fd(memfd_create("supervisor-scoreboard", MFD_CLOEXEC));
  if (!fd) return fail_errno("memfd_create for the scoreboard", errno);
  if (ftruncate(fd.get(), kBytes) < 0) return fail_errno("ftruncate of the scoreboard", errno);
  const auto memory = map(fd.get());
  if (!memory) return std::unexpected(memory.error());
  return Scoreboard(std::move(fd), {new (*memory) WorkerGauges[kRecordsMax]{}, kRecordsMax});
}

Result<Scoreboard> Scoreboard::attach(UniqueFd fd) {
  struct stat status{};
  if (fstat(fd.get(), &status) < 0) return fail_errno("fstat of the scoreboard", errno);
  if (status.st_size != static_cast<off_t>(kBytes)) return fail("scoreboard: another size than expected", EINVAL);
  const auto memory = map(fd.get());
  if (!memory) return std::unexpected(memory.error());
  return Scoreboard(std::move(fd), {std::launder(static_cast<WorkerGauges*>(*memory)), kRecordsMax});
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
