// SessionPool: sessions of connections that said something, kept for the next that do.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "worker/http_session.h"

namespace worker {

class SessionPool {
 public:
  static constexpr std::size_t kKeptMax = 256;  // a burst beyond it pays an allocation each

  // `context` outlives all sessions.
  explicit SessionPool(SessionContext& context) : context_(context) {}

  // For the client of `fd`, of which `answered` requests were answered before.
  std::unique_ptr<HttpSession> take(int fd, std::uint64_t answered);
  void give_back(std::unique_ptr<HttpSession> session);

 private:
  SessionContext& context_;
  std::vector<std::unique_ptr<HttpSession>> kept_;
};

}  // namespace worker
