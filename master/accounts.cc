// Accounts: looking up, and refusing what could not be done later.
#include "master/accounts.h"

#include <unistd.h>

#include <charconv>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "common/format.h"

namespace master {
namespace {

using common::Capability;
using common::Error;
using common::Result;

constexpr std::uint32_t kNoId = UINT32_MAX;  // (uid_t)-1 means "unchanged" to the kernel

// An account, or an id without one.
struct Found {
  std::string name;  // empty = there is no account
  uid_t id = 0;
  std::optional<gid_t> group;
};

std::string shown(const Found& user) { return user.name.empty() ? std::to_string(user.id) : user.name; }

std::optional<std::uint32_t> id_in(std::string_view text) {
  std::uint32_t id = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), id);
  if (text.empty() || error != std::errc() || rest != text.data() + text.size() || id == kNoId) return std::nullopt;
  return id;
}

std::unexpected<Error> unreadable(std::string_view key, const Error& error) {
  return common::fail(common::format("{}: {}; repair the name service, or write the id", key, error.message),
                      error.errnum);
}

Found from(UserAccount account) { return {std::move(account.name), account.id, account.group}; }

// An id works without an account, so also while the book cannot be read.
Found find_user(uid_t id, const AccountBook& book) {
  auto account = book.user(id);
  if (account && *account) return from(**std::move(account));
  return {.id = id};
}

Result<Found> find_user(const std::string& name, const AccountBook& book) {
  auto account = book.user(name);
  const auto id = id_in(name);
  if (!account && !id) return unreadable("security.user", account.error());
  if (account && *account) return from(**std::move(account));
  if (id) return find_user(*id, book);
  return common::fail(
      common::format("security.user: there is no user '{0}'; create it (useradd --system {0}), or name another", name));
}

Result<gid_t> find_group(const std::string& name, const AccountBook& book) {
  const auto group = book.group(name);
  const auto id = id_in(name);
  if (!group && !id) return unreadable("security.group", group.error());
  if (group && *group) return **group;
  if (id) return *id;
  return common::fail(common::format(
      "security.group: there is no group '{0}'; create it (groupadd --system {0}), or name another", name));
}

// What a change of user takes: its groups too, and being able to end it afterwards.
std::optional<Error> refuse_user(const Found& user, const OwnRights& own) {
  if (user.id == own.user) return std::nullopt;
  std::string missing;
  for (const Capability each : {Capability::kSetuid, Capability::kSetgid, Capability::kKill}) {
    if (own.capabilities.has(each)) continue;
    missing += missing.empty() ? "" : ", ";
    missing += common::name_of(each);
  }
  if (missing.empty()) return std::nullopt;
  if (own.user == 0) {
    return Error{
        common::format("security.user: root may not run the application as '{}' here, for want of {}; add "
                       "it (docker run --cap-add, CapabilityBoundingSet=), or start as that user",
                       shown(user), missing)};
  }
  return Error{
      common::format("security.user: only root may run the application as '{}', and this is uid {}; start as "
                     "root or as that user, or remove the key",
                     shown(user), own.user)};
}

Error refuse_group(const std::string& group, const OwnRights& own) {
  return Error{
      common::format("security.group: only root may run the application with group '{}', and this is uid {} "
                     "with gid {}; start as root or with that group, or remove the key",
                     group, own.user, own.group)};
}

Result<std::vector<gid_t>> groups_of(const Found& user, gid_t group, const AccountBook& book) {
  if (user.name.empty()) return std::vector<gid_t>{group};
  auto groups = book.groups_of(user.name, group);
  if (!groups) return unreadable("security.user", groups.error());
  return groups;
}

}  // namespace

Result<OwnRights> own_rights() {
  const auto capabilities = common::own_capabilities();
  if (!capabilities) return std::unexpected(capabilities.error());
  return OwnRights{.user = geteuid(), .group = getegid(), .capabilities = *capabilities};
}

Result<common::Privileges> resolve_privileges(const common::SecuritySettings& settings, const AccountBook& book,
                                              const OwnRights& own) {
  common::Privileges privileges{.umask = settings.umask};
  if (settings.user.empty() && settings.group.empty()) return privileges;
  const auto user = settings.user.empty() ? Result<Found>(find_user(own.user, book)) : find_user(settings.user, book);
  if (!user) return std::unexpected(user.error());
  std::optional<gid_t> group = user->group;
  if (!settings.group.empty()) {
    const auto found = find_group(settings.group, book);
    if (!found) return std::unexpected(found.error());
    group = *found;
  }
  if (auto refused = refuse_user(*user, own)) return std::unexpected(*std::move(refused));
  const bool may_change_groups = own.capabilities.has(Capability::kSetgid);
  if (!may_change_groups && group != own.group) {
    if (!settings.group.empty()) return std::unexpected(refuse_group(settings.group, own));
    group = own.group;  // started so on purpose, by newgrp(1) or Group=
  }
  if (!group) {
    return common::fail(common::format(
        "security.user: no account with the id {} was found, so its group is not known; name one with security.group",
        user->id));
  }
  common::Identity identity{.user = user->id, .group = *group, .name = shown(*user)};
  if (may_change_groups) {
    auto groups = groups_of(*user, *group, book);
    if (!groups) return std::unexpected(groups.error());
    identity.groups = *std::move(groups);
  }
  privileges.identity = std::move(identity);
  return privileges;
}

Result<common::Privileges> resolve_privileges(const common::SecuritySettings& settings) {
  const auto own = own_rights();
  if (!own) return std::unexpected(own.error());
  return resolve_privileges(settings, SystemAccounts(), *own);
}

std::optional<FileOwner> owner_of_listener(const common::Privileges& privileges) {
  if (!privileges.identity && !privileges.umask) return std::nullopt;
  FileOwner owner{.user = geteuid(), .group = getegid()};
  if (privileges.identity) owner = {.user = privileges.identity->user, .group = privileges.identity->group};
  if (privileges.umask) owner.mode &= ~*privileges.umask;
  return owner;
}

std::optional<FileOwner> owner_of_control(const common::Privileges& privileges) {
  if (!privileges.identity) return std::nullopt;
  return FileOwner{.user = geteuid(), .group = privileges.identity->group};
}

}  // namespace master
