// Master: orders about the descriptors of its workers, and what is done with what the sampler finds.
#include <csignal>

#include "master/fd_replies.h"
#include "master/master.h"

namespace master {

void Master::act_on(Finding finding) {
  WorkerEntry* entry = workers_.find(finding.worker);
  if (entry == nullptr) return;
  switch (finding.kind) {
    case Finding::Kind::kRecycle:
      reports_.remember(finding.worker, finding.decision);
      return feed(
          event::RecycleAsked{.slot = finding.slot, .worker = finding.worker, .reason = finding.decision.reason});
    case Finding::Kind::kKill: kill(entry->pid, SIGKILL); return;
    case Finding::Kind::kReport: return reports_.report(finding.worker);
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
  const auto submitted = inspector_.submit([this, wanted, stack] { return inspection_orders(workers_, wanted, stack); },
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
