// RequestTarget: what the target of a request to the control socket means.
#include "master/request_target.h"

#include <gtest/gtest.h>

namespace {

using master::RequestTarget;
using Query = std::map<std::string, std::string>;

TEST(RequestTarget, SplitsPathAndQuery) {
  const auto target = RequestTarget::parse("/recycle?slot=1&how=quick");
  ASSERT_TRUE(target.has_value());
  EXPECT_EQ(target->path, "/recycle");
  EXPECT_EQ(target->query, (Query{{"slot", "1"}, {"how", "quick"}}));
}

TEST(RequestTarget, MayHaveNoQueryOrAnEmptyOne) {
  for (const char* text : {"/status", "/status?", "/status?&"}) {
    const auto target = RequestTarget::parse(text);
    ASSERT_TRUE(target.has_value()) << text;
    EXPECT_EQ(target->path, "/status");
    EXPECT_TRUE(target->query.empty());
  }
}

TEST(RequestTarget, GivesAKeyWithoutAValueAnEmptyOne) {
  EXPECT_EQ(RequestTarget::parse("/fds?all&slot=")->query, (Query{{"all", ""}, {"slot", ""}}));
}

TEST(RequestTarget, UndoesEscapesAfterItHasSplit) {
  const auto target = RequestTarget::parse("/a%20b%3Fc+d?k%26=v%3D1+2%2b");
  ASSERT_TRUE(target.has_value());
  EXPECT_EQ(target->path, "/a b?c+d");
  EXPECT_EQ(target->query, (Query{{"k&", "v=1 2+"}}));
}

TEST(RequestTarget, KeepsFurtherEqualSignsInTheValue) {
  EXPECT_EQ(RequestTarget::parse("/x?a=b=c")->query, (Query{{"a", "b=c"}}));
}

TEST(RequestTarget, RefusesABrokenEscapeAndAHiddenNul) {
  for (const char* text : {"/%", "/%2", "/%zz", "/%-1", "/x?a=%", "/x?%4=1", "/%00", "/x?a=%00"}) {
    EXPECT_FALSE(RequestTarget::parse(text).has_value()) << text;
  }
}

TEST(RequestTarget, RefusesAKeyThatComesTwice) {
  EXPECT_FALSE(RequestTarget::parse("/scale?workers=1&workers=2").has_value());
  EXPECT_FALSE(RequestTarget::parse("/scale?workers=1&work%65rs=1").has_value());
}

TEST(RequestTarget, RefusesWhatIsNotAPath) {
  for (const char* text : {"", "*", "status", "http://localhost/status"}) {
    EXPECT_FALSE(RequestTarget::parse(text).has_value()) << text;
  }
}

}  // namespace
