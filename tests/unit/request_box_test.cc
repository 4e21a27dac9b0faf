// RequestBox: the line that is noted is the line that is read, bounded and harmless.
#include "common/request_box.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>

namespace {

using common::kRequestLineMax;
using common::RequestBox;

TEST(RequestBox, HoldsTheRequestWhileItIsInHand) {
  RequestBox box{};
  EXPECT_EQ(box.read(), std::nullopt);
  box.begin("GET", "/a?b=c");
  EXPECT_EQ(box.read(), "GET /a?b=c");
  box.begin("POST", "/");
  EXPECT_EQ(box.read(), "POST /") << "nothing is left of a longer one";
  box.end();
  EXPECT_EQ(box.read(), std::nullopt);
}

TEST(RequestBox, KeepsALineOfTheLargestSizeAndCutsALongerOne) {
  RequestBox box{};
  for (const std::size_t missing : {9U, 8U, 7U, 1U, 0U}) {
    const std::string target(kRequestLineMax - 4 - missing, 'x');
    box.begin("GET", target);
    EXPECT_EQ(box.read(), "GET " + target);
  }
  const std::string target(kRequestLineMax - 4 + 1, 'x');
  box.begin("GET", target);
  EXPECT_EQ(box.read(), "GET " + target.substr(1) + "...");
  box.begin(std::string(kRequestLineMax, 'M'), "/");
  EXPECT_EQ(box.read(), std::string(kRequestLineMax, 'M') + "...");
  box.begin(std::string(kRequestLineMax - 1, 'M'), "/");
  EXPECT_EQ(box.read(), std::string(kRequestLineMax - 1, 'M') + " ...");
}

TEST(RequestBox, ShowsNothingThatCouldDriveATerminal) {
  RequestBox box{};
  box.begin("GET", std::string("/\x1b[2J\n\x7f\x80\xff", 9) + '\0' + "z");
  EXPECT_EQ(box.read(), "GET /?[2J?????z");
  box.begin("", "");
  EXPECT_EQ(box.read(), " ");
}

// The worker may write whatever it likes.
TEST(RequestBox, ReadsRubbishWithinItsBounds) {
  RequestBox box{};
  std::memset(static_cast<void*>(&box), 0xff, sizeof box);
  EXPECT_EQ(box.read(), std::string(kRequestLineMax, '?') + "...");
}

}  // namespace
