// BootedTest: boots, and counts what is left.
#include "booted_test.h"

#include "network.h"

namespace systemd {

void BootedTest::SetUp() {
  const common::Result<std::string> root = root_file_system();
  if (!root) GTEST_SKIP() << "no container: " << root.error().message;
  const common::Result<void> network = enter_new_network();
  ASSERT_TRUE(network) << network.error().message;
  common::Result<std::unique_ptr<Container>> booted = Container::boot(*root);
  ASSERT_TRUE(booted) << booted.error().message;
  container_ = std::move(*booted);
}

void BootedTest::TearDown() {
  if (!container_) return;
  if (HasFailure()) {
    std::cerr << container_->shell("journalctl --no-pager -n 150 -o short-precise; systemctl --failed").output << "\n";
  }
  const Traces traces = container_->traces();
  EXPECT_TRUE(container_->stop()) << container_->console();
  EXPECT_EQ(leftovers(traces), std::vector<std::string>());
}

}  // namespace systemd
