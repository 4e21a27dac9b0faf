// WorkerTable: the executor's side of every worker: its pid, channel, gauges and samples.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "common/channel.h"
#include "common/scoreboard.h"
#include "common/unique_fd.h"
#include "common/worker_memory.h"
#include "master/exit_status.h"
#include "master/process_sample.h"
#include "master/repeat_guard.h"
#include "master/sample_window.h"
#include "master/served.h"
#include "master/worker_id.h"

namespace master {

struct WorkerEntry {
  WorkerId id = kNoWorker;
  SlotIndex slot = 0;
  Generation generation = kFirstGeneration;
  std::uint32_t record = 0;  // in the scoreboard; freed with the entry
  pid_t pid = 0;             // 0 = not told yet
  common::Channel channel;
  common::WorkerMemory memory;
  common::UniqueFd memory_fd;  // for the next image of this program
  enum class Progress { kStarting, kReady, kOwnsSlot } progress = Progress::kStarting;
  std::optional<LastWords> last_words;
  SampleWindow window{1};
  ProcessSample sample{};             // the latest
  std::uint64_t pss_bytes = 0;        // 0 = not measured yet
  std::uint64_t open_files_soft = 0;  // as last seen; 0 = not yet
  Served counted;                     // of its gauges, in the table's counted()
  RepeatGuard told;                   // which recycle limits have been logged
  RepeatGuard told_close_wait;
  bool reported_halfway = false;      // to recycle.fds_leaked
};

class WorkerTable {
 public:
  static constexpr common::Duration kPatience = std::chrono::seconds(1);

  explicit WorkerTable(common::Scoreboard& scoreboard);

  // Null when every scoreboard record is taken by workers that do not end.
  WorkerEntry* add(WorkerId id, SlotIndex slot, common::Channel channel, const common::RecycleSettings& settings);
  // For a worker that runs already; `record` is in nobody's use, and goes on.
  WorkerEntry& resume(WorkerId id, std::uint32_t record, const common::RecycleSettings& settings);
  void remove(WorkerId id);

  WorkerEntry* find(WorkerId id);
  const WorkerEntry* find(WorkerId id) const;
  WorkerEntry* find_pid(pid_t pid);
  // The only process there is of a slot; null if there are several or none.
  WorkerEntry* find_alone(SlotIndex slot);
  const common::WorkerGauges& gauges(const WorkerEntry& entry) const { return scoreboard_.record(entry.record); }

  // What all workers have served, also those that have gone, and those of earlier masters.
  Served served() const;
  void count_served();  // with every look at the workers; between two of them a worker has limited gains
  const Served& counted() const { return counted_; }  // at the latest of these calls
  void count_from(const Served& earlier) { counted_ = earlier; }

  // Its loop has not turned for longer than that.
  bool is_stuck(const WorkerEntry& entry, common::TimePoint now, common::Duration patience = kPatience) const;

  auto begin() { return entries_.begin(); }
  auto end() { return entries_.end(); }
  auto begin() const { return entries_.begin(); }
  auto end() const { return entries_.end(); }

 private:
  Served shown(const WorkerEntry& entry) const;
  void count(WorkerEntry& entry);

  common::Scoreboard& scoreboard_;
  Served counted_;
  std::map<WorkerId, WorkerEntry> entries_;
  std::vector<std::uint32_t> free_records_;
};

}  // namespace master
