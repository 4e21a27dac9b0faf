// Master: upgrades, the image that leaves and the image that comes.
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>

#include "common/config_print.h"
#include "common/log.h"
#include "master/exit_status.h"
#include "master/master.h"

namespace master {
namespace {

constexpr std::size_t kWordsMax = 4096;  // bytes that are read of what a check says

std::string first_line(std::string_view text) { return std::string(text.substr(0, text.find('\n'))); }

// Lives, or waits for us to hear of its end.
bool is_our_child(pid_t pid) {
  siginfo_t info{};
  return waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | WNOWAIT) == 0 || errno != ECHILD;
}

}  // namespace

// What could not be told to another image; "" = nothing.
std::string Master::unrest() const {
  if (std::string why = supervision_.unrest(); !why.empty()) return why;
  if (reload_.is_under_way() || parts_.listeners.any_retiring()) return "a reload is under way";
  if (inspector_.next_deadline() || desk_.next_deadline()) return "a worker is being looked at";
  if (!control_->is_quiet()) return "a client of the control socket has not got its answer";
  return "";
}

void Master::ask_upgrade() {
  if (upgrade_.state() != UpgradeDesk::State::kIdle) return;  // that one will do
  const common::WorkerSettings& workers = active_.config.workers;
  common::log(common::LogLevel::kInfo, common::LogEvent::kUpgradeStarted, "upgrade begins",
              {{"program", parts_.program.path}});
  upgrade_.ask(common::Clock::now(), workers.start_timeout + workers.stop_timeout);
}

// Once a turn, after whatever was heard in it.
void Master::go_on_upgrading(common::TimePoint now) {
  if (upgrade_.state() == UpgradeDesk::State::kIdle) return;
  if (supervision_.phase() >= Phase::kStopDelayed) return end_upgrade("the service stops");
  const bool is_checking = upgrade_.state() == UpgradeDesk::State::kChecking;
  const std::string why = is_checking ? "" : unrest();
  if (upgrade_.is_late(now)) {
    return end_upgrade(is_checking ? "the new program did not say whether it can take over" : "waited in vain: " + why);
  }
  if (is_checking || !why.empty()) return;
  const Handover handover = hand_over();
  const auto state = write_handover(handover);
  if (!state) return end_upgrade(state.error().message);
  if (upgrade_.state() == UpgradeDesk::State::kReady) {
    return end_upgrade(exec_program(parts_.program, state->get(), handover.descriptors()).message);
  }
  auto check = start_check(parts_.program, state->get(), handover.descriptors());
  if (!check) return end_upgrade(check.error().message);
  check_output_ = std::move(check->output);
  upgrade_.begin_check(check->pid, now);
}

void Master::on_check_ended(int wait_status) {
  std::array<char, kWordsMax> words{};
  const ssize_t count = read(check_output_.get(), words.data(), words.size());
  check_output_.reset();
  const std::string_view said(words.data(), count > 0 ? static_cast<std::size_t>(count) : 0);
  if (wait_status == 0 && said == kCheckPassed) return upgrade_.pass();
  const std::string why = said.empty() ? describe_wait_status(wait_status) : first_line(said);
  end_upgrade(parts_.program.path + " cannot take over: " + why);
}

void Master::end_upgrade(const std::string& error) {
  common::log(common::LogLevel::kError, common::LogEvent::kUpgradeRefused,
              "upgrade refused, everything stays as it was", {{"reason", error}});
  if (upgrade_.pid() > 0) ::kill(upgrade_.pid(), SIGKILL);  // ours, and not waited for yet
  check_output_.reset();
  upgrade_.end(error);
}

Handover Master::hand_over() const {
  Handover it{.app_path = active_.config.app_path,
              .config = common::print_config(active_.config),
              .open_files_soft = parts_.open_files.soft,
              .open_files_hard = parts_.open_files.hard,
              .started_at = started_at_,
              .upgrades = upgrade_.count() + 1,
              .last_generation = last_generation_,
              .supervision = supervision_.state(),
              .scoreboard = parts_.scoreboard.fd(),
              .slots = supervision_.open_slots(),
              .listeners = parts_.listeners.hand_over(),
              .control = parts_.control.fd(),
              .control_path = parts_.control.owned_path(),
              .control_clients = control_->hand_over(),
              .inherited = parts_.inherited,
              .stored = {parts_.service.stored().begin(), parts_.service.stored().end()},
              .counter_page = parts_.service.counter_page(),
              .served = workers_.counted(),
              .reload_error = reload_.last_error(),
              .recycles = reports_.to_json(),
              .crashes = crashes_.to_json()};
  for (const ServingWorker& serving : it.supervision.workers) {
    const WorkerEntry& entry = *workers_.find(serving.id);
    it.workers.push_back({.serving = serving,
                          .record = entry.record,
                          .channel = entry.channel.fd(),
                          .memory = entry.memory_fd.get(),
                          .owns_slot = entry.progress == WorkerEntry::Progress::kOwnsSlot,
                          .counted = entry.counted});
  }
  for (const auto& [generation, entry] : templates_) {
    if (entry.channel && it.supervision.its_template == TemplatePresence::kReady) {
      it.its_template = HandedTemplate{.pid = entry.pid, .channel = entry.channel.fd()};
    }
  }
  return it;
}

// Deaf to a process we cannot look after it; its end is told by waitpid(2), and somebody else takes its place.
void Master::listen_to(common::Channel& channel, pid_t pid) {
  if (channel && poller_.watch(channel.fd(), EPOLLIN)) return;
  channel = common::Channel();
  if (is_our_child(pid)) ::kill(pid, SIGKILL);
}

// A program on the way to this one, a shell with a script for example, waits for all children when it waits for its
// own. Their ends are told to nobody then, and how they were is not known.
void Master::notice_lost_children() {
  constexpr int kLost = SIGKILL;
  std::vector<WorkerId> lost;
  for (const auto& [id, entry] : workers_) {
    if (entry.pid > 0 && !is_our_child(entry.pid)) lost.push_back(id);
  }
  for (const WorkerId id : lost) on_worker_ended(*workers_.find(id), kLost);
  TemplateEntry* const its = templates_.find(supervision_.generation());
  if (its != nullptr && !is_our_child(its->pid)) on_template_ended(*its, kLost);
}

void Master::resume(Predecessor before) {
  const Handover& it = before.handover;
  const Generation generation = it.supervision.generation;
  started_at_ = it.started_at;
  last_generation_ = it.last_generation;
  reload_.resume(it.reload_error);
  reports_.resume(it.recycles);
  crashes_.resume(it.crashes);
  upgrade_.resume(it.upgrades);
  SupervisionState state = it.supervision;
  for (std::size_t i = 0; i < it.workers.size(); ++i) {
    const HandedWorker& handed = it.workers[i];
    state.workers.push_back(handed.serving);
    WorkerEntry& entry = workers_.resume(handed.serving.id, handed.record, active_.config.recycle);
    entry.slot = handed.serving.slot;
    entry.generation = generation;
    entry.pid = handed.serving.pid;
    entry.counted = handed.counted;
    entry.channel = common::Channel(common::UniqueFd(handed.channel));
    entry.memory = std::move(before.memories[i]);
    entry.memory_fd = common::UniqueFd(handed.memory);
    entry.progress = handed.owns_slot ? WorkerEntry::Progress::kOwnsSlot : WorkerEntry::Progress::kReady;
    listen_to(entry.channel, entry.pid);
    if (!entry.memory && is_our_child(entry.pid)) ::kill(entry.pid, SIGKILL);
  }
  if (const auto& its = it.its_template) {
    TemplateEntry& entry = templates_.add(generation, its->pid, common::Channel(common::UniqueFd(its->channel)));
    entry.phase = TemplatePhase::kLoaded;
    listen_to(entry.channel, entry.pid);
  }
  const auto now = common::Clock::now();
  for (const int client : it.control_clients) control_->resume(common::UniqueFd(client), now);
  Actions actions;
  supervision_.resume(state, now, actions);
  perform(actions);
  notice_lost_children();
  reap_children();  // SIGCHLD may have come, and been forgotten, before anybody read it: signal(2) does that
  for (SlotIndex slot = 0; slot < state.wanted; ++slot) tell_owner(slot);
  common::log(common::LogLevel::kInfo, common::LogEvent::kUpgradeDone, "upgraded",
              {{"workers", state.workers.size()}, {"upgrades", it.upgrades}, {"program", parts_.program.path}});
}

}  // namespace master
