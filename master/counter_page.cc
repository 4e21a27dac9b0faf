// CounterPage: its layout, and what a descriptor must be to hold one.
#include "master/counter_page.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>

#include "common/format.h"
#include "master/stable_hash.h"

namespace master {
namespace {

using common::Result;

// Of one machine, so in its byte order. 32-bit members in pairs: there are no gaps.
struct Layout {
  std::uint64_t magic = 0;
  std::uint32_t version = 0;
  std::uint32_t bytes = 0;
  std::uint64_t requests = 0;
  std::uint64_t connections = 0;
  std::uint64_t crashed = 0;
  std::uint64_t killed = 0;
  std::uint64_t recycled[kRecycleReasons] = {};
  std::uint64_t hash = 0;  // of all bytes before it
};
static_assert(std::has_unique_object_representations_v<Layout> && sizeof(Layout) <= CounterPage::kBytes);
static_assert(kRecycleReasons == 10, "another layout: raise CounterPage::kVersion");

constexpr std::uint64_t kMagic = 0x73'72'65'74'6e'75'6f'63;  // "counters"
constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

std::uint64_t hash_of(const Layout& layout) {
  return stable_hash({reinterpret_cast<const char*>(&layout), offsetof(Layout, hash)});
}

std::string number_text(std::uint64_t found, std::uint64_t expected) {
  return common::format("{}, expected {}", found, expected);
}

}  // namespace

Result<CounterPage> CounterPage::create() {
  common::UniqueFd fd(memfd_create("supervisor-counters", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd) return common::fail_errno("memfd_create for the counters", errno);
  if (ftruncate(fd.get(), kBytes) < 0) return common::fail_errno("ftruncate of the counters", errno);
  if (fcntl(fd.get(), F_ADD_SEALS, kSeals) < 0) return common::fail_errno("seals on the counters", errno);
  return CounterPage(std::move(fd));
}

Result<CounterPage> CounterPage::attach(common::UniqueFd fd) {
  struct stat status{};
  if (fstat(fd.get(), &status) < 0) return common::fail_errno("fstat", errno);
  if (!S_ISREG(status.st_mode)) return common::fail("it is no memfd");
  const int seals = fcntl(fd.get(), F_GET_SEALS);
  if (seals < 0 || (seals & kSeals) != kSeals) return common::fail("it is no memfd that is sealed");
  if (status.st_size != static_cast<off_t>(kBytes)) {
    return common::fail("its size is " + number_text(static_cast<std::uint64_t>(status.st_size), kBytes));
  }
  const int flags = fcntl(fd.get(), F_GETFL);
  if ((seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)) != 0 || flags < 0 || (flags & O_ACCMODE) != O_RDWR) {
    return common::fail("it cannot be written");
  }
  if (fcntl(fd.get(), F_SETFD, FD_CLOEXEC) < 0) return common::fail_errno("fcntl", errno);
  return CounterPage(std::move(fd));
}

Result<ServiceTotals> CounterPage::read() const {
  Layout layout;
  const ssize_t count = pread(fd_.get(), &layout, sizeof layout, 0);
  if (count != static_cast<ssize_t>(sizeof layout)) return common::fail_errno("read", count < 0 ? errno : EIO);
  if (layout.magic != kMagic) return common::fail("it does not hold counters");
  if (layout.version != kVersion) return common::fail("its version is " + number_text(layout.version, kVersion));
  if (layout.bytes != sizeof layout) return common::fail("its layout has " + number_text(layout.bytes, sizeof layout));
  if (layout.hash != hash_of(layout)) return common::fail("it is damaged: another check sum than that of its numbers");
  ServiceTotals totals{.counters = {.restarts_crashed = layout.crashed, .restarts_killed = layout.killed},
                       .served = {.requests = layout.requests, .connections = layout.connections}};
  std::ranges::copy(layout.recycled, totals.counters.recycled.begin());
  std::uint64_t largest = std::ranges::max(totals.counters.recycled);
  for (const std::uint64_t other : {layout.crashed, layout.killed, layout.requests, layout.connections}) {
    largest = std::max(largest, other);
  }
  if (largest > kCountMax) return common::fail(common::format("it is damaged: nobody counts to {}", largest));
  return totals;
}

Result<void> CounterPage::write(const ServiceTotals& totals) const {
  Layout layout{.magic = kMagic,
                .version = kVersion,
                .bytes = sizeof layout,
                .requests = totals.served.requests,
                .connections = totals.served.connections,
                .crashed = totals.counters.restarts_crashed,
                .killed = totals.counters.restarts_killed};
  std::ranges::copy(totals.counters.recycled, std::begin(layout.recycled));
  layout.hash = hash_of(layout);
  const ssize_t count = pwrite(fd_.get(), &layout, sizeof layout, 0);
  if (count != static_cast<ssize_t>(sizeof layout)) {
    return common::fail_errno("write of the counters", count < 0 ? errno : EIO);
  }
  return {};
}

}  // namespace master
