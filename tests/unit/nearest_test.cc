// Nearest: the claims about suggestions for mistyped words.
#include "common/nearest.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace {

TEST(Nearest, CountsEdits) {
  EXPECT_EQ(common::edit_distance("", ""), 0U);
  EXPECT_EQ(common::edit_distance("abc", ""), 3U);
  EXPECT_EQ(common::edit_distance("kitten", "sitting"), 3U);
  EXPECT_EQ(common::edit_distance("count", "cuont"), 2U);
}

TEST(Nearest, SuggestsUpToAThirdOfEditsAndNothingBeyond) {
  const std::vector<std::string_view> words = {"status", "stop"};
  EXPECT_EQ(common::nearest("statsu", words), "status");
  EXPECT_EQ(common::nearest("sttsuu", words), "");
  EXPECT_EQ(common::nearest("stp", words), "stop");
  EXPECT_EQ(common::nearest("sp", words), "");
  EXPECT_EQ(common::nearest("", words), "");
  EXPECT_EQ(common::nearest(std::string(129, 's'), words), "");
}

}  // namespace
