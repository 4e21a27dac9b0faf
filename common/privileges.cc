// Privileges: setgroups(2), setresgid(2), setresuid(2), the capabilities, and a look at the result.
#include "common/privileges.h"

#include <grp.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string_view>

#include "common/capabilities.h"

namespace common {
namespace {

constexpr uid_t kRoot = 0;

std::unexpected<Error> refuse(const Identity& identity, std::string_view what, int errnum) {
  std::string_view fix = "report this";
  if (errnum == EPERM) fix = "the supervisor needs CAP_SETUID and CAP_SETGID for it, or start it as that user";
  if (errnum == EINVAL) fix = "its ids do not exist in this user namespace: map them, or name another user";
  if (errnum == EAGAIN) fix = "raise the limit of processes of that user (ulimit -u, LimitNPROC=)";
  std::string message = "security.user: becoming " + identity.name + " (" + std::to_string(identity.user) + ":" +
                        std::to_string(identity.group) + "): " + std::string(what);
  if (errnum != 0) message += ": " + errno_text(errnum);
  return fail(message + "; " + std::string(fix), errnum);
}

bool is_user(uid_t wanted) {
  uid_t ids[3];
  if (getresuid(&ids[0], &ids[1], &ids[2]) < 0) return false;
  return std::ranges::all_of(ids, [wanted](uid_t id) { return id == wanted; });
}

bool is_group(gid_t wanted) {
  gid_t ids[3];
  if (getresgid(&ids[0], &ids[1], &ids[2]) < 0) return false;
  return std::ranges::all_of(ids, [wanted](gid_t id) { return id == wanted; });
}

// Groups first: whoever is not root any more may not change them.
Result<void> change_ids(const Identity& identity) {
  if (identity.groups && setgroups(identity.groups->size(), identity.groups->data()) < 0) {
    return refuse(identity, "setgroups", errno);
  }
  // Who is that already, as in a unit with User=, may be forbidden to ask (SystemCallFilter=~@privileged).
  if (!is_group(identity.group) && setresgid(identity.group, identity.group, identity.group) < 0) {
    return refuse(identity, "setresgid", errno);
  }
  if (!is_user(identity.user) && setresuid(identity.user, identity.user, identity.user) < 0) {
    return refuse(identity, "setresuid", errno);
  }
  return {};
}

bool has_groups(std::vector<gid_t> wanted) {
  std::vector<gid_t> found(static_cast<std::size_t>(std::max(getgroups(0, nullptr), 0)));
  if (getgroups(static_cast<int>(found.size()), found.data()) != static_cast<int>(found.size())) return false;
  const auto normalize = [](std::vector<gid_t>& list) {
    std::ranges::sort(list);
    list.erase(std::ranges::unique(list).begin(), list.end());
  };
  normalize(wanted);
  normalize(found);
  return wanted == found;
}

// By the kernel's word, not by the calls that succeeded.
Result<void> verify(const Identity& identity) {
  uid_t users[3];
  gid_t groups[3];
  if (getresuid(&users[0], &users[1], &users[2]) < 0 || getresgid(&groups[0], &groups[1], &groups[2]) < 0) {
    return refuse(identity, "getresuid", errno);
  }
  const bool is_user = std::ranges::all_of(users, [&](uid_t each) { return each == identity.user; });
  const bool is_group = std::ranges::all_of(groups, [&](gid_t each) { return each == identity.group; });
  if (!is_user || !is_group || (identity.groups && !has_groups(*identity.groups))) {
    return refuse(identity, "some ids are still others afterwards", 0);
  }
  if (identity.user == kRoot) return {};
  const auto capabilities = own_capabilities();
  if (!capabilities) return std::unexpected(capabilities.error());
  if (!capabilities->empty()) return refuse(identity, "some capabilities are left afterwards", 0);
  if (setresuid(-1U, kRoot, -1U) == 0) return refuse(identity, "root's rights can be had back afterwards", 0);
  return {};
}

}  // namespace

Result<void> become(const Identity& identity, Dumpable dumpable) {
  const bool gives_up = identity.user != kRoot;
  // The bounding set needs a capability that the change of ids takes away.
  if (gives_up) {
    if (auto bounded = bound_capabilities({}); !bounded) return bounded;
  }
  if (auto changed = change_ids(identity); !changed) return changed;
  if (gives_up) {
    const auto held = own_capabilities();
    if (!held) return std::unexpected(held.error());
    if (!held->empty()) {
      if (auto kept = keep_capabilities({}); !kept) return kept;
    }
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) return refuse(identity, "PR_SET_NO_NEW_PRIVS", errno);
  }
  const unsigned long is_dumpable = dumpable == Dumpable::kYes ? 1 : 0;
  if (prctl(PR_SET_DUMPABLE, is_dumpable, 0, 0, 0) < 0) return refuse(identity, "PR_SET_DUMPABLE", errno);
  return verify(identity);
}

Result<void> drop_privileges(const Privileges& privileges, Dumpable dumpable) {
  if (privileges.umask) umask(*privileges.umask);
  if (!privileges.identity) return {};
  return become(*privileges.identity, dumpable);
}

}  // namespace common
