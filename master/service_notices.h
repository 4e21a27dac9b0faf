// ServiceNotices: what the service manager is told, and when (sd_notify(3)). Pure: the words are sent elsewhere.
//
//   starting --READY=1--> serving --STOPPING=1--> stopping
//                           |  ^
//              RELOADING=1  v  |  READY=1, whether it was done or refused
//                         reloading                          stopping --> stopped
// While it starts, reloads or stops the manager is asked for more time every kExtensionInterval, because load() and
// requests in flight have limits of our own. WATCHDOG=1 is sent at half of the manager's patience, and withheld when
// nobody could serve since the last one: a master whose loop turns proves nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/clock.h"

namespace master {

struct ServiceSituation {
  enum class Stage { kStarting, kServing, kReloading, kStopping, kStopped } stage = Stage::kStarting;
  enum class Serving { kNobody, kSomebody } serving = Serving::kNobody;
  std::uint64_t reloads = 0;  // begun ever: one can begin and end between two looks
  std::string status;
};

// What the status line is made of.
struct ServiceNumbers {
  enum class Doing {
    kLoading,  // nothing is served yet
    kStarting,
    kServing,
    kReloading,
    kWaiting,  // a stop was asked for, stop.delay goes by, and all is served as before
    kDraining,
    kClosing,
    kStopped,
    kFailed,  // on the way out, or there
  } doing = Doing::kServing;
  std::string loading{};  // in kLoading and kReloading: the application, as long as load() runs
  std::uint32_t renewed = 0;  // in kReloading: slots that are served by the new generation
  std::uint32_t processes = 0;  // in kDraining and kClosing: workers that are left
  std::uint64_t connections = 0;  // and what they have open
  std::string failure{};  // in kFailed, "cannot start: no database"
  std::uint32_t workers_ready = 0;
  std::uint32_t workers_wanted = 0;
  double requests_per_second = 0;
  std::uint64_t fds = 0;  // of the worker that has most
  std::uint64_t fds_soft = 0;  // its limit; 0 = unknown
  std::uint64_t recycled = 0;
  std::string last_recycle{};  // the reason; empty = none
  std::string reload_error{};  // of the last reload; empty = none
};

// "4/4 workers, 1,203 req/s, fds 210/524288, 1 recycled: fds_leaked"; before it "reload refused: REASON; " until a
// reload succeeds.
std::string status_line(const ServiceNumbers& numbers);

// As a word for the manager: one line of UTF-8 with a limit and without control characters, of whatever text.
std::string status_words(std::string_view text);
// Asks for kExtension.
std::string extension_words();

class ServiceNotices {
 public:
  static constexpr common::Duration kStatusInterval = std::chrono::seconds(1);
  // The manager ignores a message of more than 4,096 bytes (PIPE_BUF), and with it the READY=1 beside the status.
  static constexpr std::size_t kStatusBytesMax = 1024;
  static constexpr common::Duration kExtensionInterval = std::chrono::seconds(5);
  static constexpr common::Duration kExtension = std::chrono::seconds(20);

  explicit ServiceNotices(std::optional<common::Duration> watchdog) : watchdog_(watchdog) {}

  // Words to send now; empty = none.
  std::string look(const ServiceSituation& situation, common::TimePoint now);
  std::optional<common::TimePoint> pinged_at() const { return pinged_at_; }  // the last time
  // When to look again at the latest.
  std::optional<common::TimePoint> next_deadline() const;

 private:
  using Stage = ServiceSituation::Stage;
  bool is_news(Stage stage) const;
  void tell_stage(Stage stage, common::TimePoint now, std::string& words);
  bool may_extend() const;

  std::optional<common::Duration> watchdog_;
  Stage told_ = Stage::kStarting;
  std::uint64_t reloads_ = 0;
  std::string status_;
  std::optional<common::TimePoint> look_again_at_;
  common::TimePoint status_at_ = common::TimePoint::min();
  common::TimePoint extend_at_ = common::TimePoint::min();
  common::TimePoint ping_at_ = common::TimePoint::min();
  std::optional<common::TimePoint> pinged_at_;
};

}  // namespace master
