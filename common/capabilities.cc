// Capabilities: capget(2), capset(2) and the capability calls of prctl(2).
#include "common/capabilities.h"

#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>

namespace common {
namespace {

static_assert(static_cast<int>(Capability::kChown) == CAP_CHOWN);
static_assert(static_cast<int>(Capability::kDacOverride) == CAP_DAC_OVERRIDE);
static_assert(static_cast<int>(Capability::kKill) == CAP_KILL);
static_assert(static_cast<int>(Capability::kSetgid) == CAP_SETGID);
static_assert(static_cast<int>(Capability::kSetuid) == CAP_SETUID);
static_assert(static_cast<int>(Capability::kSetpcap) == CAP_SETPCAP);
static_assert(static_cast<int>(Capability::kNetBindService) == CAP_NET_BIND_SERVICE);
static_assert(static_cast<int>(Capability::kNetAdmin) == CAP_NET_ADMIN);
static_assert(static_cast<int>(Capability::kSysPtrace) == CAP_SYS_PTRACE);
static_assert(static_cast<int>(Capability::kSysResource) == CAP_SYS_RESOURCE);

constexpr int kNumbers = 64;  // more than any kernel has; it says EINVAL past its last one

struct Sets {
  CapabilitySet permitted;
  CapabilitySet effective;
  CapabilitySet inheritable;
};

// Two halves of 32 bits: the form of version 3 (Linux 2.6.26).
constexpr std::uint32_t low_of(CapabilitySet set) { return static_cast<std::uint32_t>(set.bits()); }
constexpr std::uint32_t high_of(CapabilitySet set) { return static_cast<std::uint32_t>(set.bits() >> 32); }
constexpr CapabilitySet joined(std::uint32_t low, std::uint32_t high) {
  return CapabilitySet::of_bits(static_cast<std::uint64_t>(high) << 32 | low);
}

Result<Sets> read_sets() {
  __user_cap_header_struct head{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> data{};
  if (syscall(SYS_capget, &head, data.data()) < 0) return fail_errno("capget", errno);
  return Sets{.permitted = joined(data[0].permitted, data[1].permitted),
              .effective = joined(data[0].effective, data[1].effective),
              .inheritable = joined(data[0].inheritable, data[1].inheritable)};
}

Result<void> write_sets(const Sets& sets) {
  __user_cap_header_struct head{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  const std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> data = {
      {{.effective = low_of(sets.effective),
        .permitted = low_of(sets.permitted),
        .inheritable = low_of(sets.inheritable)},
       {.effective = high_of(sets.effective),
        .permitted = high_of(sets.permitted),
        .inheritable = high_of(sets.inheritable)}}};
  if (syscall(SYS_capset, &head, data.data()) < 0) return fail_errno("capset", errno);
  return {};
}

bool is_kept(CapabilitySet kept, int number) { return (kept.bits() >> number & 1) != 0; }

Result<void> lower_ambient(CapabilitySet kept) {
  for (int number = 0; number < kNumbers; ++number) {
    if (is_kept(kept, number)) continue;
    const int raised = prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, number, 0, 0);
    if (raised < 0) return {};  // past the last one
    if (raised == 0) continue;
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_LOWER, number, 0, 0) < 0) return fail_errno("PR_CAP_AMBIENT", errno);
  }
  return {};
}

}  // namespace

std::string_view name_of(Capability capability) {
  switch (capability) {
    case Capability::kChown: return "CAP_CHOWN";
    case Capability::kDacOverride: return "CAP_DAC_OVERRIDE";
    case Capability::kKill: return "CAP_KILL";
    case Capability::kSetgid: return "CAP_SETGID";
    case Capability::kSetuid: return "CAP_SETUID";
    case Capability::kSetpcap: return "CAP_SETPCAP";
    case Capability::kNetBindService: return "CAP_NET_BIND_SERVICE";
    case Capability::kNetAdmin: return "CAP_NET_ADMIN";
    case Capability::kSysPtrace: return "CAP_SYS_PTRACE";
    case Capability::kSysResource: return "CAP_SYS_RESOURCE";
  }
  return "";
}

Result<CapabilitySet> own_capabilities() {
  const auto sets = read_sets();
  if (!sets) return std::unexpected(sets.error());
  return sets->permitted;
}

Result<void> bound_capabilities(CapabilitySet kept) {
  const auto sets = read_sets();
  if (!sets) return std::unexpected(sets.error());
  if (!sets->effective.has(Capability::kSetpcap)) return {};
  for (int number = 0; number < kNumbers; ++number) {
    if (is_kept(kept, number)) continue;
    const int bounded = prctl(PR_CAPBSET_READ, number, 0, 0, 0);
    if (bounded < 0) return {};  // past the last one
    if (bounded == 0) continue;
    if (prctl(PR_CAPBSET_DROP, number, 0, 0, 0) < 0) return fail_errno("PR_CAPBSET_DROP", errno);
  }
  return {};
}

Result<void> keep_capabilities(CapabilitySet kept) {
  const auto sets = read_sets();
  if (!sets) return std::unexpected(sets.error());
  if (auto lowered = lower_ambient(kept); !lowered) return lowered;
  return write_sets({.permitted = sets->permitted & kept,
                     .effective = sets->effective & kept,
                     .inheritable = sets->inheritable & kept});
}

}  // namespace common
