// RefusedClients: one answer for all of them, and a patient close.
#include "worker/refused_clients.h"

#include <sys/socket.h>

#include <string_view>

namespace worker {
namespace {

constexpr std::string_view kFullAnswer =
    "HTTP/1.1 503 Service Unavailable\r\nServer: supervisor\r\nRetry-After: 1\r\nConnection: close\r\n"
    "Content-Length: 0\r\n\r\n";

// Closing with unread bytes would send RST. More than this is not worth the time of a worker that is short of room.
void drop_unread(int fd) {
  char unread[4096];
  for (int i = 0; i < 4 && recv(fd, unread, sizeof unread, MSG_DONTWAIT) > 0; ++i) {
  }
}

}  // namespace

void RefusedClients::refuse(common::UniqueFd client, common::TimePoint now) {
  if (clients_.size() >= kKeptMax) close_oldest();
  // A new socket's buffer is empty: the whole answer fits.
  send(client.get(), kFullAnswer.data(), kFullAnswer.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  shutdown(client.get(), SHUT_WR);
  ledger_.note_server(client.get(), common::FdRole::kConnection, now);
  clients_.push_back({.fd = std::move(client), .until = now + kKept});
}

RefusedClients::Closed RefusedClients::close_oldest() {
  if (clients_.empty()) return Closed::kNo;
  const int fd = clients_.front().fd.get();
  drop_unread(fd);
  ledger_.forget(fd);
  clients_.pop_front();
  return Closed::kYes;
}

void RefusedClients::on_time(common::TimePoint now) {
  while (!clients_.empty() && clients_.front().until <= now) close_oldest();
}

std::optional<common::TimePoint> RefusedClients::next_deadline() const {
  if (clients_.empty()) return std::nullopt;
  return clients_.front().until;
}

}  // namespace worker
