// Config schema: the table of settings, and looking things up in it.
#include "common/config_schema.h"

#include <algorithm>
#include <array>
#include <climits>
#include <utility>

#include "common/address.h"
#include "common/nearest.h"

namespace common {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

constexpr std::uint64_t kKiB = 1024;
constexpr std::uint64_t kMiB = 1024 * kKiB;
constexpr std::uint64_t kTiB = kMiB * kMiB;
constexpr std::uint64_t kCountMax = INT64_MAX;  // what TOML's integers hold
constexpr std::size_t kPathMax = PATH_MAX - 1;  // with its NUL, what the kernel takes (limits.h)
constexpr std::size_t kAccountNameMax = 256;  // _SC_LOGIN_NAME_MAX (sysconf(3)); directories have long ones
constexpr hours kDay(24);
constexpr hours kYear(hours::rep{365} * 24);

constexpr std::array<std::string_view, 3> kSteeringNames = {"auto", "health", "hash"};
constexpr std::array<std::string_view, 1> kSteeringLater = {"load"};
constexpr std::array<std::string_view, 2> kOnFullNames = {"evict", "refuse"};
constexpr std::array<std::string_view, 5> kLevelNames = {"trace", "debug", "info", "warn", "error"};
constexpr std::array<std::string_view, 3> kFormatNames = {"text", "json", "journal"};
constexpr std::array<std::string_view, 3> kAccessNames = {"off", "combined", "json"};

constexpr std::array<std::string_view, 3> kCloseWaitNames = {"recycle", "shutdown", "report"};
constexpr std::array<std::string_view, 3> kTraceNames = {"auto", "always", "off"};

constexpr std::array<std::string_view, 7> kLaterKeys = {
    "workers.threads",     "timeouts.request", "timeouts.request_hard", "timeouts.queue", "http.forwarded_allow",
    "http.proxy_protocol", "admin.bind"};

// The widths differ (uint32_t, enums): the range in the table keeps every value inside its member.
template <typename T, auto Section, auto Member>
constexpr Accessor<T> at() {
  return {[](const Config& config) { return static_cast<T>((config.*Section).*Member); },
          [](Config& config, T value) {
            auto& member = (config.*Section).*Member;
            member = static_cast<std::remove_reference_t<decltype(member)>>(value);
          }};
}

template <auto Section, auto Member>
constexpr auto duration_at() {
  return at<std::chrono::nanoseconds, Section, Member>();
}

template <auto Section, auto Member>
constexpr auto number_at() {
  return at<std::uint64_t, Section, Member>();
}

template <auto Section, auto Member>
constexpr auto choice_at() {
  return at<std::size_t, Section, Member>();
}

using W = WorkerSettings;
using L = ListenSettings;
using M = LimitSettings;
using R = RecycleSettings;
using T = TimeoutSettings;
using H = HttpSettings;
using S = RestartSettings;
using C = Config;

constexpr Setting kSettings[] = {
    {"application.path",
     PathKind{{[](const Config& config) { return config.app_path; },
               [](Config& config, std::string path) { config.app_path = std::move(path); }},
              kPathMax},
     "the application's shared object; APP.so on the command line goes before it"},

    {"workers.count",
     RangeKind{number_at<&C::workers, &W::count>(), at<std::optional<std::uint64_t>, &C::workers, &W::count_max>(), 1,
               kWorkersMax, "auto"},
     "worker processes; auto = usable CPUs (affinity, cgroup); MIN:MAX = as needed"},
    {"workers.start_timeout", DurationKind{duration_at<&C::workers, &W::start_timeout>(), milliseconds(100), kDay},
     "a worker that is not ready by then has failed"},
    {"workers.stop_timeout", DurationKind{duration_at<&C::workers, &W::stop_timeout>(), milliseconds(100), kDay},
     "a stopping worker that still serves by then is killed"},
    {"workers.hang_timeout",
     DurationKind{duration_at<&C::workers, &W::hang_timeout>(), milliseconds(100), kDay, Zero::kOff},
     "a worker whose loop does not turn for so long is killed"},
    {"workers.unavailable_max", CountKind{number_at<&C::workers, &W::unavailable_max>(), 1, kWorkersMax},
     "planned replacements at the same time"},
    {"workers.pin", SwitchKind{at<bool, &C::workers, &W::pin>()}, "the worker of slot N runs on the N-th usable CPU"},

    {"listen.bind", AddressesKind{at<std::vector<std::string>, &C::listen, &L::bind>()},
     "addresses: HOST:PORT, [V6]:PORT, :PORT, unix:/path, unix:@name; port 0 = any"},
    {"listen.backlog", CountKind{number_at<&C::listen, &L::backlog>(), 1, 65'535},
     "connections that may wait for accept; net.core.somaxconn caps it"},
    {"listen.steering", ChoiceKind{choice_at<&C::listen, &L::steering>(), kSteeringNames, kSteeringLater},
     "how a new connection finds its worker: health = away from those that take none, hash = the kernel's choice"},

    {"limits.open_files", CountKind{number_at<&C::limits, &M::open_files>(), 64, kOpenFilesCap, Zero::kRefused, "max"},
     "descriptors per process; max = as many as the system allows"},
    {"limits.open_files_reserve", CountKind{number_at<&C::limits, &M::open_files_reserve>(), 8, 65'536},
     "descriptors kept free for the application and for refusing"},
    {"limits.connections",
     CountKind{number_at<&C::limits, &M::connections>(), 1, kOpenFilesCap, Zero::kRefused, "auto"},
     "connections per worker; auto = from limits.open_files"},
    {"limits.on_full", ChoiceKind{choice_at<&C::limits, &M::on_full>(), kOnFullNames},
     "at the limit: evict the oldest idle connection, or refuse the new one"},

    {"recycle.interval", DurationKind{duration_at<&C::recycle, &R::interval>(), milliseconds(10), hours(1)},
     "time between two looks at a worker"},
    {"recycle.samples", CountKind{number_at<&C::recycle, &R::samples>(), 1, 1000},
     "consecutive looks that must exceed a threshold"},
    {"recycle.age_min", DurationKind{duration_at<&C::recycle, &R::age_min>(), milliseconds(1), kYear, Zero::kOff},
     "a younger worker is not recycled by threshold"},
    {"recycle.jitter", FractionKind{at<double, &C::recycle, &R::jitter>()},
     "part of a threshold by which it is randomly raised per worker"},
    {"recycle.fds_leaked", CountKind{number_at<&C::recycle, &R::fds_leaked>(), 1, kOpenFilesCap, Zero::kOff},
     "descriptors the application opened and kept; 0 = off"},
    {"recycle.fds_used", FractionKind{at<double, &C::recycle, &R::fds_used>()},
     "part of the descriptor limit in use; 0 = off"},
    {"recycle.fds_exhaustion",
     DurationKind{duration_at<&C::recycle, &R::fds_exhaustion>(), milliseconds(100), kDay, Zero::kOff},
     "replaced if the descriptors would run out in this time, growing as they do; 0s = off"},
    {"recycle.close_wait", CountKind{number_at<&C::recycle, &R::close_wait>(), 1, kOpenFilesCap, Zero::kOff},
     "sockets of the application in CLOSE_WAIT; 0 = off"},
    {"recycle.close_wait_age",
     DurationKind{duration_at<&C::recycle, &R::close_wait_age>(), milliseconds(10), kDay, Zero::kOff},
     "time in CLOSE_WAIT from which a socket counts"},
    {"recycle.close_wait_action", ChoiceKind{choice_at<&C::recycle, &R::close_wait_action>(), kCloseWaitNames},
     "recycle the worker, shut those sockets down, or only report them"},
    {"recycle.spin", DurationKind{duration_at<&C::recycle, &R::spin>(), milliseconds(100), kDay, Zero::kOff},
     "time a worker may burn CPU without progress; 0s = off"},
    {"recycle.requests", CountKind{number_at<&C::recycle, &R::requests>(), 1, kCountMax, Zero::kOff},
     "requests a worker answers before it is replaced; 0 = off"},
    {"recycle.age", DurationKind{duration_at<&C::recycle, &R::age>(), milliseconds(100), kYear, Zero::kOff},
     "age at which a worker is replaced; 0s = off"},
    {"recycle.rss", SizeKind{number_at<&C::recycle, &R::rss>(), kMiB, 16 * kTiB, Zero::kOff},
     "resident memory at which a worker is replaced; 0 = off"},

    {"fds.trace", ChoiceKind{choice_at<&C::fds, &FdsSettings::trace>(), kTraceNames},
     "note where the application opens descriptors: once growth is suspected, always, or never"},

    {"timeouts.header", DurationKind{duration_at<&C::timeouts, &T::header>(), milliseconds(10), kDay},
     "from the first byte of a request to the end of its head"},
    {"timeouts.body", DurationKind{duration_at<&C::timeouts, &T::body>(), milliseconds(10), kDay},
     "longest silence while a request body arrives"},
    {"timeouts.write", DurationKind{duration_at<&C::timeouts, &T::write>(), milliseconds(10), kDay},
     "longest wait for a client that does not read its answer"},
    {"timeouts.keep_alive", DurationKind{duration_at<&C::timeouts, &T::keep_alive>(), milliseconds(10), kDay},
     "longest silence between two requests"},
    {"timeouts.linger", DurationKind{duration_at<&C::timeouts, &T::linger>(), milliseconds(10), hours(1)},
     "wait for the client's close after ours"},
    {"timeouts.drain_idle", DurationKind{duration_at<&C::timeouts, &T::drain_idle>(), milliseconds(10), hours(1)},
     "grace of an idle connection once its worker drains"},

    {"http.request_line_max", SizeKind{number_at<&C::http, &H::request_line_max>(), 64, kMiB},
     "longest request line; past it 414"},
    {"http.header_bytes_max", SizeKind{number_at<&C::http, &H::header_bytes_max>(), 256, 16 * kMiB},
     "largest header section; past it 431"},
    {"http.headers_max", CountKind{number_at<&C::http, &H::headers_max>(), 1, 10'000},
     "header fields of a request; past it 431"},
    {"http.body_max", SizeKind{number_at<&C::http, &H::body_max>(), 1, kTiB}, "largest request body; past it 413"},
    {"http.requests_per_connection",
     CountKind{number_at<&C::http, &H::requests_per_connection>(), 1, kCountMax, Zero::kOff},
     "requests before a connection is closed; 0 = unlimited"},

    {"restart.backoff_first", DurationKind{duration_at<&C::restart, &S::backoff_first>(), milliseconds(1), hours(1)},
     "wait before the first restart; doubles with each"},
    {"restart.backoff_max", DurationKind{duration_at<&C::restart, &S::backoff_max>(), milliseconds(1), kDay},
     "longest wait before a restart"},
    {"restart.failures_max", CountKind{number_at<&C::restart, &S::failures_max>(), 1, 10'000},
     "failures within restart.window that end the supervisor (exit code 3)"},
    {"restart.window", DurationKind{duration_at<&C::restart, &S::window>(), milliseconds(100), kDay},
     "time in which failures are counted"},

    {"stop.delay", DurationKind{duration_at<&C::stop, &StopSettings::delay>(), milliseconds(10), hours(1), Zero::kOff},
     "time a graceful stop goes on serving, already reported as not ready; 0s = none"},

    {"log.level", ChoiceKind{choice_at<&C::log, &LogSettings::level>(), kLevelNames}, "least important lines written"},
    {"log.format", ChoiceKind{choice_at<&C::log, &LogSettings::format>(), kFormatNames},
     "lines on standard error, or journal = records with fields; by itself where standard error leads to the journal"},
    {"log.access", ChoiceKind{choice_at<&C::log, &LogSettings::access>(), kAccessNames}, "one line per request"},

    {"control.socket", PathKind{at<std::string, &C::control, &ControlSettings::socket>(), kUnixPathMax},
     "path of the control socket; empty = from RUNTIME_DIRECTORY, XDG_RUNTIME_DIR or /run/supervisor"},
    {"control.mode", ModeKind{at<std::uint32_t, &C::control, &ControlSettings::mode>()},
     "permission bits of the control socket"},

    {"security.user", AccountKind{at<std::string, &C::security, &SecuritySettings::user>(), kAccountNameMax},
     "user that runs the application, without any capability; empty = the supervisor's own"},
    {"security.group", AccountKind{at<std::string, &C::security, &SecuritySettings::group>(), kAccountNameMax},
     "group of the application and of the control socket; empty = the primary group of security.user"},
    {"security.umask", MaskKind{at<std::optional<std::uint32_t>, &C::security, &SecuritySettings::umask>()},
     "permission bits that new files of the application and unix sockets of listen.bind do not get; empty = inherited"},
};

// Every name that section_of() gives, and of later keys.
std::vector<std::string_view> section_names() {
  std::vector<std::string_view> names;
  const auto add = [&](std::string_view key) {
    const std::string_view section = section_of(key);
    if (std::find(names.begin(), names.end(), section) == names.end()) names.push_back(section);
  };
  for (const Setting& setting : kSettings) add(setting.key);
  for (const std::string_view key : kLaterKeys) add(key);
  return names;
}

}  // namespace

std::span<const Setting> settings() { return kSettings; }

std::optional<std::size_t> find_setting(std::string_view key) {
  const auto found =
      std::find_if(std::begin(kSettings), std::end(kSettings), [&](const Setting& s) { return s.key == key; });
  if (found == std::end(kSettings)) return std::nullopt;
  return static_cast<std::size_t>(found - std::begin(kSettings));
}

std::string_view section_of(std::string_view key) { return key.substr(0, key.find('.')); }

bool is_section(std::string_view name) {
  const auto names = section_names();
  return std::find(names.begin(), names.end(), name) != names.end();
}

bool is_later_key(std::string_view key) {
  return std::find(kLaterKeys.begin(), kLaterKeys.end(), key) != kLaterKeys.end();
}

std::string_view nearest_key(std::string_view key) {
  std::vector<std::string_view> keys;
  keys.reserve(std::size(kSettings));
  for (const Setting& setting : kSettings) keys.push_back(setting.key);
  const std::string_view name = key.substr(key.rfind('.') + 1);  // npos + 1 is 0: the whole
  for (const std::string_view candidate : keys) {
    if (candidate.substr(candidate.find('.') + 1) == name) return candidate;  // the right name in the wrong section
  }
  return nearest(key, keys);
}

std::string_view nearest_section(std::string_view name) {
  auto names = section_names();
  names.push_back("app");
  return nearest(name, names);
}

}  // namespace common
