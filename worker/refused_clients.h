// RefusedClients: clients that were told 503 for want of room, until it is safe to close on them.
//
// Closing at once would answer a request that is still on its way with RST, which may destroy the 503 before the client
// reads it. So each keeps its socket for a moment, unless newer ones need the room.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>

#include "common/clock.h"
#include "common/fd_ledger.h"
#include "common/unique_fd.h"

namespace worker {

class RefusedClients {
 public:
  static constexpr std::uint32_t kKeptMax = 16;
  static constexpr common::Duration kKept = std::chrono::seconds(1);

  explicit RefusedClients(common::FdLedger ledger) : ledger_(ledger) {}

  // Answers 503 with Retry-After, sends FIN and keeps the socket. Never blocks.
  void refuse(common::UniqueFd client, common::TimePoint now);
  // The one that was refused longest ago.
  enum class Closed { kNo, kYes };
  Closed close_oldest();
  void on_time(common::TimePoint now);
  std::optional<common::TimePoint> next_deadline() const;
  std::uint32_t size() const { return static_cast<std::uint32_t>(clients_.size()); }

 private:
  struct Client {
    common::UniqueFd fd;
    common::TimePoint until;
  };
  common::FdLedger ledger_;
  std::deque<Client> clients_;  // oldest first
};

}  // namespace worker
