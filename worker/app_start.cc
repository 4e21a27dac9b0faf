// AppStart: asking, and waiting in between.
#include "worker/app_start.h"

#include <poll.h>

#include <algorithm>
#include <array>

namespace worker {
namespace {

// Grows from one to the other: what is ready soon should not wait, what takes long should cost nothing.
constexpr int kFirstPauseMs = 1;
constexpr int kPauseMaxMs = 50;

}  // namespace

common::Result<Started> start_application(Application& application, const supervisor_worker_info& info, int channel,
                                          int signals) {
  if (auto started = application.worker_start(info); !started) return std::unexpected(started.error());
  for (int pause = kFirstPauseMs;; pause = std::min(2 * pause, kPauseMaxMs)) {
    const auto is_ready = application.worker_ready();
    if (!is_ready) return std::unexpected(is_ready.error());
    if (*is_ready) return Started::kReady;
    std::array<pollfd, 2> watched = {
        {{.fd = channel, .events = POLLIN, .revents = 0}, {.fd = signals, .events = POLLIN, .revents = 0}}};
    if (poll(watched.data(), watched.size(), pause) <= 0) continue;
    application.worker_stop();
    return Started::kCalledOff;
  }
}

}  // namespace worker
