// Inspection: everything that can be known of a worker's descriptors from outside; also of a worker that hangs.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "common/clock.h"
#include "common/fd_ledger.h"
#include "common/json.h"
#include "master/worker_id.h"

namespace master {

inline constexpr std::size_t kGroupsMax = 1000;
inline constexpr std::size_t kDescriptorsMax = 10'000;

// The last event an application's event loop was woken by, again and again (common/poll_watch.h).
struct BusyPoll {
  int epoll_fd = -1;
  std::uint64_t data = 0;
  std::uint32_t events = 0;
};

struct InspectionOrder {
  pid_t pid = 0;
  SlotIndex slot = 0;
  std::uint32_t generation = 0;
  common::FdLedger ledger{};  // mapped as long as the inspection lasts
  std::uint64_t owned = 0;
  std::uint64_t baseline = 0;
  std::vector<std::uint64_t> stack{};  // of the worker's main thread, innermost first; empty = not captured
  std::optional<BusyPoll> busy_poll{};
};

// One report per order, in order; an order whose process has gone gives {"slot", "pid", "error"}. Dear (reads /proc,
// dumps sockets, opens debug information): runs in a process of its own (master/inspector.h), never in the master's.
//
// {"slot", "pid", "generation", "fds": {"total", "owned", "baseline", "leaked"},
//  "groups": [{"count", "owner": "application"|"server", "since": "serving"|"start", "kind", "state", "peer", "local",
//              "path", "deleted", "role", "watches": [{"fd", "events": "EPOLLIN", "data", "text"}],
//              "oldest_s": null if unknown, "receive_queue", "send_queue",
//              "opened_at": {"module", "function", "offset", "file", "line", "text"} | null,
//              "stack": ["module!function+0x1 (file:line)"], "fds": [first 16], "text"}],   worst first
//  "groups_left_out": n, "descriptors_left_out": n,      beyond kGroupsMax and kDescriptorsMax; if there are any
//  "descriptors": [{"fd", "kind", "owner", "since", "text", ..., "age_s", "opened_at": text}],   by number
//  "stack": [...], "spinning": {"epoll_fd", "fd": null if it cannot be known, "text"} | null,
//  "complaints": ["what could not be looked at, and why"]}
//
// "kind" is what name_of() in master/descriptor_groups.h says: "tcp", "file", "epoll" ... "watches" are those of the
// first epoll of the group. Of single descriptors members that say nothing are left out. Texts are free of control
// characters; a path is as the application made it and may be no valid UTF-8: dump with error_handler_t::replace.
//
// CPU time: 0.2 s for 20,000 sockets, files or pipes, 0.4 s if they are eventfds or epolls; 5 ms for an application's
// debug information (2 MB), 40 ms for that of libc if it is installed. Memory: some 40 MB.
common::Json inspect(std::span<const InspectionOrder> orders, common::TimePoint now);

}  // namespace master
