// RecycleHistory: the last workers that were recycled, and why: what each of them had open. Pure.
//
// The reports come from the inspector (master/inspection.h), which was told much by the application: what is kept of
// them is bounded, because it is kept for long and is part of every `status`.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>

#include "common/json.h"
#include "master/recycle_reason.h"
#include "master/worker_id.h"

namespace master {

struct RecycleBeginning {
  std::chrono::system_clock::time_point at{};  // wall time, for people
  WorkerId worker = kNoWorker;
  SlotIndex slot = 0;
  pid_t pid = 0;
  std::uint32_t generation = 0;
  RecycleReason reason = RecycleReason::kManual;
  // What was measured and the limit it reached: descriptors, requests, bytes, or seconds. 0 = nothing was.
  double measured = 0;
  double limit = 0;
};

class RecycleHistory {
 public:
  static constexpr std::size_t kEntriesMax = 16;   // one more, and the oldest is forgotten
  static constexpr std::size_t kGroupsMax = 10;    // of a report; the application's, worst first
  static constexpr std::size_t kItemsMax = 16;     // of each list in a report
  static constexpr std::size_t kTextMax = 400;     // bytes of each text in a report

  // A worker whose recycling was tried before (and put off) has one entry, the newest.
  void begin(const RecycleBeginning& beginning);
  // A worker without an entry has been forgotten in the meantime: nothing happens.
  void attach(WorkerId worker, const common::Json& report);
  void complete(WorkerId worker, std::uint64_t left_open);  // descriptors the application had not closed at the end

  // What to_json() of another one said: older than all that begins here.
  void resume(common::Json earlier) { earlier_ = std::move(earlier); }

  // Newest first: [{"at": "2026-11-21T07:30:00Z", "slot", "pid", "generation", "reason", "measured", "limit",
  //   "groups": [...] or null as long as there is no report, "spinning", "stack", "left_open": number or null}]
  common::Json to_json() const;

 private:
  struct Entry {
    RecycleBeginning beginning;
    common::Json groups;  // null, or an array
    common::Json spinning;
    common::Json stack;
    std::optional<std::uint64_t> left_open;
  };
  Entry* find(WorkerId worker);

  std::deque<Entry> entries_;  // newest first
  common::Json earlier_ = common::Json::array();
};

inline constexpr std::size_t kLeakLinesMax = 100;  // for logs whose records have many lines
inline constexpr std::size_t kLeakTextMax = 3000;  // bytes in a log line, which has PIPE_BUF (4096) for all of it

// "312 x TCP CLOSE_WAIT ...; 3 x ...; and 2 more groups": the application's groups that grew or were there, worst
// first, at most kLeakTextMax bytes also when each quote and backslash is escaped. "none" if there are none.
std::string leak_text(const common::Json& report);
// The same groups, each a line, and one more if there are more than kLeakLinesMax; empty if there are none.
std::vector<std::string> leak_lines(const common::Json& report);

}  // namespace master
