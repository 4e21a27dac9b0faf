// NeededCapabilities: lowering the sets of this process.
#include "master/needed_capabilities.h"

#include <unistd.h>

#include <string_view>

namespace master {
namespace {

using common::Capability;

bool are_strangers(const common::Privileges& privileges) {
  return privileges.identity && privileges.identity->user != geteuid();
}

}  // namespace

common::Result<void> keep_needed_capabilities(const common::Privileges& privileges) {
  if (!are_strangers(privileges)) return {};
  if (auto bounded = common::bound_capabilities(kNeededCapabilities); !bounded) return bounded;
  return common::keep_capabilities(kNeededCapabilities);
}

common::Result<void> check_change(const common::Privileges& now, const common::Privileges& wanted) {
  if (!are_strangers(now) || are_strangers(wanted)) return {};
  return common::fail(
      "security.user: the supervisor gave up the rights that it takes when it named another user; restart it, or name "
      "a user");
}

std::string missing_capabilities(const common::Privileges& privileges, common::CapabilitySet held) {
  if (!are_strangers(privileges)) return {};
  struct Use {
    Capability capability;
    std::string_view use;
  };
  static constexpr Use kUses[] = {
      {Capability::kSysPtrace, "a worker's share of memory is not known, nor are its sockets in CLOSE_WAIT"},
      {Capability::kSysResource, "a descriptor limit that a worker changes is not seen"},
  };
  std::string text;
  for (const Use& each : kUses) {
    if (held.has(each.capability)) continue;
    text += text.empty() ? "" : "; ";
    text += "without ";
    text += common::name_of(each.capability);
    text += ' ';
    text += each.use;
  }
  return text;
}

}  // namespace master
