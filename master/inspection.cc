// Inspection: assembling of the report from descriptors, sockets, the ledger and debug information.
#include "master/inspection.h"

#include <sys/epoll.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "common/format.h"
#include "master/descriptor_groups.h"
#include "master/descriptor_list.h"
#include "master/open_descriptor.h"
#include "master/socket_table.h"
#include "master/symbols.h"

namespace master {
namespace {

using common::Json;

constexpr std::size_t kFdsShown = 16;       // of a group
constexpr std::size_t kWatchesShown = 16;   // of an epoll
constexpr std::size_t kFramesShown = 16;    // of the place where a group was opened

// One worker under inspection.
struct Subject {
  const InspectionOrder& order;
  common::Result<std::vector<OpenDescriptor>> list;
  Symbols* symbols = nullptr;  // only if there are addresses to look up
  std::vector<std::string> complaints{};
};

double seconds(common::Duration duration) { return std::chrono::duration<double>(duration).count(); }

std::string_view name_of(common::FdOwner owner) { return owner == common::FdOwner::kServer ? "server" : "application"; }

std::string_view name_of(common::FdSince since) { return since == common::FdSince::kStart ? "start" : "serving"; }

std::string event_names(std::uint32_t events) {
  struct Name {
    std::uint32_t bit;
    std::string_view text;
  };
  constexpr Name kNames[] = {{EPOLLIN, "EPOLLIN"},           {EPOLLPRI, "EPOLLPRI"}, {EPOLLOUT, "EPOLLOUT"},
                             {EPOLLERR, "EPOLLERR"},         {EPOLLHUP, "EPOLLHUP"}, {EPOLLRDHUP, "EPOLLRDHUP"},
                             {EPOLLONESHOT, "EPOLLONESHOT"}, {EPOLLET, "EPOLLET"}};
  std::string text;
  for (const Name& name : kNames) {
    if ((events & name.bit) != 0) text.append(text.empty() ? "" : " ").append(name.text);
  }
  return text.empty() ? common::format("events 0x{:x}", events) : text;
}

const OpenDescriptor* find(std::span<const OpenDescriptor> list, int fd) {
  const auto found = std::ranges::lower_bound(list, fd, {}, &OpenDescriptor::fd);
  return found != list.end() && found->fd == fd ? &*found : nullptr;
}

// An epoll keeps watching a file whose descriptor has been closed as long as another descriptor refers to it.
std::string text_of_watched(std::span<const OpenDescriptor> list, int fd) {
  const OpenDescriptor* const found = find(list, fd);
  return found != nullptr ? text_of(*found) : "closed, but open elsewhere";
}

Json describe_watches(const OpenDescriptor& epoll, std::span<const OpenDescriptor> list) {
  Json watches = Json::array();
  for (const WatchedDescriptor& each : epoll.watches) {
    if (watches.size() == kWatchesShown) break;
    watches.push_back({{"fd", each.fd},
                       {"events", event_names(each.events)},
                       {"data", each.data},
                       {"text", text_of_watched(list, each.fd)}});
  }
  return watches;
}

Json describe_place(const std::vector<std::uint64_t>& stack, Symbols* symbols) {
  const auto frame = symbols != nullptr ? symbols->place_in(stack) : std::nullopt;
  if (!frame) return nullptr;
  const CodePlace& place = symbols->resolve(stack[*frame]);
  return {{"module", place.module}, {"function", place.function}, {"offset", place.offset},
          {"file", place.file},     {"line", place.line},         {"text", place.text()}};
}

Json describe_group(const DescriptorGroup& group, Subject& subject, common::TimePoint now) {
  const std::vector<OpenDescriptor>& list = *subject.list;
  const OpenDescriptor& first = list[group.members.front()];
  Json fds = Json::array();
  for (const std::size_t index : group.members) {
    if (fds.size() == kFdsShown) break;
    fds.push_back(list[index].fd);
  }
  Json entry = {{"count", group.members.size()},
                {"owner", name_of(group.owner)},
                {"since", name_of(group.since)},
                {"kind", name_of(group.kind)},
                {"state", group.state},
                {"peer", group.peer},
                {"local", group.local},
                {"path", group.path},
                {"deleted", group.deleted},
                {"role", group.role == common::FdRole::kNone ? "" : role_name(group.role)},
                {"watches", describe_watches(first, list)},
                {"oldest_s", nullptr},
                {"receive_queue", group.receive_queue},
                {"send_queue", group.send_queue},
                {"opened_at", describe_place(first.stack, subject.symbols)},
                {"stack", Json::array()},
                {"fds", std::move(fds)},
                {"text", text_of(group, now)}};
  if (group.oldest) entry["oldest_s"] = seconds(now - *group.oldest);
  if (subject.symbols != nullptr) entry["stack"] = subject.symbols->application_frames(first.stack, kFramesShown);
  return entry;
}

template <typename Value>
void add_unless_empty(Json& entry, const char* name, const Value& value) {
  if (value != Value{}) entry[name] = value;
}

Json describe_descriptor(const OpenDescriptor& descriptor, std::span<const OpenDescriptor> list,
                         common::TimePoint now) {
  Json entry = {{"fd", descriptor.fd},
                {"kind", name_of(descriptor.kind)},
                {"owner", name_of(descriptor.owner)},
                {"since", name_of(descriptor.since)},
                {"text", text_of(descriptor)}};
  if (descriptor.role != common::FdRole::kNone) entry["role"] = role_name(descriptor.role);
  add_unless_empty(entry, "state", descriptor.state);
  add_unless_empty(entry, "local", descriptor.local);
  add_unless_empty(entry, "peer", descriptor.peer);
  if (descriptor.peer_fd >= 0) entry["peer_fd"] = descriptor.peer_fd;
  add_unless_empty(entry, "path", descriptor.path);
  add_unless_empty(entry, "deleted", descriptor.deleted);
  add_unless_empty(entry, "receive_queue", descriptor.receive_queue);
  add_unless_empty(entry, "send_queue", descriptor.send_queue);
  add_unless_empty(entry, "count", descriptor.count);
  if (!descriptor.watches.empty()) entry["watches"] = describe_watches(descriptor, list);
  if (descriptor.opened_at) entry["age_s"] = seconds(now - *descriptor.opened_at);
  add_unless_empty(entry, "opened_at", descriptor.place);
  return entry;
}

// What the epoll watches under the data of its last event. Several descriptors may share one: then the one whose peer
// has gone, if that singles it out.
std::optional<int> guilty_of(const BusyPoll& busy, std::span<const WatchedDescriptor> watches,
                             std::span<const OpenDescriptor> list) {
  std::vector<int> candidates;
  for (const WatchedDescriptor& each : watches) {
    if (each.data == busy.data) candidates.push_back(each.fd);
  }
  if (candidates.size() > 1) {
    std::erase_if(candidates, [&](int fd) {
      const OpenDescriptor* const found = find(list, fd);
      return found == nullptr || found->kind != DescriptorKind::kTcp || found->state != name_of(TcpState::kCloseWait);
    });
  }
  return candidates.size() == 1 ? std::optional(candidates.front()) : std::nullopt;
}

Json describe_spinning(const InspectionOrder& order, std::span<const OpenDescriptor> list) {
  if (!order.busy_poll) return nullptr;
  const BusyPoll& busy = *order.busy_poll;
  const auto fd = guilty_of(busy, read_watches(order.pid, busy.epoll_fd), list);
  const std::string what = fd ? common::format("descriptor {}, {}", *fd, text_of_watched(list, *fd))
                              : common::format("a descriptor watched with data 0x{:x}", busy.data);
  Json entry = {{"epoll_fd", busy.epoll_fd}, {"fd", nullptr}};
  if (fd) entry["fd"] = *fd;
  entry["text"] =
      common::format("epoll {} returns at once for ever: {}, {}", busy.epoll_fd, what, event_names(busy.events));
  return entry;
}

// Workers of one generation have one set of symbols.
using Opened = std::vector<std::unique_ptr<Symbols>>;

Symbols* symbols_for(Subject& subject, Opened& opened) {
  for (const auto& each : opened) {
    if (each->fits(subject.order.pid)) return each.get();
  }
  auto symbols = Symbols::of_process(subject.order.pid);
  if (!symbols) {
    subject.complaints.push_back(symbols.error().message);
    return nullptr;
  }
  return opened.emplace_back(std::make_unique<Symbols>(*std::move(symbols))).get();
}

// Many descriptors share few stacks: each is looked up once.
void find_places(Subject& subject, Opened& opened) {
  const auto has_stack = [](const OpenDescriptor& each) { return !each.stack.empty(); };
  if (subject.order.stack.empty() && std::ranges::none_of(*subject.list, has_stack)) return;
  subject.symbols = symbols_for(subject, opened);
  if (subject.symbols == nullptr) return;
  std::map<std::span<const std::uint64_t>, std::string,
           decltype([](auto one, auto other) { return std::ranges::lexicographical_compare(one, other); })>
      places;
  for (OpenDescriptor& each : *subject.list) {
    const auto frame = subject.symbols->place_in(each.stack);
    if (!frame) continue;
    const auto [place, is_new] = places.try_emplace(each.stack);
    if (is_new) place->second = subject.symbols->resolve(each.stack[*frame]).text();
    each.place = place->second;
  }
}

// The server's own are counted in the list where they can be: the worker's own number is from another moment.
Json describe_counts(const InspectionOrder& order, const std::vector<OpenDescriptor>& list) {
  const std::uint64_t total = list.size();
  const auto is_server = [](const OpenDescriptor& one) { return one.owner == common::FdOwner::kServer; };
  const std::uint64_t owned = order.ledger.descriptors() == 0
                                  ? order.owned
                                  : static_cast<std::uint64_t>(std::ranges::count_if(list, is_server));
  // A worker that is not ready has no baseline: all it has opened is part of its start.
  const std::uint64_t explained = owned + order.baseline;
  const std::uint64_t leaked = order.baseline == 0 || total < explained ? 0 : total - explained;
  return {{"total", total}, {"owned", owned}, {"baseline", order.baseline}, {"leaked", leaked}};
}

void describe_list(Json& report, Subject& subject, common::TimePoint now) {
  const std::vector<OpenDescriptor>& list = *subject.list;
  const std::vector<DescriptorGroup> groups = group_descriptors(list);
  Json group_entries = Json::array();
  for (const DescriptorGroup& group : groups) {
    if (group_entries.size() == kGroupsMax) break;
    group_entries.push_back(describe_group(group, subject, now));
  }
  report["groups"] = std::move(group_entries);
  if (groups.size() > kGroupsMax) report["groups_left_out"] = groups.size() - kGroupsMax;
  Json entries = Json::array();
  for (const OpenDescriptor& each : list) {
    if (entries.size() == kDescriptorsMax) break;
    entries.push_back(describe_descriptor(each, list, now));
  }
  report["descriptors"] = std::move(entries);
  if (list.size() > kDescriptorsMax) report["descriptors_left_out"] = list.size() - kDescriptorsMax;
}

Json report_on(Subject& subject, const SocketTable& sockets, Opened& opened, common::TimePoint now) {
  const InspectionOrder& order = subject.order;
  Json report = {{"slot", order.slot}, {"pid", order.pid}};
  if (!subject.list) {
    report["error"] = subject.list.error().message;
    return report;
  }
  report["generation"] = order.generation;
  sockets.describe(order.pid, *subject.list);
  report["fds"] = describe_counts(order, *subject.list);
  find_places(subject, opened);
  describe_list(report, subject, now);
  report["stack"] = subject.symbols != nullptr ? Json(subject.symbols->all_frames(order.stack)) : Json::array();
  report["spinning"] = describe_spinning(order, *subject.list);
  subject.complaints.insert(subject.complaints.end(), sockets.complaints().begin(), sockets.complaints().end());
  report["complaints"] = subject.complaints;
  return report;
}

}  // namespace

Json inspect(std::span<const InspectionOrder> orders, common::TimePoint now) {
  std::vector<Subject> subjects;
  subjects.reserve(orders.size());
  for (const InspectionOrder& order : orders) {
    subjects.push_back({.order = order, .list = read_descriptors(order.pid)});
    // The ledger at once: it follows the worker, the list does not.
    if (subjects.back().list) join_ledger(order.ledger, *subjects.back().list);
  }
  const SocketTable sockets = SocketTable::read();
  Opened opened;
  Json reports = Json::array();
  for (Subject& subject : subjects) reports.push_back(report_on(subject, sockets, opened, now));
  return reports;
}

}  // namespace master
