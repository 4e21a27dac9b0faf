// ListenQueue: what waits on listening sockets that nobody accepts on any more.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "common/unique_fd.h"

namespace master {

// Never blocks.
bool queues_are_empty(std::span<const int> listeners);

// Up to `most` connections: blocking and close-on-exec, as a worker's ring gets them. The listeners become
// non-blocking, because a client may give up between poll(2) and accept(2). That is for listeners on which nobody else
// accepts: a worker that meets a non-blocking one makes it blocking again. Should one be left, a wait ends after a
// millisecond. When the process has no descriptor left, the rest goes on waiting.
std::vector<common::UniqueFd> accept_from(std::span<const int> listeners, std::size_t most);

// Undoes what accept_from() did to the listeners: for workers that will accept there again.
void make_blocking(std::span<const int> listeners);

}  // namespace master
