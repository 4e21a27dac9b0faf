// Master: the execution of actions; each is thin, and what it learns becomes an event.
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>

#include "common/check.h"
#include "common/log.h"
#include "master/master.h"
#include "master/notes.h"

namespace master {
namespace {

// A worker that has to drain waits so long for its report: the time it has for draining goes on meanwhile.
constexpr common::Duration kReportPatience = std::chrono::seconds(2);

// At a stop each worker goes on accepting so long, unless its queue is empty before.
constexpr std::uint32_t kLastCallMs = 200;

template <typename... Handlers>
struct Overloaded : Handlers... {
  using Handlers::operator()...;
};

}  // namespace

void Master::execute(const Action& action) {
  std::visit(Overloaded{
                 [this](const action::StartTemplate& order) { start_template(order.generation); },
                 [this](const action::StopTemplate& order) { stop_template(order); },
                 [this](const action::Spawn& order) { spawn(order); },
                 [this](const action::Drain& order) {
                   if (supervision_.phase() >= Phase::kStopGraceful || order.queue == Queue::kEmpty) {
                     return drain(order.worker, order.queue);
                   }
                   const auto patience = std::min(kReportPatience, active_.config.workers.stop_timeout / 4);
                   reports_.drain(order.worker, patience, common::Clock::now());
                 },
                 [this](const action::Kill& order) { kill_worker(order); },
                 [this](const action::Forget& order) { forget(order.worker); },
                 [this](const action::OpenSlot& order) { open_slot(order.slot); },
                 [this](const action::RetireSlot& order) {
                   parts_.listeners.retire_slot(order.slot, common::Clock::now());
                   if (parts_.listeners.needs_sweep()) sweep_.ask();
                 },
                 [this](const action::KeepSlot& order) { parts_.listeners.un_retire(order.slot); },
                 [this](const action::CloseSlot& order) { close_slot(order.slot); },
                 [this](const action::ReportReady&) { report_ready(); },
                 [this](const action::CommitReload&) { commit_reload(); },
                 [this](const action::EndReload& end) { end_reload(end); },
                 [this](const action::Note& note) { on_note(note); },
                 [this](const action::Finish& finish) { finish_ = finish; },
             },
             action);
}

void Master::on_note(const action::Note& note) {
  const WorkerEntry* const entry = workers_.find(note.worker);  // null also when it speaks of none
  log_note(note, entry != nullptr ? std::optional(entry->generation) : std::nullopt);
  if (note.kind == NoteKind::kReplacementQueued && note.reason) {
    reports_.begin(note.worker, *note.reason, common::Clock::now());
  }
}

void Master::start_template(Generation generation) {
  auto channel = common::Channel::create_pair();
  const pid_t pid = channel ? fork() : -1;
  if (pid == 0) {
    // The parent's end, like all else that is the master's, is closed by the template itself.
    parts_.template_main(std::move(channel->second), generation, parts_of(generation));
    _exit(1);
  }
  if (pid < 0) {
    const std::string reason = channel ? "fork: " + common::errno_text(errno) : channel.error().message;
    pending_.push_back(
        event::TemplateLost{.phase = TemplatePhase::kLoading, .reason = reason, .generation = generation});
    return;
  }
  TemplateEntry& entry = templates_.add(generation, pid, std::move(channel->first));
  if (poller_.watch(entry.channel.fd(), EPOLLIN)) return;
  kill(pid, SIGKILL);  // deaf to it we cannot go on; waitpid tells the rest
  entry.channel = common::Channel();
}

void Master::stop_template(const action::StopTemplate& stop) {
  const TemplateEntry* entry = templates_.find(stop.generation);
  if (entry == nullptr) return;
  // TERM may come from the service manager at the same time, and of two that are pending one is lost; QUIT is ignored
  // during a system(3) of the application.
  if (stop.signal == SIGTERM) kill(entry->pid, SIGQUIT);
  kill(entry->pid, stop.signal);  // not reaped yet, so the pid is still its own
}

void Master::spawn(const action::Spawn& order) {
  const auto fail = [&](std::string reason) {
    pending_.push_back(event::SpawnFailed{order.worker, std::move(reason)});
    forget(order.worker);
  };
  if (workers_.find_pid(0) == nullptr) strangers_.forget();
  auto channel = common::Channel::create_pair();
  if (!channel) return fail(channel.error().message);
  // Room for all that any limit allows: somebody may raise the worker's later. It is sparse.
  auto memory = common::WorkerMemory::create(common::kOpenFilesCap);
  if (!memory) return fail(memory.error().message);
  const common::RecycleSettings& recycle = parts_of(order.generation).config.recycle;
  WorkerEntry* entry = workers_.add(order.worker, order.slot, std::move(channel->first), recycle);
  if (entry == nullptr) return fail("every scoreboard record is taken: too many workers are still draining");
  if (auto watched = poller_.watch(entry->channel.fd(), EPOLLIN); !watched) {
    entry->channel = common::Channel();  // forget() takes back only what is watched
    return fail(watched.error().message);
  }

  common::Message fork_worker;
  fork_worker.type = common::MessageType::kForkWorker;
  fork_worker.worker = order.worker;
  fork_worker.slot = order.slot;
  fork_worker.generation = entry->generation = order.generation;
  fork_worker.record = entry->record;
  entry->memory = std::move(memory->memory);
  const std::array<int, 2> given = {channel->second.fd(), memory->fd.get()};
  const TemplateEntry* parent = templates_.find(order.generation);
  if (parent == nullptr || !parent->channel) return fail("the template is gone");
  if (auto sent = parent->channel.send(fork_worker, given); !sent) return fail(sent.error().message);
  entry->memory_fd = std::move(memory->fd);
}

void Master::drain(WorkerId id, Queue queue) {
  common::Message message;
  message.type = common::MessageType::kDrain;
  message.drain_queue = queue == Queue::kEmpty ? common::DrainQueue::kEmpty : common::DrainQueue::kLeave;
  if (supervision_.phase() >= Phase::kStopGraceful) {  // nobody comes after it: who has connected is served
    message.drain_queue = common::DrainQueue::kEmpty;
    message.empty_ms_max = kLastCallMs;
  }
  const WorkerEntry* entry = workers_.find(id);
  if (entry == nullptr || (entry->channel && entry->channel.send(message))) return;
  if (entry->pid > 0) kill(entry->pid, SIGTERM);  // its channel is broken; TERM says the same
}

void Master::kill_worker(const action::Kill& order) {
  const WorkerEntry* entry = workers_.find(order.worker);
  if (entry == nullptr || entry->pid <= 0) return;
  if (order.signal == SIGKILL) crashes_.expect_end(order.worker);
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
    slot_refusal_ = opened.error().message;
    pending_.push_back(event::SlotOpenFailed{.slot = slot, .reason = slot_refusal_});
    return;
  }
  pending_.push_back(event::SlotOpened{slot});
}

// Nobody accepts there any more: who has connected in the meantime is handed to the workers that are left.
void Master::close_slot(SlotIndex slot) {
  while (true) {
    auto clients = parts_.listeners.accept_queued(slot, common::kAdoptMax);
    if (clients.empty()) break;
    hand_on(std::move(clients));
  }
  parts_.listeners.close_slot(slot);
  if (parts_.listeners.needs_sweep()) sweep_.ask();
}

// Whether it does so at once: those who wait for a worker in a handler are lost with it if it never comes back.
bool Master::takes_clients(const WorkerView& view) const {
  constexpr common::Duration kHandlerPatience = std::chrono::milliseconds(100);
  const WorkerEntry* entry = workers_.find(view.worker);
  if (view.state != VisibleState::kReady || entry == nullptr || !entry->channel || !entry->channel.has_room())
    return false;
  const auto accepting = workers_.gauges(*entry).accepting.load(std::memory_order_relaxed);
  return accepting != static_cast<std::uint32_t>(common::Accepting::kStarving) &&
         !workers_.is_stuck(*entry, common::Clock::now(), kHandlerPatience);
}

// To the first worker that takes them, or any other; at most common::kAdoptMax.
void Master::hand_on(std::vector<common::UniqueFd> clients) {
  if (clients.empty()) return;
  common::Message message;
  message.type = common::MessageType::kAdopt;
  std::vector<int> fds(clients.size());
  std::ranges::transform(clients, fds.begin(), &common::UniqueFd::get);
  std::vector<WorkerView> views = supervision_.workers();
  std::ranges::rotate(
      views, views.begin() + static_cast<std::ptrdiff_t>(handed_on_++ % std::max<std::size_t>(views.size(), 1)));
  std::ranges::partition(views, [this](const WorkerView& view) { return takes_clients(view); });
  for (const WorkerView& view : views) {
    const WorkerEntry* entry = workers_.find(view.worker);
    if (view.state != VisibleState::kReady || entry == nullptr || !entry->channel) continue;
    const auto accepting = workers_.gauges(*entry).accepting.load(std::memory_order_relaxed);
    if (accepting == static_cast<std::uint32_t>(common::Accepting::kStarving)) continue;  // it could not take them
    if (entry->channel.send(message, fds)) return;
  }
  common::log(common::LogLevel::kWarn, common::LogEvent::kClientsLost,
              "nobody takes the clients that wait at a closed socket; they are reset", {{"clients", clients.size()}});
}

void Master::report_ready() {
  if (parts_.listeners.needs_sweep()) sweep_.ask();
  std::string addresses;
  for (const ListenerView& listener : parts_.listeners.views()) {
    addresses += (addresses.empty() ? "" : ", ") + listener.address;
  }
  common::log(common::LogLevel::kInfo, common::LogEvent::kReady, "ready",
              {{"workers", supervision_.workers_ready()}, {"listen", addresses}, {"pid", getpid()}});
}

}  // namespace master
