// Capabilities: the parts of root's power, and giving them up.
//
// Raw capget(2), capset(2) and prctl(2): a library for three calls would be one more dependency. Capabilities belong
// to a thread: call these while there is one only.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string_view>

#include "common/result.h"

namespace common {

// Those that this program has a word about; the values are the kernel's (capabilities(7)).
enum class Capability : std::uint8_t {
  kChown = 0,
  kDacOverride = 1,
  kKill = 5,
  kSetgid = 6,
  kSetuid = 7,
  kSetpcap = 8,
  kNetBindService = 10,
  kNetAdmin = 12,
  kSysPtrace = 19,
  kSysResource = 24,
};

// "CAP_KILL", as systemd and Docker write it too.
std::string_view name_of(Capability capability);

class CapabilitySet {
 public:
  constexpr CapabilitySet() = default;  // none
  constexpr CapabilitySet(std::initializer_list<Capability> list) {
    for (const Capability each : list) bits_ |= bit_of(each);
  }
  static constexpr CapabilitySet of_bits(std::uint64_t bits) {
    CapabilitySet set;
    set.bits_ = bits;
    return set;
  }

  constexpr std::uint64_t bits() const { return bits_; }
  constexpr bool has(Capability capability) const { return (bits_ & bit_of(capability)) != 0; }
  constexpr bool empty() const { return bits_ == 0; }
  friend constexpr CapabilitySet operator&(CapabilitySet one, CapabilitySet other) {
    return of_bits(one.bits_ & other.bits_);
  }
  friend constexpr bool operator==(CapabilitySet, CapabilitySet) = default;

 private:
  static constexpr std::uint64_t bit_of(Capability capability) { return 1ULL << static_cast<unsigned>(capability); }

  std::uint64_t bits_ = 0;  // bit N = the capability with the number N
};

// What this thread may use (now, or by raising it): its permitted set.
Result<CapabilitySet> own_capabilities();

// Lowers the bounding set, which says what a program executed later can gain at most; what is held now stays. Does
// nothing without CAP_SETPCAP: then only PR_SET_NO_NEW_PRIVS keeps a set-uid program from gaining the rest.
Result<void> bound_capabilities(CapabilitySet kept);

// Gives up for good everything that is not in `kept`: permitted, effective, inheritable, ambient. What is not held is
// not gained.
Result<void> keep_capabilities(CapabilitySet kept);

}  // namespace common
