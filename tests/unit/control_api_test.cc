// ControlApi: routes, arguments and their mistakes.
#include "master/control_api.h"

#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "common/config.h"
#include "master/fd_replies.h"

namespace {

using Query = std::map<std::string, std::string>;
constexpr master::ClientToken kToken = 77;

struct Service : master::ServiceView, master::ServiceOrders {
  common::Json status(common::TimePoint) const override { return {{"fine", true}}; }
  bool recycle(master::SlotIndex slot) override {
    recycled = slot;
    return slot < 2;
  }
  common::Result<std::uint32_t> scale(std::uint32_t workers) override {
    if (!room_for_more) return common::fail("no room");
    scaled = workers;
    return workers;
  }
  master::ControlOutcome reload(master::ClientToken client) override {
    reloading = client;
    return master::Deferred{};
  }
  void stop(master::StopKind kind) override { stopped = kind; }
  master::ControlOutcome inspect(std::optional<master::SlotIndex> slot, master::ClientToken client) override {
    inspected.emplace_back(slot, client);
    return master::Deferred{};
  }
  master::ControlOutcome close_fd(master::SlotIndex slot, int fd, master::CloseHow how,
                                  master::ClientToken client) override {
    closed.push_back({slot, fd, how, client});
    if (slot >= 2) return master::no_worker_reply(slot, 2);
    return master::Deferred{};
  }

  std::optional<master::SlotIndex> recycled;
  bool room_for_more = true;
  std::optional<std::uint32_t> scaled;
  std::optional<master::StopKind> stopped;
  std::optional<master::ClientToken> reloading;
  std::vector<std::pair<std::optional<master::SlotIndex>, master::ClientToken>> inspected;
  struct Close {
    master::SlotIndex slot;
    int fd;
    master::CloseHow how;
    master::ClientToken client;
    bool operator==(const Close&) const = default;
  };
  std::vector<Close> closed;
};

struct ControlApi : testing::Test {
  Service service;
  master::ControlApi api{service, service};

  master::ControlOutcome ask(std::string_view method, std::string_view path, const Query& query = {}) {
    return api.handle(method, path, query, kToken);
  }
  // Of what is answered at once; else std::bad_variant_access ends the test.
  master::ControlReply now(std::string_view method, std::string_view path, const Query& query = {}) {
    return std::get<master::ControlReply>(ask(method, path, query));
  }
};

TEST_F(ControlApi, AnswersAReloadWhenItHasEnded) {
  EXPECT_TRUE(std::holds_alternative<master::Deferred>(ask("POST", "/reload")));
  EXPECT_EQ(service.reloading, kToken);
  EXPECT_EQ(now("GET", "/reload").status, 405);
}

TEST_F(ControlApi, TellsTheStatus) {
  EXPECT_EQ(now("GET", "/status").body, "{\"fine\":true}\n");
  EXPECT_EQ(now("HEAD", "/status").status, 200);
}

TEST_F(ControlApi, NamesTheMethodsAPathTakes) {
  const auto reply = now("GET", "/stop");
  EXPECT_EQ(reply.status, 405);
  EXPECT_EQ(reply.allow, "POST");
  EXPECT_EQ(now("POST", "/status").allow, "GET, HEAD");
  EXPECT_FALSE(service.stopped);
}

TEST_F(ControlApi, RecyclesASlotThatIsServed) {
  EXPECT_EQ(now("POST", "/recycle", {{"slot", "1"}}).status, 202);
  EXPECT_EQ(service.recycled, 1U);
  EXPECT_EQ(now("POST", "/recycle", {{"slot", "2"}}).status, 409);
}

TEST_F(ControlApi, RefusesASlotThatIsNoNumber) {
  for (const char* slot : {"", "x", "-1", "1x", "99999999999"}) {
    EXPECT_EQ(now("POST", "/recycle", {{"slot", slot}}).status, 400) << slot;
  }
  EXPECT_EQ(now("POST", "/recycle").status, 400);
  EXPECT_FALSE(service.recycled);
}

TEST_F(ControlApi, ScalesFromOneToTheLargestNumberAndNoFurther) {
  const std::string most = std::to_string(common::kWorkersMax);
  EXPECT_EQ(now("POST", "/scale", {{"workers", "0"}}).status, 400);
  EXPECT_EQ(now("POST", "/scale", {{"workers", std::to_string(common::kWorkersMax + 1)}}).status, 400);
  EXPECT_FALSE(service.scaled);
  EXPECT_EQ(now("POST", "/scale", {{"workers", most}}).status, 202);
  EXPECT_EQ(service.scaled, common::kWorkersMax);
}

TEST_F(ControlApi, SaysWhyThereCannotBeSoManyWorkers) {
  service.room_for_more = false;
  const master::ControlReply reply = now("POST", "/scale", {{"workers", "9"}});
  EXPECT_EQ(reply.status, 409);
  EXPECT_EQ(common::Json::parse(reply.body), (common::Json{{"error", "no room"}}));
}

TEST_F(ControlApi, StopsAsAsked) {
  EXPECT_EQ(now("POST", "/stop", {{"how", "now"}}).status, 400);
  EXPECT_FALSE(service.stopped);
  EXPECT_EQ(now("POST", "/stop").status, 202);
  EXPECT_EQ(service.stopped, master::StopKind::kGraceful);
  now("POST", "/stop", {{"how", "quick"}});
  EXPECT_EQ(service.stopped, master::StopKind::kQuick);
}

TEST_F(ControlApi, LetsAnInspectionAnswerLater) {
  EXPECT_TRUE(std::holds_alternative<master::Deferred>(ask("GET", "/fds")));
  EXPECT_TRUE(std::holds_alternative<master::Deferred>(ask("HEAD", "/fds", {{"slot", "1"}})));
  ASSERT_EQ(service.inspected.size(), 2U);
  EXPECT_EQ(service.inspected[0], std::pair(std::optional<master::SlotIndex>(), kToken));
  EXPECT_EQ(service.inspected[1], std::pair(std::optional<master::SlotIndex>(1), kToken));
  EXPECT_EQ(now("POST", "/fds").allow, "GET, HEAD");
  const auto reply = now("GET", "/fds", {{"slot", "one"}});
  EXPECT_EQ(reply.status, 400);
  EXPECT_EQ(reply.body, "{\"error\":\"slot \\\"one\\\": must be a number, as in /fds?slot=0\"}\n");
  EXPECT_EQ(service.inspected.size(), 2U);
}

TEST_F(ControlApi, LetsAWorkerAnswerForADescriptor) {
  EXPECT_TRUE(std::holds_alternative<master::Deferred>(ask("POST", "/close-fd", {{"slot", "0"}, {"fd", "30"}})));
  EXPECT_TRUE(std::holds_alternative<master::Deferred>(
      ask("POST", "/close-fd", {{"slot", "1"}, {"fd", "2147483647"}, {"how", "shutdown"}})));
  EXPECT_EQ(now("POST", "/close-fd", {{"slot", "2"}, {"fd", "30"}, {"how", "close"}}).status, 404);
  ASSERT_EQ(service.closed.size(), 3U);
  EXPECT_EQ(service.closed[0], (Service::Close{0, 30, master::CloseHow::kClose, kToken}));
  EXPECT_EQ(service.closed[1], (Service::Close{1, 2'147'483'647, master::CloseHow::kShutdown, kToken}));
  EXPECT_EQ(now("GET", "/close-fd").allow, "POST");
}

TEST_F(ControlApi, NamesAllMistakesInAnOrderToClose) {
  const auto reply = now("POST", "/close-fd", {{"fd", "2147483648"}, {"how", "gdb"}});
  EXPECT_EQ(reply.status, 400);
  EXPECT_EQ(common::Json::parse(reply.body)["error"],
            "slot: a number is needed, as in /close-fd?slot=0&fd=30; fd \"2147483648\": must be a number, as in "
            "/close-fd?slot=0&fd=30; how \"gdb\": must be close or shutdown");
  EXPECT_TRUE(service.closed.empty());
}

TEST_F(ControlApi, SaysWhatThereIsWhenAskedForSomethingElse) {
  const auto reply = now("GET", "/");
  EXPECT_EQ(reply.status, 404);
  EXPECT_NE(reply.body.find("GET /status"), std::string::npos);
}

}  // namespace
