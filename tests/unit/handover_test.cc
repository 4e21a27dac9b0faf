// Handover: what is written is what is read, and what cannot be read completely is refused in words.
#include "master/handover.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <limits>
#include <set>

#include "common/messages.h"
#include "common/scoreboard.h"

namespace master {
namespace {

using common::Json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr int kAllSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL;

common::TimePoint at(std::int64_t nanoseconds) { return common::TimePoint(common::Duration(nanoseconds)); }

// No two numbers are the same, so that none can take another's place.
Handover full() {
  Handover it{.app_path = "/srv/a \"b\"/app.so",
              .config = "[workers]\ncount = 3\n",
              .open_files_soft = std::numeric_limits<std::uint64_t>::max(),
              .open_files_hard = std::numeric_limits<std::uint64_t>::max() - 1,
              .started_at = at(1'000'000'001),
              .upgrades = 17,
              .last_generation = 19,
              .scoreboard = 21,
              .slots = 4,
              .control = 23,
              .control_path = {.path = "/run/control.sock", .device = 25, .inode = 27, .made = {29, 31}},
              .control_clients = {91, 93},
              .inherited = {0, 1, 2, 33},
              .stored = {{"listen,0,127.0.0.1=8000,,", 77}},
              .counter_page = 95,
              .served = {.requests = 97, .connections = 99},
              .reload_error = "load(): no\nreason",
              .recycles = Json::parse(R"([{"slot": 35}])"),
              .crashes = Json::parse(R"([{"slot": 37}])")};
  it.supervision = {.generation = 18,
                    .last_worker = 1'000'000,
                    .wanted = 4,
                    .its_template = TemplatePresence::kReady,
                    .longest_load = common::Duration(39),
                    .counters = {.restarts_crashed = 41, .restarts_killed = 43}};
  std::uint64_t count = 100;
  for (std::uint64_t& recycled : it.supervision.counters.recycled) recycled = ++count;
  it.workers = {{.serving = {.id = 45, .slot = 1, .pid = 47, .asked_at = at(49), .ready_at = at(51)},
                 .record = 53,
                 .channel = 55,
                 .memory = 57,
                 .owns_slot = true,
                 .counted = {.requests = 201, .connections = 203}},
                {.serving = {.id = 59, .slot = 3, .pid = 61, .asked_at = at(63), .ready_at = at(65)},
                 .record = 67,
                 .channel = -1,
                 .memory = 69,
                 .owns_slot = false,
                 .counted = {.requests = 205, .connections = 207}}};
  it.its_template = HandedTemplate{.pid = 71, .channel = 73};
  it.listeners = {{.asked = "127.0.0.1:0", .address = "127.0.0.1:8080", .sockets = {75, 77}, .path = std::nullopt},
                  {.asked = "unix:/run/http.sock",
                   .address = "unix:/run/http.sock",
                   .sockets = {79},
                   .path = common::OwnedPath{.path = "/run/http.sock", .device = 81, .inode = 83, .made = {85, 87}}}};
  return it;
}

void expect_same(const common::OwnedPath& one, const common::OwnedPath& other) {
  EXPECT_EQ(one.path, other.path);
  EXPECT_EQ(one.device, other.device);
  EXPECT_EQ(one.inode, other.inode);
  EXPECT_EQ(one.made.tv_sec, other.made.tv_sec);
  EXPECT_EQ(one.made.tv_nsec, other.made.tv_nsec);
}

void expect_same(const SupervisionState& one, const SupervisionState& other) {
  EXPECT_EQ(one.generation, other.generation);
  EXPECT_EQ(one.last_worker, other.last_worker);
  EXPECT_EQ(one.wanted, other.wanted);
  EXPECT_EQ(one.its_template, other.its_template);
  EXPECT_EQ(one.longest_load, other.longest_load);
  EXPECT_EQ(one.counters.recycled, other.counters.recycled);
  EXPECT_EQ(one.counters.restarts_crashed, other.counters.restarts_crashed);
  EXPECT_EQ(one.counters.restarts_killed, other.counters.restarts_killed);
}

void expect_same(const HandedWorker& one, const HandedWorker& other) {
  EXPECT_EQ(one.serving.id, other.serving.id);
  EXPECT_EQ(one.serving.slot, other.serving.slot);
  EXPECT_EQ(one.serving.pid, other.serving.pid);
  EXPECT_EQ(one.serving.asked_at, other.serving.asked_at);
  EXPECT_EQ(one.serving.ready_at, other.serving.ready_at);
  EXPECT_EQ(one.record, other.record);
  EXPECT_EQ(one.channel, other.channel);
  EXPECT_EQ(one.memory, other.memory);
  EXPECT_EQ(one.owns_slot, other.owns_slot);
  EXPECT_EQ(one.counted, other.counted);
}

void expect_same(const HandedListener& one, const HandedListener& other) {
  EXPECT_EQ(one.asked, other.asked);
  EXPECT_EQ(one.address, other.address);
  EXPECT_EQ(one.sockets, other.sockets);
  ASSERT_EQ(one.path.has_value(), other.path.has_value());
  if (one.path) expect_same(*one.path, *other.path);
}

void expect_same(const Handover& one, const Handover& other) {
  EXPECT_EQ(one.app_path, other.app_path);
  EXPECT_EQ(one.config, other.config);
  EXPECT_EQ(one.open_files_soft, other.open_files_soft);
  EXPECT_EQ(one.open_files_hard, other.open_files_hard);
  EXPECT_EQ(one.started_at, other.started_at);
  EXPECT_EQ(one.upgrades, other.upgrades);
  EXPECT_EQ(one.last_generation, other.last_generation);
  expect_same(one.supervision, other.supervision);
  ASSERT_EQ(one.workers.size(), other.workers.size());
  for (std::size_t i = 0; i < one.workers.size(); ++i) expect_same(one.workers[i], other.workers[i]);
  ASSERT_EQ(one.its_template.has_value(), other.its_template.has_value());
  if (one.its_template) {
    EXPECT_EQ(one.its_template->pid, other.its_template->pid);
    EXPECT_EQ(one.its_template->channel, other.its_template->channel);
  }
  EXPECT_EQ(one.scoreboard, other.scoreboard);
  EXPECT_EQ(one.slots, other.slots);
  ASSERT_EQ(one.listeners.size(), other.listeners.size());
  for (std::size_t i = 0; i < one.listeners.size(); ++i) expect_same(one.listeners[i], other.listeners[i]);
  EXPECT_EQ(one.control, other.control);
  expect_same(one.control_path, other.control_path);
  EXPECT_EQ(one.control_clients, other.control_clients);
  EXPECT_EQ(one.inherited, other.inherited);
  EXPECT_EQ(one.stored, other.stored);
  EXPECT_EQ(one.counter_page, other.counter_page);
  EXPECT_EQ(one.served, other.served);
  EXPECT_EQ(one.reload_error, other.reload_error);
  EXPECT_EQ(one.recycles, other.recycles);
  EXPECT_EQ(one.crashes, other.crashes);
}

std::string refusal(const Json& json) {
  const auto read = decode(json.dump());
  return read ? "" : read.error().message;
}

common::UniqueFd file_of(std::string_view text, int seals = kAllSeals) {
  common::UniqueFd fd(memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  EXPECT_EQ(write(fd.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
  EXPECT_EQ(fcntl(fd.get(), F_ADD_SEALS, seals), 0);
  return fd;
}

TEST(Handover, ReadsEveryFieldAsItWasWritten) {
  const auto read = decode(encode(full()));
  ASSERT_TRUE(read.has_value()) << read.error().message;
  expect_same(full(), *read);
}

TEST(Handover, ReadsWhatThereIsNoneOf) {
  Handover bare{.app_path = "/app.so", .control_path = {}, .recycles = Json::array(), .crashes = Json::array()};
  bare.supervision.its_template = TemplatePresence::kNone;
  const auto read = decode(encode(bare));
  ASSERT_TRUE(read.has_value()) << read.error().message;
  expect_same(bare, *read);
}

TEST(Handover, CrossesInASealedFile) {
  const auto fd = write_handover(full());
  ASSERT_TRUE(fd.has_value()) << fd.error().message;
  EXPECT_EQ(fcntl(fd->get(), F_GETFD), FD_CLOEXEC);
  EXPECT_EQ(fcntl(fd->get(), F_GET_SEALS) & kAllSeals, kAllSeals);
  for (int reading = 0; reading < 2; ++reading) {  // by the check, then for good
    const auto read = read_handover(fd->get());
    ASSERT_TRUE(read.has_value()) << read.error().message;
    expect_same(full(), *read);
  }
}

TEST(Handover, NamesEveryDescriptorThatHasToSurviveInOrder) {
  EXPECT_THAT(full().descriptors(), ElementsAre(21, 23, 55, 57, 69, 73, 75, 77, 79, 91, 93, 95));
}

// Whatever is written under a name of a descriptor is one of them: a new one cannot be forgotten.
TEST(Handover, NamesEveryDescriptorThatIsWritten) {
  const Json json = Json::parse(encode(full()));
  std::set<int> written;
  const auto collect = [&](const Json& value) {
    if (value.is_number_integer() && value.get<int>() >= 0) written.insert(value.get<int>());
    for (const Json& each : value.is_array() ? value : Json::array()) written.insert(each.get<int>());
  };
  const std::set<std::string> names = {"channel", "memory",          "sockets",     "scoreboard",
                                       "control", "control_clients", "counter_page"};
  const auto walk = [&](const Json& object, const auto& again) -> void {
    for (const auto& [name, value] : object.items()) {
      if (names.contains(name)) {
        collect(value);
      } else if (value.is_structured() && name != "recycles" && name != "crashes") {
        again(value, again);
      }
    }
  };
  walk(json, walk);
  const std::vector<int> fds = full().descriptors();
  EXPECT_EQ(written, std::set<int>(fds.begin(), fds.end()));
}

TEST(Handover, RefusesAnyOtherVersion) {
  const Json good = Json::parse(encode(full()));
  for (const Json& version : {Json(kHandoverVersion - 1), Json(kHandoverVersion + 1), Json("1"), Json()}) {
    Json json = good;
    json["version"] = version;
    EXPECT_THAT(refusal(json), HasSubstr("its version is " + version.dump() + ", this program reads " +
                                         std::to_string(kHandoverVersion)));
  }
  Json json = good;
  json.erase("version");
  EXPECT_THAT(refusal(json), HasSubstr("not a state of a supervisor"));
}

TEST(Handover, RefusesAnyOtherLayout) {
  const Json good = Json::parse(encode(full()));
  for (const auto& [name, value] : good["layouts"].items()) {
    Json json = good;
    json["layouts"][name] = value.get<std::int64_t>() + 1;
    EXPECT_THAT(refusal(json), HasSubstr("other layouts of memory")) << name;
    json["layouts"].erase(name);
    EXPECT_THAT(refusal(json), HasSubstr("other layouts of memory")) << name;
  }
  Json json = good;
  json["layouts"]["another"] = 1;
  EXPECT_THAT(refusal(json), HasSubstr("other layouts of memory"));
  json.erase("layouts");
  EXPECT_THAT(refusal(json), HasSubstr("other layouts of memory"));
}

TEST(Handover, ComparesTheLayoutsThatProcessesShare) {
  const Json layouts = Json::parse(encode(full()))["layouts"];
  EXPECT_EQ(layouts["message_version"], common::kMessageVersion);
  EXPECT_EQ(layouts["message_bytes"], sizeof(common::Message));
  EXPECT_EQ(layouts["record_bytes"], sizeof(common::WorkerGauges));
  EXPECT_EQ(layouts["records"], common::kRecordsMax);
}

// Calls `change` with a good hand-over and each place in it, one after the other, also inside of lists.
template <typename Change>
void for_each_place(Change change) {
  const Json good = Json::parse(encode(full()));
  const auto walk = [&](const Json::json_pointer& at, const auto& again) -> void {
    const Json& here = good.at(at);
    for (const auto& [name, value] : here.items()) {
      const bool is_list = here.is_array();
      const Json::json_pointer place = is_list ? at / static_cast<std::size_t>(std::stoul(name)) : at / name;
      const std::string path = place.to_string();
      if (path == "/version" || path == "/layouts") continue;
      if (!is_list) change(good, at, name);
      if (value.is_structured() && path != "/recycles" && path != "/crashes") again(place, again);
    }
  };
  walk(Json::json_pointer(), walk);
}

TEST(Handover, RefusesAFieldThatIsMissing) {
  int places = 0;
  for_each_place([&](const Json& good, const Json::json_pointer& at, const std::string& name) {
    Json json = good;
    json.at(at).erase(name);
    EXPECT_THAT(refusal(json), testing::AllOf(HasSubstr("hand-over: "), HasSubstr("'" + name + "'")))
        << (at / name).to_string();
    ++places;
  });
  EXPECT_GT(places, 60);
}

TEST(Handover, RefusesAFieldOfAnotherType) {
  for_each_place([&](const Json& good, const Json::json_pointer& at, const std::string& name) {
    if (name == "recycles" || name == "crashes") return;  // shown as they are
    const Json other = good.at(at).at(name).is_string() ? Json(5) : Json("5");
    Json json = good;
    json.at(at)[name] = other;
    EXPECT_THAT(refusal(json), HasSubstr("hand-over: ")) << (at / name).to_string();
  });
}

TEST(Handover, RefusesWhatIsNoState) {
  for (const std::string_view text : {"", "{", "[]", "null", "7", "\"version\"", "{\"a\": 1}", "\xff\xfe", "\0\0"}) {
    const auto read = decode(text);
    ASSERT_FALSE(read.has_value()) << text;
    EXPECT_THAT(read.error().message, HasSubstr("not a state of a supervisor")) << text;
  }
  const std::string text = encode(full());
  for (std::size_t length = 0; length < text.size(); length += 7) {
    EXPECT_FALSE(decode(text.substr(0, length)).has_value()) << length;
  }
}

TEST(Handover, RefusesAFileThatIsNotSealed) {
  const std::string text = encode(full());
  EXPECT_TRUE(read_handover(file_of(text).get()).has_value());
  for (const int seal : {F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_WRITE, F_SEAL_SEAL}) {
    const auto read = read_handover(file_of(text, kAllSeals & ~seal).get());
    ASSERT_FALSE(read.has_value()) << "without seal " << seal;
    EXPECT_THAT(read.error().message, HasSubstr("not a sealed memfd"));
  }
  const common::UniqueFd null(open("/dev/null", O_RDONLY | O_CLOEXEC));
  EXPECT_THAT(read_handover(null.get()).error().message, HasSubstr("not a sealed memfd"));
  EXPECT_EQ(read_handover(-1).error().errnum, EBADF);
}

TEST(Handover, ReadsAsMuchAsTheLimitAndNotAByteMore) {
  common::UniqueFd longest(memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  common::UniqueFd too_long(memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  ASSERT_EQ(ftruncate(longest.get(), static_cast<off_t>(kHandoverBytesMax)), 0);
  ASSERT_EQ(ftruncate(too_long.get(), static_cast<off_t>(kHandoverBytesMax) + 1), 0);
  ASSERT_EQ(fcntl(longest.get(), F_ADD_SEALS, kAllSeals), 0);
  ASSERT_EQ(fcntl(too_long.get(), F_ADD_SEALS, kAllSeals), 0);
  EXPECT_THAT(read_handover(longest.get()).error().message, HasSubstr("not a state of a supervisor"));
  EXPECT_THAT(read_handover(too_long.get()).error().message, HasSubstr("too long"));
}

TEST(Handover, IsEmptyWithoutDescriptors) {
  Handover none{.scoreboard = 3, .control = 4, .control_path = {}};
  EXPECT_THAT(none.descriptors(), ElementsAre(3, 4));
  EXPECT_THAT(none.inherited, IsEmpty());
}

}  // namespace
}  // namespace master
