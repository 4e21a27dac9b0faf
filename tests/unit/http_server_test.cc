// HttpServer: connections through a real ring, and what is noted about their descriptors.
#include "worker/http_server.h"

#include <gtest/gtest.h>

#include "common/high_fd.h"
#include "http_server_stage.h"

namespace {

using common::FdRole;

using Serving = test_stage::HttpServerStage;

TEST_F(Serving, NotesItsDescriptorsAndForgetsThem) {
  serve({.connections_max = 10});
  EXPECT_EQ(noted(FdRole::kListener).size(), 1U);
  EXPECT_EQ(noted(FdRole::kReserve).size(), worker::ReserveFds::kWanted);
  for (const FdRole role : {FdRole::kListener, FdRole::kReserve}) {
    EXPECT_GE(noted(role).front(), common::kHighFdMin) << "the low numbers are the application's";
  }
  common::UniqueFd one = client();
  ask(one);
  EXPECT_EQ(status(one), 200);
  EXPECT_EQ(noted(FdRole::kConnection).size(), 1U);
  EXPECT_EQ(server->descriptors(), 1 + worker::ReserveFds::kWanted + 1);
  one.reset();
  EXPECT_TRUE(run_until([&] { return server->connections() == 0; }));
  EXPECT_TRUE(noted(FdRole::kConnection).empty());
}

TEST_F(Serving, ForgetsItsListenersWhenItGivesThemUp) {
  serve({.connections_max = 10});
  server->drain({}, common::Clock::now());
  ASSERT_TRUE(run_until([&] { return !acceptor->armed(); }));
  server->close_listeners();
  EXPECT_TRUE(noted(FdRole::kListener).empty());
  EXPECT_TRUE(noted(FdRole::kReserve).empty());
  EXPECT_EQ(server->descriptors(), 0U);
}

TEST_F(Serving, PutsConnectionsHighWhereAnApplicationNeedsTheLowNumbers) {
  serve({.connections_max = 10, .connections_high = worker::ConnectionFds::kHigh});
  const common::UniqueFd one = client();
  ask(one);
  EXPECT_EQ(status(one), 200);
  ASSERT_EQ(noted(FdRole::kConnection).size(), 1U);
  EXPECT_GE(noted(FdRole::kConnection)[0], common::kHighFdMin);
}

TEST_F(Serving, ServesTheLastPlaceAndRefusesTheNext) {
  serve({.on_full = common::OnFull::kRefuse, .connections_max = 2});
  const common::UniqueFd first = client();
  const common::UniqueFd second = client();
  ASSERT_TRUE(run_until([&] { return server->connections() == 2; }));
  const common::UniqueFd third = client();
  ask(third);
  EXPECT_EQ(status(third), 503);
  ask(second);
  EXPECT_EQ(status(second), 200);
  EXPECT_EQ(record.refused.load(), 1U);
  server->publish(common::Clock::now());
  EXPECT_EQ(record.connections_max.load(), 2U);
}

TEST_F(Serving, LetsAClientThatWaitsInAsSoonAsOneFallsIdle) {
  serve({.connections_max = 1});
  const common::UniqueFd first = client();
  ASSERT_TRUE(run_until([&] { return server->connections() == 1; }));
  const common::UniqueFd second = client();
  ask(second);
  ask(first);
  EXPECT_EQ(status(first), 200);
  EXPECT_EQ(status(second), 200);
  EXPECT_EQ(status(first), 0) << "it gave way";
  EXPECT_EQ(record.evicted.load(), 1U);
}

TEST_F(Serving, LetsClientsInWhoWaitedWhenTheBudgetRises) {
  serve({.connections_max = 1});
  const common::UniqueFd first = client();
  ASSERT_TRUE(run_until([&] { return server->connections() == 1; }));
  const common::UniqueFd second = client();
  server->set_connections_max(2, common::Clock::now());
  EXPECT_TRUE(run_until([&] { return server->connections() == 2; }));
}

}  // namespace
