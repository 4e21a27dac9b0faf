// Replies about descriptors: what the control socket answers to `GET /fds` and `POST /close-fd`. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "common/fd_ledger.h"
#include "common/json.h"
#include "common/result.h"
#include "master/close_how.h"
#include "master/control_handler.h"
#include "master/worker_id.h"

namespace master {

// 404 if there is no such slot among `slots`, 409 if nobody serves there at the moment.
ControlReply no_worker_reply(SlotIndex slot, std::uint32_t slots);

// Of all workers: {"workers": [...]}. `reports` is what inspect() (master/inspection.h) gave, or why there is nothing.
ControlReply fds_reply(const common::Result<common::Json>& reports);
// Of the one worker that was inspected: its report itself; 409 when it ended meanwhile.
ControlReply slot_fds_reply(SlotIndex slot, const common::Result<common::Json>& reports);

// What must not be closed: a standard stream, or what the server itself opened. 409, or nothing: then the worker is
// asked, which looks again.
std::optional<ControlReply> refuse_close(SlotIndex slot, int fd, const common::FdNote& note);

// The worker's answer to Ask::kCloseFd or kShutdownFd: its errno, or why it did not answer. An error with ETIMEDOUT
// (AskDesk's) is 504, every other one 409.
ControlReply close_reply(SlotIndex slot, int fd, CloseHow how, const common::Result<int>& errnum);

}  // namespace master
