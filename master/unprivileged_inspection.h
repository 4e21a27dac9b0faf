// UnprivilegedInspection: an inspection that runs as the application's user.
//
// The debug information it reads is the application's: whoever reads it as that user can do no more harm than that user
// can. And a process may look into others of its own user without CAP_SYS_PTRACE, which containers seldom have.
#pragma once

#include "common/privileges.h"
#include "master/inspector.h"

namespace master {

// OWNERSHIP: `privileges` outlives what is returned; they are looked at when an inspection begins. Called in the
// inspector's process, which changes its user for good. Throws std::runtime_error if it cannot.
Inspector::Inspection inspection_as(const common::Privileges& privileges);

}  // namespace master
