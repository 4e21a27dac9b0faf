// Inspector: runs inspections (master/inspection.h) and other dear work, each in a short-lived process of its own.
//
// An inspection reads debug information that others wrote, and takes long: so it may neither crash nor hold up the
// master. The process is forked from the master, because it has to see the workers' ledgers, and hands back JSON. One
// after the other.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/clock.h"
#include "common/json.h"
#include "common/result.h"
#include "common/unique_fd.h"
#include "master/inspection.h"
#include "master/poller.h"

namespace master {

class Inspector {
 public:
  static constexpr std::size_t kJobsMax = 64;  // that wait for their turn
  static constexpr std::size_t kReportBytesMax = std::size_t{16} << 20;  // more: first without the single descriptors
  static constexpr common::Duration kPatience = std::chrono::seconds(10);  // for one inspection, from its fork
  static constexpr common::Duration kKillPatience = std::chrono::seconds(2);  // for the end of a process we killed

  // Makes the orders when their turn has come: what is known of a worker then, and memory that is mapped then.
  using Orders = std::function<std::vector<InspectionOrder>()>;
  // Whether a report has its "descriptors": 16 MiB of them cost the master 200 ms, which a recycling need not spend.
  enum class Listing : std::uint8_t { kGroups, kAll };
  // Called once, from on_time() or on_child_ended(), never from within submit(). The array that inspect() returned.
  using Done = std::function<void(common::Result<common::Json>)>;
  // In the process of its own: an array. An exception is told as an error.
  using Work = std::function<common::Json(common::TimePoint)>;
  using Inspection = std::function<common::Json(std::span<const InspectionOrder>, common::TimePoint)>;

  // OWNERSHIP: `poller` outlives the inspector.
  explicit Inspector(Poller& poller, Inspection inspection = inspect);
  Inspector(const Inspector&) = delete;
  Inspector& operator=(const Inspector&) = delete;
  ~Inspector();  // kills its process; nobody is told

  // Begins at the next on_time(), for which next_deadline() asks. Error: too many wait, or no process can run.
  common::Result<void> submit(Orders orders, Listing listing, Done done);
  common::Result<void> submit(Work work, Done done);

  bool owns(int fd) const { return fd >= 0 && fd == pipe_.get(); }
  void on_event(int fd, common::TimePoint now);
  std::optional<common::TimePoint> next_deadline() const;
  void on_time(common::TimePoint now);
  bool owns_pid(pid_t pid) const { return pid > 0 && pid == pid_; }
  // Of a process that owns_pid() has named and that has been waited for.
  void on_child_ended(int wait_status);

 private:
  /*
   *   kIdle --a job--> kCollecting --its end: told the report, or what went wrong--> kIdle
   *     ^                  | too late, or too much: told that
   *     `---- its end -- kKilled --kKillPatience--> kStuck --its end--> kIdle
   */
  enum class State : std::uint8_t {
    kIdle,  // no process
    kCollecting,  // the process works and writes
    kKilled,  // its job is answered; its end is a matter of moments
    kStuck,  // the kernel does not let it end; jobs are refused
  };
  struct Job {
    std::function<Work()> prepare;  // when its turn has come; no work = there is nothing to look at
    Listing listing;
    Done done;
  };

  common::Result<void> enqueue(Job job);
  void start(Job job, common::TimePoint now);
  common::Result<void> fork_child(const Work& work, Listing listing, common::TimePoint now);
  [[noreturn]] static void run_child(int pipe, pid_t parent, const Work& work, Listing listing, common::TimePoint now);
  void collect();
  common::Result<common::Json> judge(int wait_status);
  void kill_child(std::string reason, int errnum, common::TimePoint now);
  void close_pipe();
  void finish(common::Result<common::Json> result);

  Poller& poller_;
  Inspection inspection_;
  std::deque<Job> jobs_;

  State state_ = State::kIdle;
  pid_t pid_ = 0;  // 0 in kIdle
  common::UniqueFd pipe_;  // while kCollecting, until its end
  std::string text_;  // what has come
  Done done_;  // of the job in kCollecting
  common::TimePoint deadline_{};  // of kCollecting and kKilled
};

}  // namespace master
