// Listeners' stage: addresses, clients and a look into queues, for the tests of listeners.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <string>
#include <vector>

#include "common/address.h"
#include "common/unique_fd.h"
#include "master/listeners.h"

namespace listeners_stage {

inline constexpr std::uint32_t kBacklog = 64;
inline constexpr common::Duration kNoPatience{0};
inline constexpr common::TimePoint kStart{std::chrono::hours(1)};
inline constexpr common::TimePoint kSettled = kStart + master::Listeners::kSettling;
inline constexpr int kDeadlineMilliseconds = 20'000;

inline std::vector<common::Address> addresses(const std::vector<std::string>& texts) {
  std::vector<common::Address> result;
  for (const std::string& text : texts) {
    auto address = common::Address::parse(text);
    EXPECT_TRUE(address.has_value()) << address.error().message;
    result.push_back(*address);
  }
  return result;
}

inline master::Listeners open(const std::vector<std::string>& texts, std::uint32_t slots = 2,
                              common::Steering steering = common::Steering::kHash, std::uint32_t backlog = kBacklog) {
  return std::move(master::Listeners::open(addresses(texts), slots, backlog, kNoPatience, steering).value());
}

// A port that is free now, on every interface.
inline std::string free_port() {
  const std::string text = open({"0.0.0.0:0"}, 1).views()[0].address;
  return text.substr(text.rfind(':'));
}

// 0, or why connect(2) failed; EINPROGRESS where `fd` is non-blocking.
inline int try_connect(int fd, const std::string& text) {
  const common::Address address = addresses({text}).front();
  return ::connect(fd, address.get(), address.length) == 0 ? 0 : errno;
}

inline common::UniqueFd client_socket(const std::string& text, int flags = 0) {
  return common::UniqueFd(::socket(addresses({text}).front().storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | flags, 0));
}

inline int connect_error(const std::string& text) { return try_connect(client_socket(text).get(), text); }

inline common::UniqueFd connect_to(const std::string& text) {
  common::UniqueFd fd = client_socket(text);
  EXPECT_EQ(try_connect(fd.get(), text), 0) << text;
  return fd;
}

inline bool has_queued(int fd) {
  pollfd entry{.fd = fd, .events = POLLIN, .revents = 0};
  return ::poll(&entry, 1, 0) == 1;
}

// How a connect(2) that was under way has ended: 0, an error number, or ETIMEDOUT if nothing happened before.
inline int connect_result(int fd, int milliseconds = kDeadlineMilliseconds) {
  pollfd entry{.fd = fd, .events = POLLOUT, .revents = 0};
  if (::poll(&entry, 1, milliseconds) == 0) return ETIMEDOUT;
  int error = 0;
  socklen_t size = sizeof error;
  ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
  return error;
}

// Both ends of one connection, and nothing else on it yet.
inline void expect_connected(int client, int accepted) {
  char byte = 0;
  EXPECT_EQ(::send(accepted, "k", 1, MSG_NOSIGNAL), 1);
  EXPECT_EQ(::recv(client, &byte, 1, 0), 1);
  EXPECT_EQ(byte, 'k');
}

}  // namespace listeners_stage
