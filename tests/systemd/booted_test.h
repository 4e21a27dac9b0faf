// BootedTest: a test with a container of its own, that must leave nothing behind.
//
// Each test boots one, in a network namespace of its own: that costs less than a second, and no test has to clean up.
// Where none can be booted the test is skipped, and says what is missing.
#pragma once

#include <gtest/gtest.h>

#include <memory>

#include "container.h"

namespace systemd {

class BootedTest : public ::testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;

  Container& container() { return *container_; }

 private:
  std::unique_ptr<Container> container_;
};

}  // namespace systemd
