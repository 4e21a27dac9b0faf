// AcceptQueue: real sockets on loopback whose clients nobody accepts.
#include "master/accept_queue.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <vector>

#include "common/unique_fd.h"

namespace {

using common::UniqueFd;

struct Listener {
  Listener() : socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::listen(socket.get(), 16), 0);
    socklen_t length = sizeof address;
    EXPECT_EQ(::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &length), 0);
  }
  UniqueFd client() const {
    UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    return fd;
  }

  UniqueFd socket;
  sockaddr_in address{};
};

TEST(AcceptQueue, CountsTheClientsOfAllSocketsThatNobodyHasAccepted) {
  const Listener one;
  const Listener other;
  const std::vector<int> both = {one.socket.get(), other.socket.get()};
  EXPECT_EQ(master::queued_on(both), 0U);
  std::vector<UniqueFd> clients;
  for (int i = 0; i < 3; ++i) clients.push_back(one.client());
  clients.push_back(other.client());
  EXPECT_EQ(master::queued_on(both), 4U);
  const UniqueFd accepted(::accept4(one.socket.get(), nullptr, nullptr, SOCK_CLOEXEC));
  EXPECT_TRUE(accepted);
  EXPECT_EQ(master::queued_on(both), 3U);
}

TEST(AcceptQueue, CountsNothingWhereTheKernelDoesNotTell) {
  const UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_un unnamed{.sun_family = AF_UNIX, .sun_path = {}};
  ASSERT_EQ(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&unnamed), sizeof(sa_family_t)), 0);  // autobind
  ASSERT_EQ(::listen(socket.get(), 16), 0);
  EXPECT_EQ(master::queued_on(std::vector<int>{socket.get(), -1}), 0U);
}

}  // namespace
