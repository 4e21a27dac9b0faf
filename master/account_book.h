// AccountBook: the users and groups this machine knows.
//
// An interface, so that deciding who to become (master/accounts.h) can be tested with accounts that exist nowhere.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "common/result.h"

namespace master {

struct UserAccount {
  std::string name;
  uid_t id = 0;
  gid_t group = 0;  // the primary one
};

// An error = the book could not be read, which is something else than a name that is not in it. May block as long as
// the machine's name services do: start-up and reload only.
class AccountBook {
 public:
  virtual ~AccountBook() = default;
  virtual common::Result<std::optional<UserAccount>> user(const std::string& name) const = 0;
  virtual common::Result<std::optional<UserAccount>> user(uid_t id) const = 0;
  virtual common::Result<std::optional<gid_t>> group(const std::string& name) const = 0;
  // All of the user's groups; `primary` is one of them, whatever the book says.
  virtual common::Result<std::vector<gid_t>> groups_of(const std::string& user_name, gid_t primary) const = 0;
};

// By the C library: /etc/passwd, /etc/group and what nsswitch.conf(5) adds.
class SystemAccounts : public AccountBook {
 public:
  common::Result<std::optional<UserAccount>> user(const std::string& name) const override;
  common::Result<std::optional<UserAccount>> user(uid_t id) const override;
  common::Result<std::optional<gid_t>> group(const std::string& name) const override;
  common::Result<std::vector<gid_t>> groups_of(const std::string& user_name, gid_t primary) const override;
};

}  // namespace master
