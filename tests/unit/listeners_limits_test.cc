// Listeners, limits: as many addresses and as many slots as there may be.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>

#include "common/config.h"
#include "common/inherited_fds.h"
#include "listeners_stage.h"

namespace {

using listeners_stage::addresses;
using listeners_stage::connect_error;
using listeners_stage::kBacklog;
using listeners_stage::kSettled;
using listeners_stage::kStart;
using master::Listeners;

void change(Listeners& listeners, const std::vector<std::string>& texts) {
  const auto begun = listeners.begin_change(addresses(texts), kBacklog);
  ASSERT_TRUE(begun.has_value()) << begun.error().message;
  ASSERT_TRUE(listeners.listen_next().has_value());
  listeners.commit_change(kStart);
}

TEST(ListenersLimits, ReplacesAsManyAddressesAsThereMayBe) {
  const std::vector<std::string> most(common::kBindMax, "127.0.0.1:0");
  const std::vector<std::string> others(common::kBindMax, "127.0.0.2:0");
  Listeners listeners = listeners_stage::open(most, 2);
  const std::size_t before = common::open_descriptors().size();
  change(listeners, others);
  EXPECT_EQ(listeners.sockets_of(1).size(), common::kBindMax);
  EXPECT_EQ(common::open_descriptors().size(), before + 2UL * common::kBindMax);
  listeners.close_retiring(kSettled);
  EXPECT_EQ(common::open_descriptors().size(), before);
}

TEST(ListenersLimits, AddsAnAddressToAsManySlotsAsThereMayBe) {
  rlimit limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
  const rlimit raised{.rlim_cur = std::max<rlim_t>(limit.rlim_cur, 4 * common::kWorkersMax),
                      .rlim_max = limit.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &raised), 0);
  Listeners listeners = listeners_stage::open({"127.0.0.1:0"}, common::kWorkersMax);
  change(listeners, {"127.0.0.1:0", "127.0.0.1:0"});
  EXPECT_EQ(listeners.sockets_of(common::kWorkersMax - 1).size(), 2U);
  EXPECT_TRUE(listeners.sockets_of(common::kWorkersMax).empty());
  EXPECT_EQ(connect_error(listeners.views()[1].address), 0);
}

}  // namespace
