// Network: a network namespace of a test's own, shared with its container: no port of this machine is ever met.
#pragma once

#include "common/result.h"

namespace systemd {

// The calling thread, and all that it starts from now on, see nothing but a loopback interface that nobody else uses.
// Every call makes a new one.
common::Result<void> enter_new_network();

}  // namespace systemd
