// HttpServer: how it leaves.
#include <sys/socket.h>

#include <utility>

#include "worker/http_server.h"

namespace worker {
namespace {

// How long after the last call of a drain, as a part of all its time, somebody may be idle, and then linger.
constexpr int kLastMoments = 16;
static_assert(common::kBindMax <= 64, "DrainOrder::sockets has a bit for each");

}  // namespace

void HttpServer::drain(const DrainOrder& order, common::TimePoint now) {
  const common::Duration longest = order.longest.value_or(settings_.drain_max / 2);
  if (sessions_.mode == ServingMode::kServing) {
    sessions_.mode = ServingMode::kDraining;
    last_call_at_ = now + settings_.drain_max * 3 / 4;
    table_.shorten(ConnectionState::kIdle, settings_.timeouts.drain_idle, now);
    emptying_.emplace(now, longest);
    for (std::uint32_t i = 0; i < acceptor_.size(); ++i) {
      if ((order.sockets >> i & 1) == 0) acceptor_.leave(i);
    }
  }
  if (!emptying_) return;
  emptying_->shorten(now, longest);
  if (order.queue == common::DrainQueue::kLeave) stop_accepting();
}

void HttpServer::stop_accepting() {
  emptying_.reset();
  acceptor_.stop();
}

void HttpServer::look_at_queues(common::TimePoint now) {
  const auto queue = acceptor_.has_queue() ? Emptying::Queue::kWaiting : Emptying::Queue::kEmpty;
  if (emptying_->look(queue, now) == Emptying::Verdict::kOver) stop_accepting();
}

void HttpServer::last_call(common::TimePoint now) {
  last_call_at_.reset();
  sessions_.mode = ServingMode::kLastCall;
  for (const auto state : {ConnectionState::kIdle, ConnectionState::kNew, ConnectionState::kLingering}) {
    table_.shorten(state, settings_.drain_max / kLastMoments, now);
  }
  table_.for_each([&](Connection& connection) {
    if (is_silent(connection.state) && !has_more(connection.fd)) half_close(connection, now);
  });
}

bool HttpServer::stays_idle(const Connection& connection, common::TimePoint now) {
  return sessions_.mode == ServingMode::kDraining &&
         keeps_its_rhythm(now - connection.idle_since, connection.pause_max, settings_.timeouts);
}

// What the ring has got from this client already, and what the kernel has of it: that last, for it may come any moment.
bool HttpServer::has_more(int fd) {
  if (ring_.may_have_received([&](std::uint32_t index) { return table_.at(index).fd == fd; })) return true;
  char byte = 0;
  return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

}  // namespace worker
