// Master: the execution of actions; each is thin, and what it learns becomes an event.
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>

#include "common/check.h"
#include "common/log.h"
#include "master/fd_replies.h"
#include "master/master.h"
#include "master/notes.h"

namespace master {
namespace {

// A worker that has to drain waits so long for its report: the time it has for draining goes on meanwhile.
constexpr common::Duration kReportPatience = std::chrono::seconds(2);

template <typename... Handlers>
struct Overloaded : Handlers... {
  using Handlers::operator()...;
};

}  // namespace

void Master::execute(const Action& action) {
  std::visit(Overloaded{
                 [this](const action::StartTemplate&) { start_template(); },
                 [this](const action::StopTemplate& stop) { stop_template(stop.signal); },
                 [this](const action::Spawn& order) { spawn(order); },
                 [this](const action::Drain& order) {
                   if (supervision_.phase() >= Phase::kStopGraceful) return drain(order.worker);
                   const auto patience = std::min(kReportPatience, parts_.config.workers.stop_timeout / 4);
                   reports_.drain(order.worker, patience, common::Clock::now());
                 },
                 [this](const action::Kill& order) { kill_worker(order); },
                 [this](const action::Forget& order) { forget(order.worker); },
                 [this](const action::OpenSlot& order) { open_slot(order.slot); },
                 [this](const action::CloseSlot& order) { parts_.listeners.close_slot(order.slot); },
                 [this](const action::ReportReady&) { report_ready(); },
                 [this](const action::Note& note) { on_note(note); },
                 [this](const action::Finish& finish) { finish_ = finish; },
             },
             action);
}

void Master::on_note(const action::Note& note) {
  log_note(note);
  if (note.kind != NoteKind::kReplacementQueued || !note.reason) return;
  reports_.begin(note.worker, *note.reason, generation_, common::Clock::now());
}

void Master::start_template() {
  auto channel = common::Channel::create_pair();
  const pid_t pid = channel ? fork() : -1;
  if (pid == 0) {
    // The parent's end, like all else that is the master's, is closed by the template itself.
    parts_.template_main(std::move(channel->second), generation_);
    _exit(1);
  }
  template_phase_ = TemplatePhase::kLoading;
  template_last_words_.reset();
  if (pid < 0) {
    const std::string reason = channel ? "fork: " + common::errno_text(errno) : channel.error().message;
    pending_.push_back(event::TemplateLost{.phase = TemplatePhase::kLoading, .reason = reason});
    return;
  }
  template_pid_ = pid;
  template_channel_ = std::move(channel->first);
  if (poller_.watch(template_channel_.fd(), EPOLLIN)) return;
  stop_template(SIGKILL);  // deaf to it we cannot go on; waitpid tells the rest
  template_channel_ = common::Channel();
}

void Master::stop_template(int signal) {
  if (template_pid_ > 0) kill(template_pid_, signal);  // not reaped yet, so the pid is still its own
}

void Master::spawn(const action::Spawn& order) {
  const auto fail = [&](std::string reason) {
    pending_.push_back(event::SpawnFailed{order.worker, std::move(reason)});
    forget(order.worker);
  };
  // Whoever ended while no fork was pending was no worker; its number may be the next worker's.
  if (workers_.find_pid(0) == nullptr) strangers_.fill({});
  auto channel = common::Channel::create_pair();
  if (!channel) return fail(channel.error().message);
  // Room for all that any limit allows: somebody may raise the worker's later. It is sparse.
  auto memory = common::WorkerMemory::create(common::kOpenFilesCap);
  if (!memory) return fail(memory.error().message);
  WorkerEntry* entry = workers_.add(order.worker, order.slot, std::move(channel->first), parts_.config.recycle);
  if (entry == nullptr) return fail("every scoreboard record is taken: too many workers are still draining");
  if (auto watched = poller_.watch(entry->channel.fd(), EPOLLIN); !watched) {
    entry->channel = common::Channel();  // forget() takes back only what is watched
    return fail(watched.error().message);
  }

  common::Message fork_worker;
  fork_worker.type = common::MessageType::kForkWorker;
  fork_worker.worker = order.worker;
  fork_worker.slot = order.slot;
  fork_worker.generation = generation_;
  fork_worker.record = entry->record;
  entry->memory = std::move(memory->memory);
  const std::array<int, 2> given = {channel->second.fd(), memory->fd.get()};
  if (!template_channel_) return fail("the template is gone");
  if (auto sent = template_channel_.send(fork_worker, given); !sent) fail(sent.error().message);
}

void Master::drain(WorkerId id) {
  common::Message message;
  message.type = common::MessageType::kDrain;
  const WorkerEntry* entry = workers_.find(id);
  if (entry == nullptr || (entry->channel && entry->channel.send(message))) return;
  if (entry->pid > 0) kill(entry->pid, SIGTERM);  // its channel is broken; TERM says the same
}

void Master::kill_worker(const action::Kill& order) {
  const WorkerEntry* entry = workers_.find(order.worker);
  if (entry == nullptr || entry->pid <= 0) return;
  // A worker drains on TERM, as a systemd unit may send it to the whole group; QUIT is its word for "at once".
  kill(entry->pid, order.signal == SIGTERM ? SIGQUIT : order.signal);
}

void Master::forget(WorkerId id) {
  WorkerEntry* entry = workers_.find(id);
  if (entry == nullptr) return;
  const SlotIndex slot = entry->slot;
  if (entry->channel) poller_.forget(entry->channel.fd());
  reports_.on_worker_ended(id, workers_.gauges(*entry).left_open_fds.load(std::memory_order_relaxed));
  workers_.remove(id);
  tell_owner(slot);
}

// A worker that is alone in its slot may wait for connections exclusively.
void Master::tell_owner(SlotIndex slot) {
  WorkerEntry* owner = workers_.find_alone(slot);
  if (owner == nullptr || owner->progress != WorkerEntry::Progress::kReady || !owner->channel) return;
  common::Message message;
  message.type = common::MessageType::kOwnSlot;
  if (owner->channel.send(message)) owner->progress = WorkerEntry::Progress::kOwnsSlot;
}

void Master::open_slot(SlotIndex slot) {
  if (auto opened = parts_.listeners.open_slot(slot); !opened) {
    pending_.push_back(event::SlotOpenFailed{.slot = slot, .reason = opened.error().message});
    return;
  }
  pending_.push_back(event::SlotOpened{slot});
}

void Master::report_ready() {
  std::string addresses;
  for (const ListenerView& listener : parts_.listeners.views()) {
    addresses += (addresses.empty() ? "" : ", ") + listener.address;
  }
  common::log(common::LogLevel::kInfo, "ready",
              {{"workers", supervision_.workers_ready()}, {"listen", addresses}, {"pid", getpid()}});
}

// ---- descriptors

void Master::act_on(Finding finding) {
  WorkerEntry* entry = workers_.find(finding.worker);
  if (entry == nullptr) return;
  switch (finding.kind) {
    case Finding::Kind::kRecycle:
      reports_.remember(finding.worker, finding.decision);
      return feed(
          event::RecycleAsked{.slot = finding.slot, .worker = finding.worker, .reason = finding.decision.reason});
    case Finding::Kind::kKill: kill(entry->pid, SIGKILL); return;
    case Finding::Kind::kReport: return reports_.report(finding.worker, generation_);
    case Finding::Kind::kShutdown: return shut_down(finding.worker, std::move(finding.sockets));
  }
}

// One after the other: a worker answers one question at a time.
void Master::shut_down(WorkerId id, std::vector<CloseWaitSocket> sockets) {
  const WorkerEntry* entry = workers_.find(id);
  if (entry == nullptr || !entry->memory || desk_.is_asking(id)) return;
  while (!sockets.empty()) {
    const CloseWaitSocket socket = sockets.back();
    sockets.pop_back();
    if (!is_still(entry->pid, socket)) continue;
    [[maybe_unused]] const auto asked = desk_.ask(
        id, entry->pid, entry->memory.ask(), common::Ask::kShutdownFd, socket.fd,
        [this, id, rest = std::move(sockets)](const common::Result<AskAnswer>& answer) mutable {
          if (answer) shut_down(id, std::move(rest));
        },
        common::Clock::now());
    return;
  }
}

// The worker that serves in `slot`; kNoWorker if there is none at the moment.
WorkerId Master::serving_in(SlotIndex slot) const {
  for (const WorkerView& view : supervision_.workers()) {
    if (view.slot == slot && view.state == VisibleState::kReady) return view.worker;
  }
  return kNoWorker;
}

// Of one worker whose loop does not turn the reader wants to know where it is, too.
ControlOutcome Master::inspect(std::optional<SlotIndex> slot, ClientToken client) {
  const WorkerId chosen = slot ? serving_in(*slot) : kNoWorker;
  std::vector<WorkerId> wanted;
  for (const WorkerView& view : supervision_.workers()) {
    if (view.worker != kNoWorker && (!slot || view.worker == chosen)) wanted.push_back(view.worker);
  }
  if (slot && wanted.empty()) return no_worker_reply(*slot, supervision_.open_slots());
  const WorkerEntry* entry = slot ? workers_.find(wanted.front()) : nullptr;
  const auto now = common::Clock::now();
  if (entry != nullptr && entry->memory && workers_.is_stuck(*entry, now)) {
    const auto asked = desk_.ask(
        entry->id, entry->pid, entry->memory.ask(), common::Ask::kStack, -1,
        [this, slot, client, wanted](const common::Result<AskAnswer>& answer) {
          auto outcome = inspect(slot, wanted, answer ? answer->frames : std::vector<std::uint64_t>{}, client);
          if (auto* refused = std::get_if<ControlReply>(&outcome)) {
            control_->reply(client, *refused, common::Clock::now());
          }
        },
        now);
    if (asked) return Deferred{};
  }
  return inspect(slot, wanted, {}, client);
}

ControlOutcome Master::inspect(std::optional<SlotIndex> slot, const std::vector<WorkerId>& wanted,
                               const std::vector<std::uint64_t>& stack, ClientToken client) {
  const auto reply = [slot](const common::Result<common::Json>& reports) {
    return slot ? slot_fds_reply(*slot, reports) : fds_reply(reports);
  };
  const auto submitted =
      inspector_.submit([this, wanted, stack] { return inspection_orders(workers_, wanted, generation_, stack); },
                        Inspector::Listing::kAll,
                        [this, reply, client](const common::Result<common::Json>& reports) {
                          control_->reply(client, reply(reports), common::Clock::now());
                        });
  if (!submitted) return reply(std::unexpected(submitted.error()));
  return Deferred{};
}

ControlOutcome Master::close_fd(SlotIndex slot, int fd, CloseHow how, ClientToken client) {
  const WorkerId id = serving_in(slot);
  WorkerEntry* entry = workers_.find(id);
  if (entry == nullptr || entry->pid <= 0 || !entry->memory) return no_worker_reply(slot, supervision_.open_slots());
  if (auto refused = refuse_close(slot, fd, entry->memory.ledger().read(fd))) return *refused;
  const auto asked = desk_.ask(
      id, entry->pid, entry->memory.ask(), how == CloseHow::kClose ? common::Ask::kCloseFd : common::Ask::kShutdownFd,
      fd,
      [this, slot, fd, how, client](const common::Result<AskAnswer>& answer) {
        common::Result<int> errnum = answer ? common::Result<int>(answer->errnum) : std::unexpected(answer.error());
        control_->reply(client, close_reply(slot, fd, how, errnum), common::Clock::now());
      },
      common::Clock::now());
  if (asked) return Deferred{};
  return close_reply(slot, fd, how, std::unexpected(asked.error()));
}

}  // namespace master
