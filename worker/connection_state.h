// ConnectionState: what a client connection waits for, and until when it may.
//
//            accept
//              |
//              v
//            kNew
//              | first byte
//              v      whole head, body follows
//           kHead ----------------------------> kBody
//           ^  |  \                               |
//   first   |  |   \ whole request: answered      | whole request: answered
//   byte    |  |    v                             v
//         kIdle <--- kWriting <-------------------+
//              all sent |   \ all sent, and it was the last answer
//                       |    v
//                       |   kLingering (we sent FIN, we read until the client's)
//                       v    |
//     any state --------> kClosing -> gone
//      error, EOF without a request, deadline
//
// Every state but kClosing has a deadline; kClosing waits only for the kernel to give back what is in flight, which
// shutdown(2) makes happen at once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "common/clock.h"
#include "common/config.h"

namespace worker {

enum class ConnectionState : std::uint8_t {
  kNew,   // accepted, and not a byte has come
  kHead,  // a request head has begun: total time since its first byte, so trickling does not help
  kBody,  // a request body is expected; each kBodyProgress bytes earn a new deadline
  kWriting,  // an answer is on its way; each completed send earns a new deadline
  kIdle,  // keep-alive, nothing of a next request has arrived
  kLingering,  // half-closed by us
  kClosing,  // joins what is in flight, then closes
};
inline constexpr std::size_t kConnectionStates = 7;

// A connection that has not said a word for this long may give way to one that might: its client had the time to.
inline constexpr common::Duration kSilentMin = std::chrono::seconds(1);

// A body that makes less progress than this in timeouts.body is a slow-body attack (about 546 bytes/s by default).
inline constexpr std::size_t kBodyProgress = 16 * 1024;

// How long a connection may stay in `state`; nullopt = without limit. Constant per state while a worker serves, so
// connections of one state expire in the order in which they entered it.
std::optional<common::Duration> patience(ConnectionState state, const common::TimeoutSettings& timeouts);

// Neither side owes the other anything: it may be closed at any moment, but not on what its client says in that moment.
bool is_silent(ConnectionState state);

// Whether a connection that has been idle for `idle` is left open although its worker drains: a client that polls has
// until twice its longest pause so far, `pause_max`, to ask again, but never longer than timeouts.keep_alive.
bool keeps_its_rhythm(common::Duration idle, common::Duration pause_max, const common::TimeoutSettings& timeouts);

// What the server does about a connection whose deadline has passed.
enum class Expiry {
  kAnswer408,  // it owes us a request it has begun
  kHalfClose,  // it is between requests: FIN, then linger
  kClose,  // nothing is owed, or its answer lies in the kernel, which delivers it after close(2), too
  kAbort,  // nothing we could say would arrive
};
Expiry expiry_of(ConnectionState state);

}  // namespace worker
