// CrashHistory: the last sixteen, bounded; and a stack in one line.
#include "master/crash_history.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>

namespace {

using common::Json;
using master::CrashHistory;
using master::CrashReport;

TEST(CrashHistory, ShowsWhatIsKnownAndNullForWhatIsNot) {
  CrashHistory history;
  history.add({.at = std::chrono::system_clock::time_point(std::chrono::seconds(1'000'000'000)),
               .slot = 2,
               .pid = 7,
               .generation = 3,
               .end = "killed by SIGSEGV",
               .request = "GET /",
               .stack = {"app.so!f+0x1 (f.cc:1)"}});
  const Json entry = history.to_json().at(0);
  EXPECT_EQ(entry["at"], "2001-09-09T01:46:40Z");
  EXPECT_EQ(entry["slot"], 2);
  EXPECT_EQ(entry["pid"], 7);
  EXPECT_EQ(entry["generation"], 3);
  EXPECT_EQ(entry["end"], "killed by SIGSEGV");
  EXPECT_EQ(entry["request"], "GET /");
  EXPECT_EQ(entry["cause"], nullptr);
  EXPECT_EQ(entry["thread"], nullptr);
  EXPECT_EQ(entry["suspect"], nullptr);
  EXPECT_EQ(entry["stack"], Json::array({"app.so!f+0x1 (f.cc:1)"}));
}

TEST(CrashHistory, KeepsTheLastSixteenNewestFirst) {
  CrashHistory history;
  for (int pid = 1; pid <= 17; ++pid) history.add({.pid = pid});
  const Json list = history.to_json();
  ASSERT_EQ(list.size(), CrashHistory::kEntriesMax);
  EXPECT_EQ(list.front()["pid"], 17);
  EXPECT_EQ(list.back()["pid"], 2);
}

TEST(CrashHistory, KeepsSoManyFramesOfSuchASize) {
  CrashReport report;
  for (int i = 0; i < 40; ++i) report.stack.push_back(std::to_string(i) + std::string(500, 'x'));
  CrashHistory history;
  history.add(report);
  const Json stack = history.to_json().at(0)["stack"];
  ASSERT_EQ(stack.size(), CrashHistory::kFramesMax);
  EXPECT_EQ(stack[0].get<std::string>().size(), CrashHistory::kTextMax);
}

TEST(ShownFrames, FoldsAFunctionThatCallsItself) {
  EXPECT_EQ(master::shown_frames({"a", "b", "b", "b", "a"}), (std::vector<std::string>{"a", "b, 3 times", "a"}));
  EXPECT_EQ(master::shown_frames({"a", 7, nullptr, "a"}), std::vector<std::string>{"a, 2 times"});
  EXPECT_TRUE(master::shown_frames(Json::array()).empty());
  EXPECT_TRUE(master::shown_frames(nullptr).empty());
}

TEST(StackText, FitsALineOfTheLog) {
  EXPECT_EQ(master::stack_text(Json::array()), "none");
  EXPECT_EQ(master::stack_text({"a\n", "b"}), "a? < b");
  Json stack = Json::array();
  for (int i = 0; i < 64; ++i) stack.push_back(std::to_string(i) + std::string(100, 'x'));
  const std::string text = master::stack_text(stack);
  EXPECT_LE(text.size(), master::kStackTextMax);
  EXPECT_GT(text.size(), master::kStackTextMax - 200);
  EXPECT_TRUE(text.ends_with(" more")) << text;
}

}  // namespace
