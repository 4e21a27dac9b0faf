// ControlApi: routes, arguments and their mistakes.
#include "master/control_api.h"

#include <gtest/gtest.h>

#include <optional>

#include "common/config.h"

namespace {

struct Service : master::ServiceView, master::ServiceOrders {
  common::Json status(common::TimePoint) const override { return {{"fine", true}}; }
  bool recycle(master::SlotIndex slot) override {
    recycled = slot;
    return slot < 2;
  }
  void scale(std::uint32_t workers) override { scaled = workers; }
  void stop(master::StopKind kind) override { stopped = kind; }

  std::optional<master::SlotIndex> recycled;
  std::optional<std::uint32_t> scaled;
  std::optional<master::StopKind> stopped;
};

struct ControlApi : testing::Test {
  Service service;
  master::ControlApi api{service, service};
};

TEST_F(ControlApi, TellsTheStatus) {
  EXPECT_EQ(api.handle("GET", "/status", {}).body, "{\"fine\":true}\n");
  EXPECT_EQ(api.handle("HEAD", "/status", {}).status, 200);
}

TEST_F(ControlApi, NamesTheMethodsAPathTakes) {
  const auto reply = api.handle("GET", "/stop", {});
  EXPECT_EQ(reply.status, 405);
  EXPECT_EQ(reply.allow, "POST");
  EXPECT_EQ(api.handle("POST", "/status", {}).allow, "GET, HEAD");
  EXPECT_FALSE(service.stopped);
}

TEST_F(ControlApi, RecyclesASlotThatIsServed) {
  EXPECT_EQ(api.handle("POST", "/recycle", {{"slot", "1"}}).status, 202);
  EXPECT_EQ(service.recycled, 1U);
  EXPECT_EQ(api.handle("POST", "/recycle", {{"slot", "2"}}).status, 409);
}

TEST_F(ControlApi, RefusesASlotThatIsNoNumber) {
  for (const char* slot : {"", "x", "-1", "1x", "99999999999"}) {
    EXPECT_EQ(api.handle("POST", "/recycle", {{"slot", slot}}).status, 400) << slot;
  }
  EXPECT_EQ(api.handle("POST", "/recycle", {}).status, 400);
  EXPECT_FALSE(service.recycled);
}

TEST_F(ControlApi, ScalesFromOneToTheLargestNumberAndNoFurther) {
  const std::string most = std::to_string(common::kWorkersMax);
  EXPECT_EQ(api.handle("POST", "/scale", {{"workers", "0"}}).status, 400);
  EXPECT_EQ(api.handle("POST", "/scale", {{"workers", std::to_string(common::kWorkersMax + 1)}}).status, 400);
  EXPECT_FALSE(service.scaled);
  EXPECT_EQ(api.handle("POST", "/scale", {{"workers", most}}).status, 202);
  EXPECT_EQ(service.scaled, common::kWorkersMax);
}

TEST_F(ControlApi, StopsAsAsked) {
  EXPECT_EQ(api.handle("POST", "/stop", {{"how", "now"}}).status, 400);
  EXPECT_FALSE(service.stopped);
  EXPECT_EQ(api.handle("POST", "/stop", {}).status, 202);
  EXPECT_EQ(service.stopped, master::StopKind::kGraceful);
  api.handle("POST", "/stop", {{"how", "quick"}});
  EXPECT_EQ(service.stopped, master::StopKind::kQuick);
}

TEST_F(ControlApi, SaysWhatThereIsWhenAskedForSomethingElse) {
  const auto reply = api.handle("GET", "/", {});
  EXPECT_EQ(reply.status, 404);
  EXPECT_NE(reply.body.find("GET /status"), std::string::npos);
}

}  // namespace
