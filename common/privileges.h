// Privileges: who a process becomes for good before it runs the application's code.
//
// Decided once, in the master (master/accounts.h); applied in every process that runs or reads what is the
// application's. Ids and capabilities belong to a thread: these calls are for a process of one thread.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "common/result.h"

namespace common {

struct Identity {
  uid_t user = 0;
  gid_t group = 0;
  std::optional<std::vector<gid_t>> groups;  // supplementary ones, `group` included; none = they stay as they are
  std::string name;                          // of the user, or the digits of its id: for messages

  friend bool operator==(const Identity&, const Identity&) = default;
};

struct Privileges {
  std::optional<Identity> identity;  // none = it stays who it is
  std::optional<mode_t> umask;       // none = as inherited

  friend bool operator==(const Privileges&, const Privileges&) = default;
};

// Whether /proc/PID belongs to the process itself, and the kernel writes a core when it crashes (PR_SET_DUMPABLE in
// prctl(2)). A change of user turns it off. On, every process of the new user can look into this one's memory too.
enum class Dumpable { kYes, kNo };

// Becomes `identity` and makes sure that there is no way back. A user other than root ends up without capabilities,
// also in the bounding set, and with PR_SET_NO_NEW_PRIVS: set-uid and set-gid programs it executes gain nothing.
// What else setresuid(2) resets is for the caller: PR_SET_PDEATHSIG (after this call, then look at getppid(2)).
// After an error the process may be half changed: end it. The error names the user, the call and the fix.
Result<void> become(const Identity& identity, Dumpable dumpable);

// The umask and the identity.
Result<void> drop_privileges(const Privileges& privileges, Dumpable dumpable);

}  // namespace common
