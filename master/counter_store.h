// CounterStore: has the service manager keep the totals of the service, for whichever master is started next.
//
// Where no service manager listens it does nothing. What was counted since the last write, a second of requests at
// most, is lost when the master is killed, and so is what its workers answer after it.
#pragma once

#include <chrono>
#include <optional>
#include <string_view>
#include <vector>

#include "common/clock.h"
#include "common/unique_fd.h"
#include "master/counter_page.h"
#include "master/systemd.h"

namespace master {

// In the manager's store. A listening socket's begins with another word (StoredName).
inline constexpr std::string_view kCountersName = "supervisor,counters";

// What a master begins with.
struct KeptCounters {
  // What the manager holds under kCountersName. kOther is to be removed: it is not what we write.
  enum class InStore { kNothing, kPage, kOther } in_store = InStore::kNothing;
  std::optional<CounterPage> page{};  // that of kPage
  ServiceTotals totals{};
};

// Takes what has kCountersName out of what was passed. What cannot be used is logged, and replaced later.
KeptCounters take_counters(std::vector<PassedSocket>& passed);
// From the image before this one, which has told its totals by itself. -1 = it had none.
KeptCounters resume_counters(common::UniqueFd page, const ServiceTotals& totals);

class CounterStore {
 public:
  static constexpr common::Duration kInterval = std::chrono::seconds(1);
  enum class Hurry { kNo, kLastTime };

  // OWNERSHIP: `systemd` outlives the store.
  CounterStore(Systemd& systemd, KeptCounters kept);

  // Once a turn of the loop. Restarts and recycles are written at once, requests each kInterval.
  void follow(const ServiceTotals& totals, common::TimePoint now, Hurry hurry = Hurry::kNo);
  // Requests are counted without waking anybody.
  std::optional<common::TimePoint> next_deadline() const { return next_write_; }
  // For the next image; -1 = the manager does not hold it.
  int fd() const;

 private:
  using InStore = KeptCounters::InStore;
  void give_up(const common::Error& error);

  Systemd& systemd_;
  InStore in_store_;
  std::optional<CounterPage> page_;
  ServiceTotals written_;
  bool is_broken_ = false;  // which has been logged
  std::optional<common::TimePoint> next_write_;
};

}  // namespace master
