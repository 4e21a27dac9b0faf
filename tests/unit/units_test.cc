// Units: the claims about durations and sizes.
#include "common/units.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace {

using namespace std::chrono_literals;
using common::format_duration;
using common::format_size;
using common::parse_duration;
using common::parse_size;
using ::testing::HasSubstr;

constexpr std::uint64_t kMiB = 1024 * 1024;

TEST(Units, ReadEveryUnitOfDurations) {
  EXPECT_EQ(parse_duration("7ns").value(), 7ns);
  EXPECT_EQ(parse_duration("7us").value(), 7us);
  EXPECT_EQ(parse_duration("7ms").value(), 7ms);
  EXPECT_EQ(parse_duration("7s").value(), 7s);
  EXPECT_EQ(parse_duration("7m").value(), 7min);
  EXPECT_EQ(parse_duration("7h").value(), 7h);
  EXPECT_EQ(parse_duration("7d").value(), 7 * 24h);
}

TEST(Units, ReadEveryUnitOfSizes) {
  EXPECT_EQ(parse_size("7B").value(), 7U);
  EXPECT_EQ(parse_size("7KiB").value(), 7U * 1024);
  EXPECT_EQ(parse_size("7MiB").value(), 7 * kMiB);
  EXPECT_EQ(parse_size("7GiB").value(), 7 * kMiB * 1024);
  EXPECT_EQ(parse_size("7TiB").value(), 7 * kMiB * kMiB);
}

TEST(Units, NeedNoUnitForZero) {
  EXPECT_EQ(parse_duration("0").value(), 0s);
  EXPECT_EQ(parse_size("0").value(), 0U);
}

TEST(Units, ReadTheLargestValueAndRefuseTheNext) {
  EXPECT_EQ(parse_duration("9223372036854775807ns").value(), std::chrono::nanoseconds::max());
  EXPECT_FALSE(parse_duration("9223372036854775808ns"));
  EXPECT_TRUE(parse_duration("106751d"));
  EXPECT_THAT(parse_duration("106752d").error().message, HasSubstr("too long; the most is 106751d"));
  EXPECT_THAT(parse_duration("99999999999999999999s").error().message, HasSubstr("too long"));
  EXPECT_EQ(parse_size("9223372036854775807B").value(), 9223372036854775807U);
  EXPECT_FALSE(parse_size("9223372036854775808B"));
  EXPECT_TRUE(parse_size("8388607TiB"));
  EXPECT_THAT(parse_size("8388608TiB").error().message, HasSubstr("too large; the most is 8388607TiB"));
}

TEST(Units, AskForAMissingUnitWithTheValueGiven) {
  EXPECT_EQ(parse_duration("5").error().message, "needs a unit, for example \"5s\"");
  EXPECT_EQ(parse_size("5").error().message, "needs a unit, for example \"5B\"");
}

TEST(Units, ListTheUnitsWhenOneIsUnknown) {
  EXPECT_EQ(parse_duration("5sec").error().message,
            "unknown unit \"sec\"; use ns, us, ms, s, m, h or d, for example \"5s\"");
  EXPECT_EQ(parse_size("64K").error().message,
            "unknown unit \"K\"; use B, KiB, MiB, GiB or TiB, for example \"64KiB\"");
  EXPECT_THAT(parse_duration("1m30s").error().message, HasSubstr("unknown unit \"m30s\""));
  EXPECT_THAT(parse_duration("5 s").error().message, HasSubstr("unknown unit \" s\""));
}

TEST(Units, RefuseFractionsSignsAndWords) {
  EXPECT_THAT(parse_duration("1.5s").error().message, HasSubstr("must be a whole number; use a smaller unit"));
  for (const char* text : {"", "s", "-1s", "+1s", " 1s", "fast"}) {
    EXPECT_EQ(parse_duration(text).error().message, "must be a whole number and a unit, for example \"5s\"") << text;
  }
}

TEST(Units, AreWrittenWithTheLargestUnitThatDivides) {
  EXPECT_EQ(format_duration(0s), "0s");
  EXPECT_EQ(format_duration(1ns), "1ns");
  EXPECT_EQ(format_duration(1500ms), "1500ms");
  EXPECT_EQ(format_duration(90s), "90s");
  EXPECT_EQ(format_duration(120s), "2m");
  EXPECT_EQ(format_duration(24h), "1d");
  EXPECT_EQ(format_size(0), "0");
  EXPECT_EQ(format_size(1000), "1000B");
  EXPECT_EQ(format_size(8 * kMiB), "8MiB");
}

TEST(Units, AreReadBackAsTheyWereWritten) {
  for (const auto duration : {1ns, 999ns, 1000ns, 60'000'000'000ns, std::chrono::nanoseconds::max()}) {
    EXPECT_EQ(parse_duration(format_duration(duration)).value(), duration);
  }
  for (const std::uint64_t size : {std::uint64_t{1}, std::uint64_t{1023}, std::uint64_t{1024}, kMiB + 1}) {
    EXPECT_EQ(parse_size(format_size(size)).value(), size);
  }
}

}  // namespace
