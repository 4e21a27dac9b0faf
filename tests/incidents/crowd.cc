// Crowd: connecting, and looking without reading.
#include "crowd.h"

#include <gtest/gtest.h>
#include <poll.h>

namespace incidents {

Crowd connect_crowd(const std::string& address, std::size_t count) {
  constexpr std::size_t kPerAddress = 1000;
  Crowd crowd;
  crowd.reserve(count);
  for (std::size_t index = 0; index < count; ++index) {
    const std::string source = "127.0.2." + std::to_string(index / kPerAddress % 250 + 2) + ":0";
    common::Result<support::HttpClient> client = support::HttpClient::connect(address, support::Deadline(), source);
    if (client) {
      crowd.push_back(std::move(*client));
    } else {
      ADD_FAILURE() << "client " << index << ": " << client.error().message;
    }
  }
  return crowd;
}

std::size_t count_open(const Crowd& crowd) {
  std::size_t open = 0;
  for (const support::HttpClient& client : crowd) {
    pollfd entry{.fd = client.fd(), .events = POLLRDHUP, .revents = 0};
    if (::poll(&entry, 1, 0) == 0) ++open;
  }
  return open;
}

}  // namespace incidents
