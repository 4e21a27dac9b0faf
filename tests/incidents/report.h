// Report: what the control socket says of descriptors, and the places in torture's source it has to name.
#pragma once

#include <string>
#include <string_view>

#include "common/json.h"
#include "support/supervisor_process.h"

namespace incidents {

// GET /status and GET /fds?slot=N. An answer that is not 200 is a failure of the test, and an empty object.
common::Json status_of(const support::SupervisorProcess& server);
common::Json fds_of(const support::SupervisorProcess& server, int slot);

// The newest entry of status.recycles for this reason, once its report is there too; none until the deadline is a
// failure of the test, and an empty object.
common::Json wait_recycle(const support::SupervisorProcess& server, std::string_view reason);

// The groups of an inspection that were opened on the line of descriptors.cc marked "// leak: KIND".
common::Json groups_opened_at(const common::Json& inspection, std::string_view kind);
// The number of descriptors in those groups.
int count_opened_at(const common::Json& inspection, std::string_view kind);

}  // namespace incidents
