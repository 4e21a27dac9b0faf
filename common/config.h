// Config: every setting of the supervisor, with its default and its unit in its type.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace common {

// One entry of the application's own [app] table. `key` is dotted ("redis.url"); `value` is the TOML text of a scalar
// or array, except that strings come unquoted.
struct AppSetting {
  std::string key;
  std::string value;
};

// The number of workers: a fixed one, or a range (MIN:MAX) in which it follows the load, beginning with MIN.
struct WorkerSettings {
  std::uint32_t count = 0;                   // or MIN; 0 = auto (usable CPUs); the largest is kWorkersMax
  std::optional<std::uint32_t> count_max{};  // MAX; 0 = auto; none = a fixed number
  std::chrono::nanoseconds start_timeout = std::chrono::seconds(30);
  std::chrono::nanoseconds stop_timeout = std::chrono::seconds(30);
  std::chrono::nanoseconds hang_timeout = std::chrono::seconds(30);  // 0 = never
  std::uint32_t unavailable_max = 1;                                 // simultaneous planned replacements
  bool pin = false;                                                  // worker of slot N runs on the N-th usable CPU
};

// Who chooses the slot of a new connection: kHash = the kernel's own hash; kHealth = that hash while every worker takes
// connections, else a random one of those that do; kAuto = kHealth where the kernel allows it.
enum class Steering { kAuto, kHealth, kHash };
enum class OnFull { kEvict, kRefuse };
enum class LogFormat { kText, kJson, kJournal };
enum class LogLevel { kTrace, kDebug, kInfo, kWarn, kError };
enum class AccessLog { kOff, kCombined, kJson };

struct ListenSettings {
  std::vector<std::string> bind = {"127.0.0.1:8000"};  // texts that parse_bind_target() accepted
  std::uint32_t backlog = 4096;
  Steering steering = Steering::kAuto;
};

struct LimitSettings {
  std::uint64_t open_files = 0;  // 0 = "max": as high as the hard limit and kOpenFilesCap allow
  std::uint32_t open_files_reserve = 64;
  std::uint32_t connections = 0;  // per worker; 0 = "auto": derived from open_files
  OnFull on_full = OnFull::kEvict;
};

enum class CloseWaitAction { kRecycle, kShutdown, kReport };

struct RecycleSettings {
  std::chrono::nanoseconds interval = std::chrono::seconds(1);
  std::uint32_t samples = 3;
  std::chrono::nanoseconds age_min = std::chrono::seconds(10);
  double jitter = 0.1;  // 0 to 1: part of a threshold by which it is randomly raised per worker
  std::uint32_t fds_leaked = 256;  // 0 = off
  double fds_used = 0.8;  // part of the soft limit; 0 = off
  std::chrono::nanoseconds fds_exhaustion = std::chrono::seconds(60);  // at the present growth until the limit; 0 = off
  std::uint32_t close_wait = 64;  // the application's sockets whose peer has gone; 0 = off
  std::chrono::nanoseconds close_wait_age = std::chrono::seconds(60);  // a younger one does not count
  CloseWaitAction close_wait_action = CloseWaitAction::kRecycle;
  std::chrono::nanoseconds spin = std::chrono::seconds(10);  // CPU burnt without progress; 0 = off
  std::uint64_t requests = 0;  // 0 = off
  std::chrono::nanoseconds age{0};  // 0 = off
  std::uint64_t rss = 0;  // bytes; 0 = off
};

enum class FdTrace { kAuto, kAlways, kOff };

struct FdsSettings {
  FdTrace trace = FdTrace::kAuto;  // kAuto: from when growth is suspected
};

struct TimeoutSettings {  // 0 = none, where the schema allows it
  std::chrono::nanoseconds header = std::chrono::seconds(10);
  std::chrono::nanoseconds body = std::chrono::seconds(30);
  std::chrono::nanoseconds write = std::chrono::seconds(30);
  std::chrono::nanoseconds keep_alive = std::chrono::seconds(75);
  std::chrono::nanoseconds linger = std::chrono::seconds(5);  // after our FIN, until the client's
  std::chrono::nanoseconds drain_idle = std::chrono::seconds(2);  // an idle connection's grace once a drain began
};

struct HttpSettings {
  std::uint64_t request_line_max = 8ULL * 1024;
  std::uint64_t header_bytes_max = 32ULL * 1024;
  std::uint32_t headers_max = 100;
  std::uint64_t body_max = 8ULL * 1024 * 1024;
  std::uint64_t requests_per_connection = 0;  // 0 = unlimited
};

struct RestartSettings {
  std::chrono::nanoseconds backoff_first = std::chrono::milliseconds(100);
  std::chrono::nanoseconds backoff_max = std::chrono::seconds(30);
  std::uint32_t failures_max = 5;
  std::chrono::nanoseconds window = std::chrono::seconds(60);
};

struct LogSettings {
  LogLevel level = LogLevel::kInfo;
  LogFormat format = LogFormat::kText;
  AccessLog access = AccessLog::kOff;
};

struct ControlSettings {
  std::string socket;  // empty = derived from RUNTIME_DIRECTORY, XDG_RUNTIME_DIR or /run
  std::uint32_t mode = 0600;  // permission bits
};

struct StopSettings {
  std::chrono::nanoseconds delay{0};  // between "not ready any more" and the drain; 0 = none
};

struct SecuritySettings {  // who runs the application; a name, or the digits of an id
  std::string user;  // empty = the supervisor's own
  std::string group;  // empty = the primary group of `user`
  std::optional<std::uint32_t> umask;  // permission bits; none = as inherited
};

struct Config {
  std::string app_path;  // application.path, as the user wrote it; empty only for verbs that need no application
  WorkerSettings workers;
  ListenSettings listen;
  LimitSettings limits;
  RecycleSettings recycle;
  FdsSettings fds;
  TimeoutSettings timeouts;
  HttpSettings http;
  RestartSettings restart;
  StopSettings stop;
  LogSettings log;
  ControlSettings control;
  SecuritySettings security;
  std::vector<AppSetting> app;  // sorted by key
  std::string app_toml;  // the [app] table as TOML text, merged with --set app.*
};

inline constexpr std::uint32_t kWorkersMax = 512;
inline constexpr std::uint32_t kBindMax = 64;  // addresses; SCM_RIGHTS carries at most 253 (unix(7))
inline constexpr std::uint64_t kOpenFilesCap = 1'048'576;  // programs that size tables by the limit eat memory beyond

}  // namespace common
