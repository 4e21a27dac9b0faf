// DescriptorGroups: the keys, the merging of many paths, and the words.
#include "master/descriptor_groups.h"

#include <algorithm>
#include <cctype>
#include <compare>
#include <map>
#include <tuple>
#include <utility>

#include "common/format.h"

namespace master {
namespace {

using common::FdOwner;
using common::FdRole;
using common::FdSince;

// What all members of a group have in common.
struct Key {
  FdOwner owner{};
  FdSince since{};
  FdRole role{};
  DescriptorKind kind{};
  std::string state;
  std::string peer;
  std::string local;
  std::string path;
  Direction direction{};
  bool deleted = false;
  std::size_t watches_total = 0;
  std::size_t watches_close_wait = 0;
  std::string place;

  auto operator<=>(const Key&) const = default;
};

bool is_listener(const OpenDescriptor& descriptor) {
  return descriptor.kind == DescriptorKind::kTcp && descriptor.state == "LISTEN";
}

std::string host_of(const std::string& address) { return address.substr(0, address.rfind(':')); }

Key key_of(const OpenDescriptor& descriptor) {
  Key key{.owner = descriptor.owner,
          .kind = descriptor.kind,
          .state = descriptor.state,
          .deleted = descriptor.deleted,
          .watches_total = descriptor.watches_total,
          .watches_close_wait = descriptor.watches_close_wait};
  if (is_listener(descriptor)) key.local = descriptor.local;
  if (descriptor.owner == FdOwner::kServer) {
    key.role = descriptor.role;
    key.watches_total = key.watches_close_wait = 0;
    return key;
  }
  key.since = descriptor.since;
  key.direction = descriptor.direction;
  key.path = path_pattern(descriptor.path);
  key.place = descriptor.place;
  key.peer = descriptor.peer;
  if (descriptor.direction == Direction::kAccepted) {
    // The port of a client is a number out of a hat.
    key.peer = host_of(descriptor.peer);
    key.local = descriptor.local;
  }
  return key;
}

bool has_path_of_file(DescriptorKind kind) {
  return kind == DescriptorKind::kFile || kind == DescriptorKind::kDirectory;
}

// "/tmp/x-*" for "/tmp/x-Ab3" and "/tmp/x-Zk9".
std::string common_pattern(std::string_view one, std::string_view other) {
  if (one == other) return std::string(one);
  const auto prefix = static_cast<std::size_t>(std::ranges::mismatch(one, other).in1 - one.begin());
  one.remove_prefix(prefix);
  std::string text(other.substr(0, prefix));
  other.remove_prefix(prefix);
  std::size_t suffix = 0;
  while (suffix < std::min(one.size(), other.size()) &&
         one[one.size() - 1 - suffix] == other[other.size() - 1 - suffix])
    ++suffix;
  std::string_view rest = one.substr(one.size() - suffix);
  if (!text.ends_with('*')) text += '*';
  if (rest.starts_with('*')) rest.remove_prefix(1);
  return text.append(rest);
}

using Members = std::vector<std::size_t>;
using Groups = std::map<Key, Members>;

using Parts = std::vector<Groups::iterator>;

// One group instead of `parts`; of `varied`, what they have in common stays.
void merge(Groups& groups, const Parts& parts, std::string Key::* varied) {
  Key merged = parts.front()->first;
  Members members;
  for (const auto& part : parts) {
    merged.*varied = common_pattern(merged.*varied, part->first.*varied);
    members.insert(members.end(), part->second.begin(), part->second.end());
    groups.erase(part);
  }
  std::ranges::sort(members);
  groups.insert_or_assign(std::move(merged), std::move(members));
}

// Temporary files have random names: many kinds of paths in one directory, opened at one place, are of one kind.
void merge_paths(Groups& groups) {
  std::map<Key, Parts> directories;
  for (auto group = groups.begin(); group != groups.end(); ++group) {
    if (!has_path_of_file(group->first.kind) || group->first.owner == FdOwner::kServer) continue;
    Key directory = group->first;
    directory.path = directory.path.substr(0, directory.path.rfind('/') + 1);
    directories[std::move(directory)].push_back(group);
  }
  for (const auto& [directory, parts] : directories) {
    if (parts.size() > kPathsApartMax) merge(groups, parts, &Key::path);
  }
}

// So are sockets to many peers, but for a peer that has a good part of them.
void merge_peers(Groups& groups) {
  std::map<Key, Parts> places;
  for (auto group = groups.begin(); group != groups.end(); ++group) {
    if (group->first.peer.empty() || group->first.owner == FdOwner::kServer) continue;
    Key place = group->first;
    place.peer.clear();
    places[std::move(place)].push_back(group);
  }
  for (auto& [place, parts] : places) {
    std::size_t total = 0;
    for (const auto& part : parts) total += part->second.size();
    std::erase_if(parts, [&](const auto& part) { return part->second.size() * kPeersApartMax > total; });
    if (parts.size() > kPeersApartMax) merge(groups, parts, &Key::peer);
  }
}

DescriptorGroup make_group(const Key& key, Members members, std::span<const OpenDescriptor> list) {
  const OpenDescriptor& first = list[members.front()];
  DescriptorGroup group{.owner = key.owner,
                        .since = key.since,
                        .role = key.role,
                        .kind = key.kind,
                        .state = key.state,
                        .peer = key.peer,
                        .local = first.local,
                        .path = first.path,
                        .direction = key.direction,
                        .deleted = key.deleted,
                        .watches_total = key.watches_total,
                        .watches_close_wait = key.watches_close_wait,
                        .place = key.place,
                        .members = std::move(members)};
  for (const std::size_t index : group.members) {
    const OpenDescriptor& each = list[index];
    if (each.local != group.local) group.local.clear();
    if (each.path != first.path) group.path = key.path;
    if (each.opened_at && (!group.oldest || *each.opened_at < *group.oldest)) group.oldest = each.opened_at;
    group.receive_queue += each.receive_queue;
    group.send_queue += each.send_queue;
  }
  return group;
}

// Ascending: worst first.
auto rank(const DescriptorGroup& group) {
  const int stage = group.owner == FdOwner::kServer ? 2 : group.since == FdSince::kStart ? 1 : 0;
  const common::TimePoint oldest = group.oldest.value_or(common::TimePoint::max());
  return std::tuple(stage, -static_cast<std::int64_t>(group.members.size()), oldest, group.members.front());
}

// What groups and single descriptors have by the same names.
template <typename Thing>
std::string socket_text(std::string_view protocol, const Thing& thing) {
  std::string text(protocol);
  // Of UDP it only repeats whether there is a peer.
  if (!thing.state.empty() && thing.kind != DescriptorKind::kUdp) text += " " + thing.state;
  if (thing.direction == Direction::kAccepted) {
    return text + " from " + thing.peer + (thing.local.empty() ? "" : " on " + thing.local);
  }
  if (!thing.peer.empty()) return text + " to " + thing.peer;
  const std::string& own = thing.kind == DescriptorKind::kUnix ? thing.path : thing.local;
  return own.empty() ? text : text + " on " + own;
}

template <typename Thing>
std::string path_text(std::string_view word, const Thing& thing) {
  std::string text(word);
  if (!thing.path.empty()) text += " " + thing.path;
  if (thing.deleted) text += " (deleted)";
  return text;
}

template <typename Thing>
std::string epoll_text(const Thing& thing) {
  std::string text =
      common::format("epoll watching {} descriptor{}", thing.watches_total, thing.watches_total == 1 ? "" : "s");
  if (thing.watches_close_wait > 0) text += common::format(", {} of them TCP CLOSE_WAIT", thing.watches_close_wait);
  return text;
}

// "anon_inode" descriptors we have no word for are told by the kernel's.
template <typename Thing>
std::string other_text(const Thing& thing) {
  return thing.path.empty() ? "of unknown kind" : thing.path;
}

template <typename Thing>
std::string kind_text(const Thing& thing) {
  switch (thing.kind) {
    case DescriptorKind::kTcp: return socket_text("TCP", thing);
    case DescriptorKind::kUdp: return socket_text("UDP", thing);
    case DescriptorKind::kUnix: return socket_text("unix", thing);
    case DescriptorKind::kOtherSocket: return path_text("socket", thing);
    case DescriptorKind::kEpoll: return epoll_text(thing);
    case DescriptorKind::kBpf:
    case DescriptorKind::kOther: return other_text(thing);
    case DescriptorKind::kFile:
    case DescriptorKind::kDirectory:
    case DescriptorKind::kCharacterDevice:
    case DescriptorKind::kBlockDevice:
    case DescriptorKind::kPipe:
    case DescriptorKind::kMemfd:
    case DescriptorKind::kNetlink:
    case DescriptorKind::kEventfd:
    case DescriptorKind::kTimerfd:
    case DescriptorKind::kSignalfd:
    case DescriptorKind::kInotify:
    case DescriptorKind::kIoUring:
    case DescriptorKind::kPidfd:
    case DescriptorKind::kUserfaultfd: return path_text(name_of(thing.kind), thing);
  }
  return "of unknown kind";
}

// File names may hold anything; the words go to logs and terminals.
template <typename Thing>
std::string describe(const Thing& thing) {
  std::string text = kind_text(thing);
  std::ranges::replace_if(text, [](unsigned char c) { return c < 0x20 || c == 0x7f; }, '?');
  return text;
}

std::string_view plural_of(FdRole role) {
  switch (role) {
    case FdRole::kNone: return "others";
    case FdRole::kConnection: return "client connections";
    case FdRole::kListener: return "listeners";
    case FdRole::kRing: return "rings";
    case FdRole::kChannel: return "channels";
    case FdRole::kSignals: return "signal descriptors";
    case FdRole::kReserve: return "reserve descriptors";
    case FdRole::kLog: return "log sockets";
  }
  return "others";
}

std::string label_of(FdRole role, std::size_t count) {
  std::string label(plural_of(role));
  if (count == 1) label.pop_back();
  return label;
}

}  // namespace

std::string_view name_of(DescriptorKind kind) {
  switch (kind) {
    case DescriptorKind::kFile: return "file";
    case DescriptorKind::kDirectory: return "directory";
    case DescriptorKind::kCharacterDevice: return "character device";
    case DescriptorKind::kBlockDevice: return "block device";
    case DescriptorKind::kPipe: return "pipe";
    case DescriptorKind::kTcp: return "tcp";
    case DescriptorKind::kUdp: return "udp";
    case DescriptorKind::kUnix: return "unix";
    case DescriptorKind::kNetlink: return "netlink";
    case DescriptorKind::kOtherSocket: return "socket";
    case DescriptorKind::kEventfd: return "eventfd";
    case DescriptorKind::kEpoll: return "epoll";
    case DescriptorKind::kTimerfd: return "timerfd";
    case DescriptorKind::kSignalfd: return "signalfd";
    case DescriptorKind::kInotify: return "inotify";
    case DescriptorKind::kIoUring: return "io_uring";
    case DescriptorKind::kMemfd: return "memfd";
    case DescriptorKind::kPidfd: return "pidfd";
    case DescriptorKind::kBpf: return "bpf";
    case DescriptorKind::kUserfaultfd: return "userfaultfd";
    case DescriptorKind::kOther: return "other";
  }
  return "other";
}

std::string path_pattern(std::string_view path) {
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  const auto is_hex = [](char c) { return std::isxdigit(static_cast<unsigned char>(c)) != 0; };
  const auto is_word = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0; };
  std::string pattern;
  while (!path.empty()) {
    const auto word_end = std::ranges::find_if_not(path, is_word);
    const std::string_view word(path.begin(), word_end);
    // A word is a hexadecimal number if it is all of such digits and one of them is decimal: "e29b", but not "cafe".
    if (std::ranges::all_of(word, is_hex) && std::ranges::any_of(word, is_digit)) {
      pattern += '*';
    } else {
      for (const char c : word) {
        if (!is_digit(c)) pattern += c;
        if (is_digit(c) && !pattern.ends_with('*')) pattern += '*';
      }
    }
    path.remove_prefix(word.size());
    if (path.empty()) break;
    pattern += path.front();
    path.remove_prefix(1);
  }
  return pattern;
}

std::vector<DescriptorGroup> group_descriptors(std::span<const OpenDescriptor> list) {
  Groups groups;
  for (std::size_t i = 0; i < list.size(); ++i) groups[key_of(list[i])].push_back(i);
  merge_paths(groups);
  merge_peers(groups);
  std::vector<DescriptorGroup> result;
  result.reserve(groups.size());
  for (auto& [key, members] : groups) result.push_back(make_group(key, std::move(members), list));
  std::ranges::sort(result, {}, rank);
  return result;
}

std::string text_of(const DescriptorGroup& group, common::TimePoint now) {
  const std::size_t count = group.members.size();
  std::string text = common::format("{} × ", count);
  if (group.owner == FdOwner::kServer) {
    return text + label_of(group.role, count) + ", " + describe(group);
  }
  text += describe(group);
  if (group.oldest) {
    const auto age = std::chrono::floor<std::chrono::seconds>(std::max(now - *group.oldest, common::Duration::zero()));
    text += common::format(", oldest {} s", age.count());
  }
  if (!group.place.empty()) return text + ", opened at " + group.place;
  return group.since == FdSince::kStart ? text : text + ", opened at: unknown (before tracing began)";
}

std::string text_of(const OpenDescriptor& descriptor) { return describe(descriptor); }

}  // namespace master
