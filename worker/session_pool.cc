// SessionPool: reuse before allocation.
#include "worker/session_pool.h"

#include <utility>

namespace worker {

std::unique_ptr<HttpSession> SessionPool::take(int fd, std::uint64_t answered) {
  std::unique_ptr<HttpSession> session;
  if (kept_.empty()) {
    session = std::make_unique<HttpSession>(context_);
  } else {
    session = std::move(kept_.back());
    kept_.pop_back();
  }
  session->reset(fd, answered);
  return session;
}

void SessionPool::give_back(std::unique_ptr<HttpSession> session) {
  session->reset(-1, 0);  // gives large buffers back now, not when it is used again
  if (kept_.size() < kKeptMax) kept_.push_back(std::move(session));
}

}  // namespace worker
