// Master: the process that stays; it turns Supervision's decisions into forks, signals and messages, in one loop.
//
// Small on purpose: it never runs application code, never blocks, and after READY no outside fact ends it but a crash
// loop. One thread.
#pragma once

#include <sys/signalfd.h>
#include <sys/types.h>

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/channel.h"
#include "common/config.h"
#include "common/scoreboard.h"
#include "common/unique_fd.h"
#include "master/ask_desk.h"
#include "master/control_api.h"
#include "master/control_server.h"
#include "master/inspector.h"
#include "master/listeners.h"
#include "master/open_files_rule.h"
#include "master/poller.h"
#include "master/recycle_reports.h"
#include "master/sampler.h"
#include "master/supervision.h"
#include "master/worker_table.h"

namespace master {

// Becomes the template process; called in a forked child, never returns. The composition root supplies it, so that
// this room knows nothing of workers.
using TemplateMain = std::function<void(common::Channel channel, std::uint32_t generation)>;

// OWNERSHIP: the references outlive the master.
struct MasterParts {
  const common::Config& config;  // workers.count is a number
  common::Scoreboard& scoreboard;
  Listeners& listeners;
  ControlSocket& control;
  OpenFilesPlan open_files;
  ConnectionBudget budget;  // per worker
  TemplateMain template_main;
};

// Blocks the signals the master reads from a descriptor. Before anything else, so that none is lost.
void block_master_signals();

class Master final : public ServiceView, public ServiceOrders {
 public:
  explicit Master(MasterParts parts);

  // Returns the exit code of the program.
  common::Result<int> run();

  // ServiceView
  Json status(common::TimePoint now) const override;
  // ServiceOrders
  bool recycle(SlotIndex slot) override;
  void scale(std::uint32_t workers) override;
  void stop(StopKind kind) override;
  ControlOutcome inspect(std::optional<SlotIndex> slot, ClientToken client) override;
  ControlOutcome close_fd(SlotIndex slot, int fd, CloseHow how, ClientToken client) override;

 private:
  common::Result<void> set_up();
  void turn();
  void feed(const Event& event);
  void on_signals();
  void on_signal(int signal);
  void reap_children();
  void on_child_ended(pid_t pid, int wait_status);
  void on_template_ended(int wait_status);
  void on_worker_ended(WorkerEntry& entry, int wait_status);

  void read_template_channel();
  void on_template_message(const common::Message& message);
  void read_worker_channel(WorkerId id);
  void on_forked(const common::Message& message);

  void execute(const Action& action);
  void on_note(const action::Note& note);
  void start_template();
  void stop_template(int signal);
  void spawn(const action::Spawn& spawn);
  void drain(WorkerId id);
  void kill_worker(const action::Kill& kill);
  void forget(WorkerId id);
  void tell_owner(SlotIndex slot);
  void report_ready();
  void open_slot(SlotIndex slot);

  void sample_workers(common::TimePoint now);
  void act_on(Finding finding);
  void shut_down(WorkerId id, std::vector<CloseWaitSocket> sockets);
  WorkerId serving_in(SlotIndex slot) const;
  ControlOutcome inspect(std::optional<SlotIndex> slot, const std::vector<WorkerId>& wanted,
                         const std::vector<std::uint64_t>& stack, ClientToken client);

  MasterParts parts_;
  Supervision supervision_;
  WorkerTable workers_;
  Poller poller_;
  AskDesk desk_;
  Inspector inspector_;
  RecycleReports reports_;
  Sampler sampler_;
  ControlApi api_;
  std::optional<ControlServer> control_;
  common::UniqueFd signals_;

  std::uint32_t generation_ = 1;
  pid_t template_pid_ = 0;  // 0 = none
  common::Channel template_channel_;
  TemplatePhase template_phase_ = TemplatePhase::kLoading;
  std::optional<LastWords> template_last_words_;

  // Ends of processes that were not known yet: the word of a fork can come after the end of what was forked.
  std::array<std::pair<pid_t, int>, 64> strangers_{};
  std::size_t strangers_next_ = 0;

  std::deque<Event> pending_;  // results of actions; told after the step that wanted them
  common::TimePoint started_at_{};
  common::TimePoint next_sample_{};
  std::optional<action::Finish> finish_;
};

}  // namespace master
