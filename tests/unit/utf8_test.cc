// Utf8: what becomes of bytes that are none, and where text is cut.
#include "common/utf8.h"

#include <gtest/gtest.h>

#include <string>

namespace {

using common::cut_utf8;
using common::valid_utf8;
using namespace std::string_literals;

TEST(Utf8, LeavesValidTextAsItIs) {
  for (const std::string& text : {""s, "a\0\x1b\n\"\\"s, "caf\xc3\xa9"s, "\xf0\x9f\x90\x98"s})
    EXPECT_EQ(valid_utf8(text), text);
}

TEST(Utf8, ReplacesWhatIsNoCharacter) {
  EXPECT_EQ(valid_utf8("\xff!\xc3"), "\xef\xbf\xbd!\xef\xbf\xbd");
  EXPECT_EQ(valid_utf8("\xc0\x80\0"s).find("\xc0\x80"), std::string::npos) << "NUL in two bytes";
  EXPECT_EQ(valid_utf8("\xed\xa0\x80").find("\xed\xa0\x80"), std::string::npos) << "half of a surrogate pair";
}

TEST(Utf8, IsCutBeforeTheCharacterThatDoesNotFit) {
  EXPECT_EQ(cut_utf8("abc", 3), "abc");
  EXPECT_EQ(cut_utf8("abc", 2), "ab");
  const std::string four = "ab\xf0\x9f\x90\x98";
  EXPECT_EQ(cut_utf8(four, 6), four);
  for (const std::size_t most : {5U, 4U, 3U, 2U}) EXPECT_EQ(cut_utf8(four, most), "ab") << most;
  EXPECT_EQ(cut_utf8(four, 0), "");
}

TEST(Utf8, IsCutAtTheLimitWhereItIsNoText) {
  const std::string garbage(10, '\x80');
  for (const std::size_t most : {9U, 4U, 1U}) EXPECT_EQ(cut_utf8(garbage, most).size(), most);
  EXPECT_EQ(cut_utf8(garbage, 0), "");
}

}  // namespace
