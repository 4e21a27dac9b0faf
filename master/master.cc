// Master: the loop, what it hears, and the samples it takes.
#include "master/master.h"

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "common/check.h"
#include "common/log.h"
#include "master/exit_status.h"
#include "master/status_report.h"

namespace master {
namespace {

sigset_t master_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal :
       {SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2, SIGTTIN, SIGTTOU, SIGWINCH, SIGALRM, SIGCHLD}) {
    sigaddset(&set, signal);
  }
  return set;
}

LastWords last_words_of(const common::Message& message) {
  return {.stage = message.stage, .errnum = message.errnum, .text = std::string(message.text_view())};
}

}  // namespace

void block_master_signals() {
  const sigset_t set = master_signals();
  sigprocmask(SIG_BLOCK, &set, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
}

Master::Master(MasterParts parts)
    : parts_(std::move(parts)),
      supervision_({.workers = parts_.config.workers, .restart = parts_.config.restart}),
      workers_(parts_.scoreboard),
      inspector_(poller_),
      reports_(inspector_, desk_, workers_, [this](WorkerId worker) { drain(worker); }),
      sampler_(parts_.config, parts_.open_files, workers_),
      api_(*this, *this) {}

common::Result<int> Master::run() {
  if (auto done = set_up(); !done) return std::unexpected(done.error());
  feed(event::Started{});
  while (!finish_) turn();
  if (!finish_->reason.empty()) common::log(common::LogLevel::kError, "stopped: " + finish_->reason);
  common::log(common::LogLevel::kInfo, "stopped", {{"exit_code", finish_->exit_code}});
  return finish_->exit_code;
}

common::Result<void> Master::set_up() {
  started_at_ = common::Clock::now();
  next_sample_ = started_at_ + parts_.config.recycle.interval;
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
  auto until = next_sample_;
  if (const auto decision = supervision_.next_deadline()) until = std::min(until, *decision);
  for (const auto deadline :
       {control_->next_deadline(), desk_.next_deadline(), inspector_.next_deadline(), reports_.next_deadline()}) {
    if (deadline) until = std::min(until, *deadline);
  }
  const auto events = poller_.wait(until, now);
  now = common::Clock::now();

  // Last words first, then ends: an exit is explained by what was said before it.
  for (const PollEvent& ready : events) {
    if (ready.fd == template_channel_.fd()) read_template_channel();
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
  }
  on_signals();
  reap_children();

  if (const auto decision = supervision_.next_deadline(); decision && *decision <= now) feed(event::Tick{});
  // Workers that drain hold their own copies; from when they close them, new clients are refused instead of waiting.
  if (supervision_.phase() >= Phase::kStopGraceful) {
    parts_.listeners.close_all();
    reports_.release();
  }
  control_->on_time(now);
  desk_.on_time(now);
  inspector_.on_time(now);
  reports_.on_time(now);
  if (next_sample_ <= now) {
    next_sample_ = now + parts_.config.recycle.interval;
    sample_workers(now);
  }
}

// Steps until the actions have no more results to tell.
void Master::feed(const Event& event) {
  pending_.push_back(event);
  if (pending_.size() > 1) return;  // called from within an action: the outermost call goes on with it
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
  if (signal == SIGTTIN) scale(wanted + 1);
  if (signal == SIGTTOU) scale(wanted > 1 ? wanted - 1 : 1);
  if (signal == SIGUSR1) common::log(common::LogLevel::kInfo, "USR1: the log is standard error, nothing to reopen");
  if (signal == SIGHUP || signal == SIGUSR2) {
    common::log(common::LogLevel::kWarn, "reload and upgrade are not available in this version; signal ignored",
                {{"signal", "SIG" + std::string(sigabbrev_np(signal))}});
  }
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
  if (pid == template_pid_) return on_template_ended(wait_status);
  if (inspector_.owns_pid(pid)) return inspector_.on_child_ended(wait_status);
  if (WorkerEntry* entry = workers_.find_pid(pid)) return on_worker_ended(*entry, wait_status);
  // An orphan from below (we may be PID 1), or a worker whose fork we have not been told of yet.
  strangers_[strangers_next_++ % strangers_.size()] = {pid, wait_status};
  common::log(common::LogLevel::kDebug, "reaped an orphan", {{"pid", pid}, {"end", describe_wait_status(wait_status)}});
}

void Master::on_template_ended(int wait_status) {
  read_template_channel();
  const std::string reason =
      template_last_words_ ? template_last_words_->text
      : template_phase_ == TemplatePhase::kLoading
          ? "the process was lost, " + describe_wait_status(wait_status) + ", while it loaded " + parts_.config.app_path
          : "the template " + describe_wait_status(wait_status);
  template_pid_ = 0;
  if (template_channel_) poller_.forget(template_channel_.fd());
  template_channel_ = common::Channel();
  feed(event::TemplateLost{.phase = template_phase_, .reason = reason});
}

void Master::on_worker_ended(WorkerEntry& entry, int wait_status) {
  const WorkerId id = entry.id;
  read_worker_channel(id);
  const Ending ending = explain_exit(wait_status, entry.last_words);
  const std::uint64_t requests = workers_.gauges(entry).requests.load(std::memory_order_relaxed);
  feed(event::WorkerExited{.worker = id, .cause = ending.cause, .requests_served = requests, .reason = ending.reason});
  forget(id);
}

// ---- channels

void Master::read_template_channel() {
  while (template_channel_) {
    auto received = template_channel_.receive(common::Channel::Wait::kNo);
    if (received && std::holds_alternative<common::ChannelEmpty>(*received)) return;
    if (auto* message = received ? std::get_if<common::Received>(&*received) : nullptr) {
      on_template_message(message->message);
      continue;
    }
    if (!received) {
      common::log(common::LogLevel::kError, "killing the template: " + received.error().message);
      stop_template(SIGKILL);  // it would take a closed channel for our death, and remove our socket files
    }
    // Its end is told by waitpid; until then there is nothing more to hear.
    poller_.forget(template_channel_.fd());
    template_channel_ = common::Channel();
  }
}

void Master::on_template_message(const common::Message& message) {
  switch (message.type) {
    case common::MessageType::kLoaded:
      template_phase_ = TemplatePhase::kLoaded;
      common::log(common::LogLevel::kInfo, "application loaded",
                  {{"name", message.text_view()}, {"pid", template_pid_}, {"generation", generation_}});
      return feed(event::TemplateReady{});
    case common::MessageType::kFailed: template_last_words_ = last_words_of(message); return;
    case common::MessageType::kForked: return on_forked(message);
    case common::MessageType::kForkFailed:
      feed(event::SpawnFailed{message.worker, "fork: " + common::errno_text(message.errnum)});
      return forget(message.worker);
    case common::MessageType::kForkWorker:
    case common::MessageType::kStartWorker:
    case common::MessageType::kReady:
    case common::MessageType::kOwnSlot:
    case common::MessageType::kLimits:
    case common::MessageType::kAsked:
    case common::MessageType::kDrain: return;  // not a template's to say
  }
}

void Master::on_forked(const common::Message& message) {
  WorkerEntry* entry = workers_.find(message.worker);
  if (entry == nullptr) return;
  entry->pid = message.pid;
  // Not before now: the process between has been waited for, so the worker finds us as its parent.
  common::Message start;
  start.type = common::MessageType::kStartWorker;
  start.worker = entry->id;
  const auto sent = entry->channel.send(start, parts_.listeners.sockets_of(entry->slot));
  if (!sent) {
    common::log(common::LogLevel::kWarn, "cannot hand the sockets to a worker: " + sent.error().message,
                {{"slot", entry->slot}, {"pid", entry->pid}});
  }
  feed(event::Spawned{message.worker, message.pid});
  for (auto& [pid, wait_status] : strangers_) {
    if (pid != message.pid) continue;
    pid = 0;
    if (WorkerEntry* ended = workers_.find(message.worker)) return on_worker_ended(*ended, wait_status);
  }
  // Without its sockets it would wait until workers.start_timeout. Not reaped yet, so the pid is its own.
  if (!sent && workers_.find(message.worker) != nullptr) kill(message.pid, SIGKILL);
}

void Master::read_worker_channel(WorkerId id) {
  while (WorkerEntry* entry = workers_.find(id)) {
    if (!entry->channel) return;
    auto received = entry->channel.receive(common::Channel::Wait::kNo);
    if (received && std::holds_alternative<common::ChannelEmpty>(*received)) return;
    auto* message = received ? std::get_if<common::Received>(&*received) : nullptr;
    if (message == nullptr) {
      if (!received) {
        common::log(common::LogLevel::kError,
                    "a worker's channel is broken, it has to leave: " + received.error().message,
                    {{"slot", entry->slot}, {"pid", entry->pid}});
      }
      poller_.forget(entry->channel.fd());
      entry->channel = common::Channel();
      return;
    }
    if (message->message.type == common::MessageType::kAsked) desk_.on_asked(id);
    if (message->message.type == common::MessageType::kFailed) entry->last_words = last_words_of(message->message);
    if (message->message.type == common::MessageType::kReady) {
      entry->progress = WorkerEntry::Progress::kReady;
      common::log(common::LogLevel::kInfo, "worker ready", {{"slot", entry->slot}, {"pid", entry->pid}});
      const SlotIndex slot = entry->slot;
      feed(event::WorkerReady{id, entry->pid});
      tell_owner(slot);
    }
  }
}

// ---- samples

void Master::sample_workers(common::TimePoint now) {
  const std::vector<WorkerView> views = supervision_.workers();
  for (Finding& finding : sampler_.look(views, template_pid_, now)) act_on(std::move(finding));
  parts_.listeners.steer(sampler_.able_slots(views, supervision_.open_slots(), now));
}

// ---- orders

Json Master::status(common::TimePoint now) const {
  return report_status({.supervision = supervision_,
                        .workers = workers_,
                        .listeners = parts_.listeners,
                        .close_wait = sampler_.close_wait(),
                        .recycles = reports_.to_json(),
                        .open_files = parts_.open_files,
                        .budget = parts_.budget,
                        .generation = generation_,
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

void Master::scale(std::uint32_t workers) { feed(event::ScaleAsked{workers}); }

void Master::stop(StopKind kind) {
  common::log(common::LogLevel::kInfo, kind == StopKind::kGraceful ? "stopping: workers drain" : "stopping at once");
  feed(event::StopAsked{kind});
}

}  // namespace master
