// Connection: one client socket of a worker, and what the kernel holds of it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "common/clock.h"
#include "worker/connection_state.h"
#include "worker/http_session.h"

namespace worker {

// A multishot receive as the kernel sees it.
enum class ReceiveArm : std::uint8_t { kNone, kArmed, kCancelling };

// Memory of a connection may be reused only when nothing is in flight: receive is kNone and sending is kNo.
struct Connection {
  int fd = -1;  // owned; closed by the ring, once, in ConnectionState::kClosing
  std::uint32_t index = 0;
  ConnectionState state = ConnectionState::kHead;  // written only by ConnectionTable::enter
  ReceiveArm receive = ReceiveArm::kNone;
  enum class Input : std::uint8_t { kOpen, kEnded, kBroken } input = Input::kOpen;  // the client's FIN, or an error
  enum class Sending : std::uint8_t { kNo, kYes } sending = Sending::kNo;
  common::TimePoint since{};  // when it entered this state
  std::optional<common::TimePoint> deadline;
  std::uint64_t body_mark = 0;  // session->received() when the deadline of kBody was set

  // The conversation and the answer on its way; null while no byte of a request is here, so idle costs little.
  std::unique_ptr<HttpSession> session;
  std::size_t sent = 0;        // bytes of session->sending()
  std::uint64_t answered = 0;  // requests, ever
  common::TimePoint idle_since{};  // of kIdle: since its last answer; `since` begins anew when it is left idle longer
  common::Duration pause_max{};  // the longest it was idle before another request came

  // Neighbours in the list of connections in the same state, oldest first; kNone at the ends.
  std::uint32_t previous = 0;
  std::uint32_t next = 0;
};

}  // namespace worker
