// Master: the process that stays; it turns Supervision's decisions into forks, signals and messages, in one loop.
//
// Small on purpose: it never runs application code, never blocks, and after READY no outside fact ends it but a crash
// loop. One thread.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "common/channel.h"
#include "common/config.h"
#include "common/scoreboard.h"
#include "common/unique_fd.h"
#include "master/ask_desk.h"
#include "master/control_api.h"
#include "master/control_server.h"
#include "master/crash_reports.h"
#include "master/inspector.h"
#include "master/listeners.h"
#include "master/load_follower.h"
#include "master/master_parts.h"
#include "master/open_files_rule.h"
#include "master/poller.h"
#include "master/recycle_reports.h"
#include "master/reload_desk.h"
#include "master/sampler.h"
#include "master/strangers.h"
#include "master/supervision.h"
#include "master/sweep_watch.h"
#include "master/template_table.h"
#include "master/upgrade_desk.h"
#include "master/worker_table.h"

namespace master {

// Blocks the signals the master reads from a descriptor. Before anything else, so that none is lost.
void block_master_signals();

class Master final : public ServiceView, public ServiceOrders {
 public:
  explicit Master(MasterParts parts);

  common::Result<int> run();  // the exit code of the program

  Json status(common::TimePoint now) const override;  // for ServiceView; the next ones for ServiceOrders
  bool recycle(SlotIndex slot) override;
  common::Result<std::uint32_t> scale(std::uint32_t workers) override;
  void stop(StopKind kind) override;
  ControlOutcome reload(ClientToken client) override;
  ControlOutcome inspect(std::optional<SlotIndex> slot, ClientToken client) override;
  ControlOutcome close_fd(SlotIndex slot, int fd, CloseHow how, ClientToken client) override;

 private:
  common::Result<void> set_up();
  void turn();
  void feed(const Event& event);
  void tell_pending();
  void perform(const Actions& actions);
  void on_signals();
  void on_signal(int signal);
  void reap_children();
  void on_child_ended(pid_t pid, int wait_status);
  void on_template_ended(TemplateEntry& entry, int wait_status);
  void on_worker_ended(WorkerEntry& entry, int wait_status);

  void read_template_channel(TemplateEntry& entry);
  void on_template_message(TemplateEntry& entry, const common::Message& message);
  void read_worker_channel(WorkerId id);
  void on_forked(const common::Message& message);

  void execute(const Action& action);
  void on_note(const action::Note& note);
  void start_template(Generation generation);
  void stop_template(const action::StopTemplate& stop);
  void spawn(const action::Spawn& spawn);
  void drain(WorkerId id, Queue queue = Queue::kLeave);
  void kill_worker(const action::Kill& kill);
  void forget(WorkerId id);
  void tell_owner(SlotIndex slot);
  void report_ready();
  void ask_upgrade();
  void go_on_upgrading(common::TimePoint now);
  void on_check_ended(int wait_status);
  void end_upgrade(const std::string& error);
  std::string unrest() const;
  Handover hand_over() const;
  void listen_to(common::Channel& channel, pid_t pid);
  void notice_lost_children();
  void resume(Predecessor before);
  void begin_reload();
  common::Result<GenerationParts> prepare_reload();
  void commit_reload();
  void end_reload(const action::EndReload& end);
  void end_reload(Generation generation, const std::string& error);
  bool old_workers_accept() const;
  bool prepare_workers(TemplateEntry& entry);
  const GenerationParts& parts_of(Generation generation) const;
  AddressSet addresses_of(Generation generation) const;
  void open_slot(SlotIndex slot);
  void close_slot(SlotIndex slot);
  bool takes_clients(const WorkerView& view) const;
  void hand_on(std::vector<common::UniqueFd> clients);

  void sample_workers(common::TimePoint now);
  void follow_load(const std::vector<WorkerView>& views, common::TimePoint now);
  void sweep_addresses(common::TimePoint now);
  void steer(const std::vector<WorkerView>& views, common::TimePoint now);
  void act_on(Finding finding);
  void shut_down(WorkerId id, std::vector<CloseWaitSocket> sockets);
  WorkerId serving_in(SlotIndex slot) const;
  ControlOutcome inspect(std::optional<SlotIndex> slot, const std::vector<WorkerId>& wanted,
                         const std::vector<std::uint64_t>& stack, ClientToken client);

  MasterParts parts_;
  GenerationParts active_;  // of the generation that serves; its config is referred to, and changed in place
  Supervision supervision_;
  WorkerTable workers_;
  Poller poller_;
  SweepWatch sweep_;
  AskDesk desk_;
  Inspector inspector_;
  RecycleReports reports_;
  CrashReports crashes_;
  Sampler sampler_;
  LoadFollower follower_;
  ControlApi api_;
  std::optional<ControlServer> control_;
  common::UniqueFd signals_;

  TemplateTable templates_;
  ReloadDesk reload_;
  UpgradeDesk upgrade_;
  common::UniqueFd check_output_;  // while the new program is checked
  Generation last_generation_ = kFirstGeneration;  // ever tried
  std::optional<Settling> settling_;
  Strangers strangers_;
  std::string slot_refusal_;   // why the last slot that could not be opened could not
  std::deque<Event> pending_;  // results of actions; told after the step that wanted them
  common::TimePoint started_at_{};
  common::TimePoint next_sample_{};
  std::size_t handed_on_ = 0;  // batches of clients
  std::optional<action::Finish> finish_;
};

}  // namespace master
