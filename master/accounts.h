// Accounts: from the names in the configuration to who the application runs as.
#pragma once

#include <sys/types.h>

#include <optional>

#include "common/capabilities.h"
#include "common/config.h"
#include "common/privileges.h"
#include "common/result.h"
#include "master/account_book.h"
#include "master/file_owner.h"

namespace master {

// Of this process: what decides whether it may become somebody else.
struct OwnRights {
  uid_t user = 0;
  gid_t group = 0;
  common::CapabilitySet capabilities;
};

common::Result<OwnRights> own_rights();

// Pure. A name that is in the book counts before the digits of an id. `user` alone: with its primary group. `group`
// alone: the same user. Whoever may change groups gets all that the book has for the user, else they stay as they are.
// An error names the key, the name and the fix.
common::Result<common::Privileges> resolve_privileges(const common::SecuritySettings& settings, const AccountBook& book,
                                                      const OwnRights& own);

// The same by the system's accounts and what this process may. Blocks as long as the machine's name services do.
common::Result<common::Privileges> resolve_privileges(const common::SecuritySettings& settings);

// Of a unix socket that the application's clients connect to: its user's. Of the one that operators connect to: still
// this process's, with the group, so that control.mode = "0660" lets that group in. None = nobody was named.
std::optional<FileOwner> owner_of_listener(const common::Privileges& privileges);  // its mode by the umask
std::optional<FileOwner> owner_of_control(const common::Privileges& privileges);

}  // namespace master
