// Master: what its templates and workers say.
#include <csignal>

#include "common/log.h"
#include "master/master.h"

namespace master {
namespace {

LastWords last_words_of(const common::Message& message) {
  return {.stage = message.stage, .errnum = message.errnum, .text = std::string(message.text_view())};
}

}  // namespace

// The entry stays, whatever is read: only waitpid(2) ends it.
void Master::read_template_channel(TemplateEntry& entry) {
  while (entry.channel) {
    auto received = entry.channel.receive(common::Channel::Wait::kNo);
    if (received && std::holds_alternative<common::ChannelEmpty>(*received)) return;
    if (auto* message = received ? std::get_if<common::Received>(&*received) : nullptr) {
      on_template_message(entry, message->message);
      continue;
    }
    if (!received) {
      common::log(common::LogLevel::kError, common::LogEvent::kTemplateLost,
                  "killing the template: " + received.error().message);
      kill(entry.pid, SIGKILL);  // it would take a closed channel for our death, and remove our socket files
    }
    // Its end is told by waitpid; until then there is nothing more to hear.
    poller_.forget(entry.channel.fd());
    entry.channel = common::Channel();
  }
}

void Master::on_template_message(TemplateEntry& entry, const common::Message& message) {
  switch (message.type) {
    case common::MessageType::kLoaded:
      entry.phase = TemplatePhase::kLoaded;
      if (!prepare_workers(entry)) return;
      common::log(common::LogLevel::kInfo, common::LogEvent::kAppLoaded, "application loaded",
                  {{"name", message.text_view()}, {"pid", entry.pid}, {"generation", entry.generation}});
      return feed(event::TemplateReady{entry.generation});
    case common::MessageType::kFailed: entry.last_words = last_words_of(message); return;
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
    case common::MessageType::kAdopt:
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
  const AddressSet addresses = addresses_of(entry->generation);
  start.shared_sockets = parts_.listeners.shared_of(entry->slot, addresses);
  const auto sent = entry->channel.send(start, parts_.listeners.sockets_of(entry->slot, addresses));
  if (!sent) {
    common::log(
        common::LogLevel::kWarn, common::LogEvent::kWorkerDeaf,
        "cannot hand the sockets to a worker: " + sent.error().message,
        {{"slot", entry->slot}, {"pid", entry->pid}, common::LogField::to_filter_by("generation", entry->generation)});
  }
  feed(event::Spawned{message.worker, message.pid});
  if (const auto wait_status = strangers_.take(message.pid)) {
    if (WorkerEntry* ended = workers_.find(message.worker)) return on_worker_ended(*ended, *wait_status);
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
        common::log(common::LogLevel::kError, common::LogEvent::kWorkerDeaf,
                    "a worker's channel is broken, it has to leave: " + received.error().message,
                    {{"slot", entry->slot},
                     {"pid", entry->pid},
                     common::LogField::to_filter_by("generation", entry->generation)});
      }
      poller_.forget(entry->channel.fd());
      entry->channel = common::Channel();
      return;
    }
    if (message->message.type == common::MessageType::kAsked) desk_.on_asked(id);
    if (message->message.type == common::MessageType::kFailed) entry->last_words = last_words_of(message->message);
    if (message->message.type == common::MessageType::kReady) {
      entry->progress = WorkerEntry::Progress::kReady;
      common::log(common::LogLevel::kInfo, common::LogEvent::kWorkerReady, "worker ready",
                  {{"slot", entry->slot},
                   {"pid", entry->pid},
                   common::LogField::to_filter_by("generation", entry->generation)});
      const SlotIndex slot = entry->slot;
      feed(event::WorkerReady{id, entry->pid});
      tell_owner(slot);
      if (supervision_.rollout()) steer(supervision_.workers(), common::Clock::now());
    }
  }
}

}  // namespace master
