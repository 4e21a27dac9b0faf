// AppHandler: the way from a parsed request into the application and back.
#include "worker/app_handler.h"

#include <sys/socket.h>
#include <unistd.h>

#include <ctime>

namespace worker {

AppHandler::AppHandler(Application& application, common::WorkerGauges& gauges, common::RequestBox& in_hand,
                       common::AccessLog access)
    : application_(application), gauges_(gauges), in_hand_(in_hand), access_log_(access) {}

void AppHandler::handle(const common::Request& request, HttpSession& session) {
  session_ = &session;
  // A handler that never returns must be seen with its request.
  const std::uint32_t before = gauges_.in_flight.load(std::memory_order_relaxed);
  gauges_.in_flight.store(before + 1, std::memory_order_relaxed);
  in_hand_.begin(request.method, request.target);
  context_.begin(request, *this);
  application_.handle(context_);
  in_hand_.end();
  gauges_.in_flight.store(before, std::memory_order_relaxed);
}

void AppHandler::on_answered(const common::Request& request, HttpSession& session, int status, std::size_t body_bytes) {
  gauges_.requests.store(gauges_.requests.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  if (!access_log_.is_on()) return;
  session_ = &session;
  access_log_.add(request, peer(), status, body_bytes, std::time(nullptr));
}

void AppHandler::flush_access_log() {
  if (access_log_.is_on()) access_log_.flush(STDOUT_FILENO);
}

void AppHandler::respond(int status, std::span<const common::Field> fields, std::string_view body) {
  session_->respond(status, fields, body);
}

std::string_view AppHandler::peer() {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (getpeername(session_->fd(), reinterpret_cast<sockaddr*>(&address), &size) < 0) return "";
  return common::format_peer(address, peer_text_);
}

int AppHandler::fd() const { return session_->fd(); }

}  // namespace worker
