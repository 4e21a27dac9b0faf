// Master: the execution of actions; each is thin, and what it learns becomes an event.
#include <sys/epoll.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "common/check.h"
#include "common/log.h"
#include "master/master.h"
#include "master/notes.h"

namespace master {
namespace {

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
                 [this](const action::Drain& drain) {
                   common::Message message;
                   message.type = common::MessageType::kDrain;
                   WorkerEntry* entry = workers_.find(drain.worker);
                   if (entry == nullptr || (entry->channel && entry->channel.send(message))) return;
                   if (entry->pid > 0) kill(entry->pid, SIGTERM);  // its channel is broken; TERM says the same
                 },
                 [this](const action::Kill& order) { kill_worker(order); },
                 [this](const action::Forget& order) { forget(order.worker); },
                 [this](const action::OpenSlot& order) { open_slot(order.slot); },
                 [this](const action::CloseSlot& order) { parts_.listeners.close_slot(order.slot); },
                 [this](const action::ReportReady&) { report_ready(); },
                 [](const action::Note& note) { log_note(note); },
                 [this](const action::Finish& finish) { finish_ = finish; },
             },
             action);
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
  WorkerEntry* entry = workers_.add(order.worker, order.slot, std::move(channel->first), parts_.config.recycle.samples);
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
  const int worker_end = channel->second.fd();
  if (!template_channel_) return fail("the template is gone");
  if (auto sent = template_channel_.send(fork_worker, {&worker_end, 1}); !sent) fail(sent.error().message);
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

}  // namespace master
