// AccountBook: getpwnam_r(3), getpwuid_r(3), getgrnam_r(3), getgrouplist(3).
#include "master/account_book.h"

#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include <cerrno>

#include "common/format.h"

namespace master {
namespace {

using common::Result;

constexpr std::size_t kEntryBytesMax = std::size_t{1} << 20;  // a group may have many members
constexpr int kGroupsMax = 65'536;                            // NGROUPS_MAX of the kernel

// `ask(entry, buffer, found)` is one of the ..._r functions with its key; 0 and nothing found = not in the book.
template <typename Entry, typename Ask>
Result<const Entry*> look_up(const std::string& what, Entry& entry, std::vector<char>& buffer, const Ask& ask) {
  for (buffer.resize(1024); buffer.size() <= kEntryBytesMax;) {
    Entry* found = nullptr;
    const int errnum = ask(&entry, buffer, &found);
    if (found != nullptr || errnum == 0) return found;
    if (errnum == ERANGE) {
      buffer.resize(buffer.size() * 2);
    } else if (errnum == ENOENT || errnum == ESRCH) {  // some name services say so (getpwnam(3))
      return nullptr;
    } else if (errnum != EINTR) {
      return common::fail_errno("looking up " + what, errnum);
    }
  }
  return common::fail(common::format("looking up {}: its entry has more than {} bytes", what, kEntryBytesMax), ERANGE);
}

template <typename Ask>
Result<std::optional<UserAccount>> look_up_user(const std::string& what, const Ask& ask) {
  passwd entry{};
  std::vector<char> buffer;
  const auto found = look_up(what, entry, buffer, ask);
  if (!found) return std::unexpected(found.error());
  if (*found == nullptr) return std::nullopt;
  return UserAccount{.name = entry.pw_name, .id = entry.pw_uid, .group = entry.pw_gid};
}

}  // namespace

Result<std::optional<UserAccount>> SystemAccounts::user(const std::string& name) const {
  return look_up_user("user '" + name + "'", [&](passwd* entry, std::vector<char>& buffer, passwd** found) {
    return getpwnam_r(name.c_str(), entry, buffer.data(), buffer.size(), found);
  });
}

Result<std::optional<UserAccount>> SystemAccounts::user(uid_t id) const {
  return look_up_user("user id " + std::to_string(id), [&](passwd* entry, std::vector<char>& buffer, passwd** found) {
    return getpwuid_r(id, entry, buffer.data(), buffer.size(), found);
  });
}

Result<std::optional<gid_t>> SystemAccounts::group(const std::string& name) const {
  ::group entry{};
  std::vector<char> buffer;
  const auto found =
      look_up("group '" + name + "'", entry, buffer, [&](::group* into, std::vector<char>& bytes, ::group** result) {
        return getgrnam_r(name.c_str(), into, bytes.data(), bytes.size(), result);
      });
  if (!found) return std::unexpected(found.error());
  if (*found == nullptr) return std::nullopt;
  return entry.gr_gid;
}

Result<std::vector<gid_t>> SystemAccounts::groups_of(const std::string& user_name, gid_t primary) const {
  std::vector<gid_t> groups(64);
  while (true) {
    int count = static_cast<int>(groups.size());
    const int listed = getgrouplist(user_name.c_str(), primary, groups.data(), &count);
    if (listed >= 0) {
      groups.resize(static_cast<std::size_t>(listed));
      return groups;
    }
    if (count <= static_cast<int>(groups.size()) || count > kGroupsMax) {
      return common::fail(common::format("the groups of user '{}' cannot be listed", user_name));
    }
    groups.resize(static_cast<std::size_t>(count));
  }
}

}  // namespace master
