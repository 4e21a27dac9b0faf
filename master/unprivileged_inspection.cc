// UnprivilegedInspection: becoming the user, then inspecting.
#include "master/unprivileged_inspection.h"

#include <sys/prctl.h>

#include <csignal>
#include <stdexcept>

namespace master {

Inspector::Inspection inspection_as(const common::Privileges& privileges) {
  return [&privileges](std::span<const InspectionOrder> orders, common::TimePoint now) {
    if (privileges.identity) {
      // Not dumpable: it has a copy of the master's memory, which no worker may look into.
      const auto changed = common::become(*privileges.identity, common::Dumpable::kNo);
      if (!changed) throw std::runtime_error(changed.error().message);
      prctl(PR_SET_PDEATHSIG, SIGKILL);  // taken back by the change; alarm(2) covers a death before this line
    }
    return inspect(orders, now);
  };
}

}  // namespace master
