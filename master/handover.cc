// Handover: as JSON, in a sealed memfd.
#include "master/handover.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>

#include "common/format.h"
#include "common/messages.h"
#include "common/scoreboard.h"

namespace master {
namespace {

using common::Json;

constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL;

std::int64_t count(common::Duration duration) { return duration.count(); }
std::int64_t count(common::TimePoint time) { return time.time_since_epoch().count(); }
common::TimePoint time_of(const Json& json) { return common::TimePoint(common::Duration(json.get<std::int64_t>())); }

// What the old image's children go on using.
Json layouts() {
  return {{"message_version", common::kMessageVersion},
          {"message_bytes", sizeof(common::Message)},
          {"record_bytes", sizeof(common::WorkerGauges)},
          {"records", common::kRecordsMax}};
}

Json to_json(const common::OwnedPath& owned) {
  return {{"path", owned.path},
          {"device", owned.device},
          {"inode", owned.inode},
          {"seconds", owned.made.tv_sec},
          {"nanoseconds", owned.made.tv_nsec}};
}

common::OwnedPath path_from(const Json& json) {
  common::OwnedPath owned;
  json.at("path").get_to(owned.path);
  json.at("device").get_to(owned.device);
  json.at("inode").get_to(owned.inode);
  json.at("seconds").get_to(owned.made.tv_sec);
  json.at("nanoseconds").get_to(owned.made.tv_nsec);
  return owned;
}

Json to_json(const Served& served) { return {{"requests", served.requests}, {"connections", served.connections}}; }

Served served_from(const Json& json) {
  Served served;
  json.at("requests").get_to(served.requests);
  json.at("connections").get_to(served.connections);
  return served;
}

Json to_json(const HandedWorker& worker) {
  return {{"id", worker.serving.id},
          {"slot", worker.serving.slot},
          {"pid", worker.serving.pid},
          {"asked_at", count(worker.serving.asked_at)},
          {"ready_at", count(worker.serving.ready_at)},
          {"record", worker.record},
          {"channel", worker.channel},
          {"memory", worker.memory},
          {"owns_slot", worker.owns_slot},
          {"counted", to_json(worker.counted)}};
}

HandedWorker worker_from(const Json& json) {
  HandedWorker worker;
  json.at("id").get_to(worker.serving.id);
  json.at("slot").get_to(worker.serving.slot);
  json.at("pid").get_to(worker.serving.pid);
  worker.serving.asked_at = time_of(json.at("asked_at"));
  worker.serving.ready_at = time_of(json.at("ready_at"));
  json.at("record").get_to(worker.record);
  json.at("channel").get_to(worker.channel);
  json.at("memory").get_to(worker.memory);
  json.at("owns_slot").get_to(worker.owns_slot);
  worker.counted = served_from(json.at("counted"));
  return worker;
}

Json to_json(const HandedListener& listener) {
  return {{"asked", listener.asked},
          {"address", listener.address},
          {"sockets", listener.sockets},
          {"activated", listener.activated},
          {"names", listener.names},
          {"slots", listener.slots},
          {"shared", listener.is_shared},
          {"in_order", listener.is_in_order},
          {"path", listener.path ? to_json(*listener.path) : Json()}};
}

HandedListener listener_from(const Json& json) {
  HandedListener listener;
  json.at("asked").get_to(listener.asked);
  json.at("address").get_to(listener.address);
  json.at("sockets").get_to(listener.sockets);
  json.at("activated").get_to(listener.activated);
  json.at("names").get_to(listener.names);
  json.at("slots").get_to(listener.slots);
  json.at("shared").get_to(listener.is_shared);
  json.at("in_order").get_to(listener.is_in_order);
  if (const Json& path = json.at("path"); !path.is_null()) listener.path = path_from(path);
  return listener;
}

Json to_json(const SupervisionState& state) {
  return {{"generation", state.generation},
          {"last_worker", state.last_worker},
          {"wanted", state.wanted},
          {"longest_load", count(state.longest_load)},
          {"recycled", state.counters.recycled},
          {"restarts_crashed", state.counters.restarts_crashed},
          {"restarts_killed", state.counters.restarts_killed}};
}

SupervisionState state_from(const Json& json) {
  SupervisionState state;
  json.at("generation").get_to(state.generation);
  json.at("last_worker").get_to(state.last_worker);
  json.at("wanted").get_to(state.wanted);
  state.longest_load = common::Duration(json.at("longest_load").get<std::int64_t>());
  json.at("recycled").get_to(state.counters.recycled);
  json.at("restarts_crashed").get_to(state.counters.restarts_crashed);
  json.at("restarts_killed").get_to(state.counters.restarts_killed);
  return state;
}

template <typename Items>
Json list(const Items& items) {
  Json array = Json::array();
  for (const auto& item : items) array.push_back(to_json(item));
  return array;
}

Handover handover_from(const Json& json) {
  Handover it;
  json.at("app_path").get_to(it.app_path);
  json.at("config").get_to(it.config);
  json.at("open_files_soft").get_to(it.open_files_soft);
  json.at("open_files_hard").get_to(it.open_files_hard);
  it.started_at = time_of(json.at("started_at"));
  json.at("upgrades").get_to(it.upgrades);
  json.at("last_generation").get_to(it.last_generation);
  it.supervision = state_from(json.at("supervision"));
  for (const Json& worker : json.at("workers")) it.workers.push_back(worker_from(worker));
  if (const Json& its = json.at("template"); !its.is_null()) {
    it.its_template = HandedTemplate{.pid = its.at("pid").get<pid_t>(), .channel = its.at("channel").get<int>()};
  }
  it.supervision.its_template = it.its_template ? TemplatePresence::kReady : TemplatePresence::kNone;
  json.at("scoreboard").get_to(it.scoreboard);
  json.at("slots").get_to(it.slots);
  for (const Json& listener : json.at("listeners")) it.listeners.push_back(listener_from(listener));
  json.at("control").get_to(it.control);
  it.control_path = path_from(json.at("control_path"));
  json.at("control_clients").get_to(it.control_clients);
  json.at("inherited").get_to(it.inherited);
  json.at("stored").get_to(it.stored);
  json.at("counter_page").get_to(it.counter_page);
  it.served = served_from(json.at("served"));
  json.at("reload_error").get_to(it.reload_error);
  it.recycles = json.at("recycles");
  it.crashes = json.at("crashes");
  return it;
}

}  // namespace

std::vector<int> Handover::descriptors() const {
  std::vector<int> fds = {scoreboard, control};
  for (const HandedWorker& worker : workers) {
    if (worker.channel >= 0) fds.push_back(worker.channel);
    fds.push_back(worker.memory);
  }
  if (counter_page >= 0) fds.push_back(counter_page);
  if (its_template) fds.push_back(its_template->channel);
  for (const HandedListener& listener : listeners) {
    fds.insert(fds.end(), listener.sockets.begin(), listener.sockets.end());
  }
  fds.insert(fds.end(), control_clients.begin(), control_clients.end());
  std::ranges::sort(fds);
  return fds;
}

std::string encode(const Handover& it) {
  const Json its_template =
      it.its_template ? Json{{"pid", it.its_template->pid}, {"channel", it.its_template->channel}} : Json();
  const Json json = {{"version", kHandoverVersion},
                     {"layouts", layouts()},
                     {"app_path", it.app_path},
                     {"config", it.config},
                     {"open_files_soft", it.open_files_soft},
                     {"open_files_hard", it.open_files_hard},
                     {"started_at", count(it.started_at)},
                     {"upgrades", it.upgrades},
                     {"last_generation", it.last_generation},
                     {"supervision", to_json(it.supervision)},
                     {"workers", list(it.workers)},
                     {"template", its_template},
                     {"scoreboard", it.scoreboard},
                     {"slots", it.slots},
                     {"listeners", list(it.listeners)},
                     {"control", it.control},
                     {"control_path", to_json(it.control_path)},
                     {"control_clients", it.control_clients},
                     {"inherited", it.inherited},
                     {"stored", it.stored},
                     {"counter_page", it.counter_page},
                     {"served", to_json(it.served)},
                     {"reload_error", it.reload_error},
                     {"recycles", it.recycles},
                     {"crashes", it.crashes}};
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

common::Result<Handover> decode(std::string_view text) {
  const Json json = Json::parse(text, nullptr, false);
  const auto version = json.is_object() ? json.find("version") : json.end();
  if (!json.is_object() || version == json.end()) return common::fail("hand-over: not a state of a supervisor");
  if (*version != kHandoverVersion) {
    return common::fail(common::format("hand-over: its version is {}, this program reads {}; restart instead",
                                       version->dump(), kHandoverVersion));
  }
  const auto its_layouts = json.find("layouts");
  if (its_layouts == json.end() || *its_layouts != layouts()) {
    return common::fail(
        "hand-over: the running workers share other layouts of memory than this program has; restart instead");
  }
  try {
    return handover_from(json);
  } catch (const Json::exception& error) {
    return common::fail(common::format("hand-over: {}", error.what()));
  }
}

common::Result<common::UniqueFd> write_handover(const Handover& handover) {
  common::UniqueFd fd(memfd_create("supervisor-handover", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd) return common::fail_errno("memfd_create for the hand-over", errno);
  const std::string text = encode(handover);
  for (std::size_t at = 0; at < text.size();) {
    const ssize_t written = write(fd.get(), text.data() + at, text.size() - at);
    if (written < 0) return common::fail_errno("write of the hand-over", errno);
    at += static_cast<std::size_t>(written);
  }
  if (fcntl(fd.get(), F_ADD_SEALS, kSeals) < 0) return common::fail_errno("seals on the hand-over", errno);
  return fd;
}

common::Result<Handover> read_handover(int fd) {
  struct stat status{};
  if (fstat(fd, &status) < 0) return common::fail_errno("hand-over: fstat", errno);
  const int seals = fcntl(fd, F_GET_SEALS);
  if (seals < 0 || (seals & kSeals) != kSeals) return common::fail("hand-over: not a sealed memfd", EINVAL);
  const auto bytes = static_cast<std::size_t>(std::max<off_t>(status.st_size, 0));
  if (bytes > kHandoverBytesMax) return common::fail("hand-over: too long", EFBIG);
  std::string text(bytes, '\0');
  for (std::size_t at = 0; at < bytes;) {
    const ssize_t count = pread(fd, text.data() + at, bytes - at, static_cast<off_t>(at));
    if (count <= 0) return common::fail_errno("hand-over: read", count < 0 ? errno : EIO);
    at += static_cast<std::size_t>(count);
  }
  return decode(text);
}

}  // namespace master
