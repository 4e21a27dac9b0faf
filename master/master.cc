// Master: the loop, what it hears, and the samples it takes.
#include "master/master.h"

#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <tuple>

#include "common/check.h"
#include "common/format.h"
#include "common/log.h"
#include "master/exit_status.h"
#include "master/status_report.h"
#include "master/unprivileged_inspection.h"

namespace master {
namespace {

// Workers write what they do into memory, which wakes nobody.
constexpr common::Duration kSettlingInterval = std::chrono::milliseconds(2);

sigset_t master_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal :
       {SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2, SIGTTIN, SIGTTOU, SIGWINCH, SIGALRM, SIGCHLD}) {
    sigaddset(&set, signal);
  }
  return set;
}

}  // namespace

void block_master_signals() {
  const sigset_t set = master_signals();
  sigprocmask(SIG_BLOCK, &set, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
}

Master::Master(MasterParts parts)
    : parts_(std::move(parts)),
      active_(std::move(parts_.first)),
      supervision_(settings_of(active_.config), parts_.totals.counters),
      workers_(parts_.scoreboard),
      sweep_(poller_),
      inspector_(poller_, inspection_as(active_.privileges)),
      reports_(inspector_, desk_, workers_, [this](WorkerId worker) { drain(worker); }),
      crashes_(inspector_, active_.config.restart),
      sampler_(active_.config, parts_.open_files, workers_),
      follower_(active_.config),
      api_(*this, *this) {}

common::Result<int> Master::run() {
  if (auto done = set_up(); !done) return std::unexpected(done.error());
  if (parts_.predecessor) {
    resume(*std::exchange(parts_.predecessor, std::nullopt));
  } else {
    feed(event::Started{});
  }
  while (!finish_) turn();
  crashes_.release();
  if (!finish_->reason.empty())
    common::log(common::LogLevel::kError, common::LogEvent::kStopped, "stopped: " + finish_->reason);
  common::log(common::LogLevel::kInfo, common::LogEvent::kStopped, "stopped", {{"exit_code", finish_->exit_code}});
  return finish_->exit_code;
}

common::Result<void> Master::set_up() {
  started_at_ = common::Clock::now();
  workers_.count_from(parts_.totals.served);
  next_sample_ = started_at_ + active_.config.recycle.interval;
  // Workers are forked by the template and orphaned at once: they become ours. So do other orphans below us.
  if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0) return common::fail_errno("prctl(PR_SET_CHILD_SUBREAPER)", errno);
  const sigset_t set = master_signals();
  signals_ = common::UniqueFd(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!signals_) return common::fail_errno("signalfd", errno);
  if (auto made = poller_.open(); !made) return std::unexpected(made.error());
  if (auto watched = poller_.watch(signals_.get(), EPOLLIN); !watched) return std::unexpected(watched.error());
  auto control = ControlServer::start(parts_.control, poller_, api_);
  if (!control) return std::unexpected(control.error());
  control_.emplace(std::move(*control));
  return {};
}

void Master::turn() {
  auto now = common::Clock::now();
  auto until = std::min(next_sample_, sweep_.deadline());
  if (settling_) until = std::min(until, now + kSettlingInterval);
  if (const auto decision = supervision_.next_deadline()) until = std::min(until, *decision);
  for (const auto deadline : {control_->next_deadline(), desk_.next_deadline(), inspector_.next_deadline(),
                              reports_.next_deadline(), upgrade_.deadline(), parts_.service.next_deadline()}) {
    if (deadline) until = std::min(until, *deadline);
  }
  const auto events = poller_.wait(until, now);
  now = common::Clock::now();

  // Last words first, then ends: an exit is explained by what was said before it.
  std::vector<Generation> templates;
  for (const auto& [generation, entry] : templates_) {
    for (const PollEvent& ready : events) {
      if (ready.fd == entry.channel.fd()) templates.push_back(generation);
    }
  }
  for (const Generation generation : templates) {
    if (TemplateEntry* entry = templates_.find(generation)) read_template_channel(*entry);
  }
  std::vector<WorkerId> speaking;
  for (const auto& [id, entry] : workers_) {
    for (const PollEvent& ready : events) {
      if (ready.fd == entry.channel.fd()) speaking.push_back(id);
    }
  }
  for (const WorkerId id : speaking) read_worker_channel(id);
  for (const PollEvent& ready : events) {
    if (control_->owns(ready.fd)) control_->on_event(ready.fd, ready.events, now);
    if (inspector_.owns(ready.fd)) inspector_.on_event(ready.fd, now);
    if (sweep_.owns(ready.fd)) sweep_.on_event();
  }
  on_signals();
  reap_children();

  if (const auto decision = supervision_.next_deadline(); decision && *decision <= now) feed(event::Tick{});
  // Workers that drain hold their own copies; from when they close them, new clients are refused instead of waiting.
  if (supervision_.phase() >= Phase::kStopGraceful) {
    parts_.listeners.close_all();
    reports_.release();
  }
  if (settling_ && (settling_->until <= now || !old_workers_accept())) end_reload(settling_->generation, "");
  begin_reload();
  go_on_upgrading(now);
  control_->on_time(now);
  desk_.on_time(now);
  inspector_.on_time(now);
  reports_.on_time(now);
  if (sweep_.deadline() <= now) sweep_addresses(now);
  if (next_sample_ <= now) {
    next_sample_ = now + active_.config.recycle.interval;
    sample_workers(now);
  }
  parts_.service.tell({supervision_, workers_, parts_.listeners, reload_, active_.config.app_path}, now);
}

// Steps until the actions have no more results to tell.
void Master::feed(const Event& event) {
  pending_.push_back(event);
  if (pending_.size() > 1) return;  // called from within an action: the outermost call goes on with it
  tell_pending();
}

void Master::perform(const Actions& actions) {
  for (const Action& action : actions) execute(action);
  tell_pending();
}

void Master::tell_pending() {
  while (!pending_.empty()) {
    Actions actions;
    supervision_.step(pending_.front(), common::Clock::now(), actions);
    for (const Action& action : actions) execute(action);
    pending_.pop_front();
  }
}

// ---- signals and children

void Master::on_signals() {
  signalfd_siginfo info{};
  while (read(signals_.get(), &info, sizeof info) == sizeof info) on_signal(static_cast<int>(info.ssi_signo));
}

void Master::on_signal(int signal) {
  const std::uint32_t wanted = supervision_.workers_wanted();
  if (signal == SIGTERM) stop(StopKind::kGraceful);
  if (signal == SIGINT || signal == SIGQUIT) stop(StopKind::kQuick);
  if (signal == SIGTTIN) std::ignore = scale(wanted + 1);
  if (signal == SIGTTOU) std::ignore = scale(wanted > 1 ? wanted - 1 : 1);
  if (signal == SIGUSR1)
    common::log(common::LogLevel::kInfo, common::LogEvent::kLogReopened,
                "USR1: the log is standard error, nothing to reopen");
  if (signal == SIGHUP) reload_.ask(std::nullopt);
  if (signal == SIGUSR2) ask_upgrade();
  // CHLD: reap_children() looks at every turn. WINCH and ALRM mean nothing to us, and must not end us.
}

void Master::reap_children() {
  int wait_status = 0;
  while (true) {
    const pid_t pid = waitpid(-1, &wait_status, WNOHANG);
    if (pid <= 0) return;
    on_child_ended(pid, wait_status);
  }
}

void Master::on_child_ended(pid_t pid, int wait_status) {
  if (TemplateEntry* entry = templates_.find_pid(pid)) return on_template_ended(*entry, wait_status);
  if (inspector_.owns_pid(pid)) return inspector_.on_child_ended(wait_status);
  if (upgrade_.owns_pid(pid)) return on_check_ended(wait_status);
  if (WorkerEntry* entry = workers_.find_pid(pid)) return on_worker_ended(*entry, wait_status);
  // An orphan from below (we may be PID 1), or a worker whose fork we have not been told of yet.
  strangers_.remember(pid, wait_status);
  common::log(common::LogLevel::kDebug, common::LogEvent::kOrphanReaped, "reaped an orphan",
              {{"pid", pid}, {"end", describe_wait_status(wait_status)}});
}

void Master::on_template_ended(TemplateEntry& entry, int wait_status) {
  read_template_channel(entry);
  const std::string& app = parts_of(entry.generation).config.app_path;
  const std::string reason =
      entry.last_words ? entry.last_words->text
      : entry.phase == TemplatePhase::kLoading
          ? "the process was lost, " + describe_wait_status(wait_status) + ", while it loaded " + app
          : "the template " + describe_wait_status(wait_status);
  if (entry.channel) poller_.forget(entry.channel.fd());
  const event::TemplateLost lost{.phase = entry.phase, .reason = reason, .generation = entry.generation};
  templates_.remove(entry.generation);
  feed(lost);
}

void Master::on_worker_ended(WorkerEntry& entry, int wait_status) {
  const WorkerId id = entry.id;
  read_worker_channel(id);
  crashes_.on_worker_ended({.worker = id,
                            .slot = entry.slot,
                            .pid = entry.pid,
                            .generation = entry.generation,
                            .wait_status = wait_status,
                            .memory = &entry.memory},
                           common::Clock::now());
  const Ending ending = explain_exit(wait_status, entry.last_words);
  const std::uint64_t requests = workers_.gauges(entry).requests.load(std::memory_order_relaxed);
  feed(event::WorkerExited{.worker = id, .cause = ending.cause, .requests_served = requests, .reason = ending.reason});
  forget(id);
}

// ---- samples

void Master::sample_workers(common::TimePoint now) {
  workers_.count_served();
  const std::vector<WorkerView> views = supervision_.workers();
  const TemplateEntry* serving = templates_.find(supervision_.generation());
  const pid_t template_pid = serving == nullptr ? 0 : serving->pid;
  for (Finding& finding : sampler_.look(views, template_pid, now)) act_on(std::move(finding));
  follow_load(views, now);
  steer(views, now);
}

void Master::follow_load(const std::vector<WorkerView>& views, common::TimePoint now) {
  const std::uint32_t wanted = supervision_.workers_wanted();
  const bool is_calm = supervision_.phase() == Phase::kServing && !supervision_.rollout();
  const auto decision = follower_.look(sampler_.load_readings(views, parts_.listeners, now), wanted,
                                       is_calm ? movement_of(views, wanted) : Movement::kUnderWay);
  if (!decision) return;
  common::log(common::LogLevel::kInfo, common::LogEvent::kScaling, "scaling: " + decision->reason);
  feed(event::ScaleAsked{decision->workers});
}

// During a reload a slot's worker accepts on the addresses of its generation only.
void Master::steer(const std::vector<WorkerView>& views, common::TimePoint now) {
  std::vector<AddressSet> served(supervision_.open_slots(), AddressSet::kCurrent);
  for (const WorkerView& view : views) {
    if (view.state == VisibleState::kReady && view.slot < served.size())
      served[view.slot] = addresses_of(view.generation);
  }
  parts_.listeners.steer(sampler_.able_slots(views, supervision_.open_slots(), now), served);
}

// ---- orders

Json Master::status(common::TimePoint now) const {
  return report_status({.supervision = supervision_,
                        .workers = workers_,
                        .listeners = parts_.listeners,
                        .close_wait = sampler_.close_wait(),
                        .service = parts_.service,
                        .recycles = reports_.to_json(),
                        .crashes = crashes_.to_json(),
                        .open_files = parts_.open_files,
                        .budget = active_.budget,
                        .reload = reload_.to_json(),
                        .upgrade = upgrade_.to_json(),
                        .generation = supervision_.generation(),
                        .workers_min = active_.config.workers.count,
                        .workers_max = active_.config.workers.count_max.value_or(active_.config.workers.count),
                        .started_at = started_at_},
                       now);
}

bool Master::recycle(SlotIndex slot) {
  for (const WorkerView& view : supervision_.workers()) {
    if (view.slot != slot || view.state != VisibleState::kReady) continue;
    feed(event::RecycleAsked{.slot = slot, .worker = kNoWorker, .reason = RecycleReason::kManual});
    return true;
  }
  return false;
}

common::Result<std::uint32_t> Master::scale(std::uint32_t workers) {
  if (supervision_.phase() >= Phase::kStopGraceful) return common::fail("the service stops");
  const std::uint32_t within = follower_.clamp(workers);
  feed(event::ScaleAsked{within});
  const std::uint32_t wanted = supervision_.workers_wanted();
  if (wanted >= within) return within;
  return common::fail(
      common::format("cannot scale to {} workers, there will be {}: {}", within, wanted, slot_refusal_));
}

void Master::stop(StopKind kind) {
  const common::Duration delay = active_.config.stop.delay;
  if (kind == StopKind::kGraceful && delay > common::Duration::zero() && supervision_.phase() == Phase::kServing) {
    common::log(common::LogLevel::kInfo, common::LogEvent::kStopDelayed,
                "stopping after stop.delay, serving on until then", {{"delay_ms", common::ceil_milliseconds(delay)}});
    return feed(event::StopAsked{kind});
  }
  common::log(common::LogLevel::kInfo, common::LogEvent::kStopping,
              kind == StopKind::kGraceful ? "stopping: workers drain" : "stopping at once");
  feed(event::StopAsked{kind});
}

}  // namespace master
