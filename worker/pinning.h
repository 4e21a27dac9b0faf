// Pinning: which CPU a worker stays on, where workers.pin wants that.
#pragma once

#include <cstdint>

namespace worker {

// The worker of slot N runs on the N-th CPU that this process may use; more slots than CPUs begin anew. Where the
// system forbids it the worker runs anywhere and the log says so: it is about speed only.
void pin_to_cpu(std::uint32_t slot);

}  // namespace worker
