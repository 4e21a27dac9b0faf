// Pinning: sched_setaffinity(2) with one of the CPUs we have.
#include "worker/pinning.h"

#include <sched.h>

#include <cerrno>

#include "common/log.h"

namespace worker {

void pin_to_cpu(std::uint32_t slot) {
  cpu_set_t usable;
  if (sched_getaffinity(0, sizeof usable, &usable) < 0) return;
  int skip = static_cast<int>(slot) % CPU_COUNT(&usable);
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &usable) || skip-- > 0) continue;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    if (sched_setaffinity(0, sizeof one, &one) == 0) return;
    return common::log(common::LogLevel::kWarn, common::LogEvent::kPinRefused,
                       "workers.pin: the system does not let this worker choose its CPU; a unit with "
                       "SystemCallFilter=~@resources needs SystemCallFilter=sched_setaffinity after it",
                       {{"cpu", cpu}, {"reason", common::errno_text(errno)}});
  }
}

}  // namespace worker
