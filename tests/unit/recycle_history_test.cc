// RecycleHistory: what is kept of recycled workers, and how much of it.
#include "master/recycle_history.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ctime>

namespace {

using common::Json;
using master::leak_lines;
using master::leak_text;
using master::RecycleBeginning;
using master::RecycleHistory;
using master::RecycleReason;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;

RecycleBeginning beginning(master::WorkerId worker) {
  return {.at = std::chrono::system_clock::from_time_t(1'795'332'600),
          .worker = worker,
          .slot = 3,
          .pid = static_cast<pid_t>(100 + worker),
          .generation = 2,
          .reason = RecycleReason::kFdsLeaked,
          .measured = 312,
          .limit = 256};
}

Json group(std::string_view text, std::string_view owner = "application") {
  return {{"count", 1}, {"owner", owner}, {"text", text}};
}

Json report_of(std::size_t groups) {
  Json report = {{"groups", Json::array()}};
  for (std::size_t i = 0; i < groups; ++i) report["groups"].push_back(group("group " + std::to_string(i)));
  return report;
}

TEST(RecycleHistory, RemembersWhyAWorkerWasRecycled) {
  RecycleHistory history;
  EXPECT_EQ(history.to_json(), Json::array());
  history.begin(beginning(1));
  EXPECT_EQ(history.to_json()[0].dump(),
            R"({"at":"2026-11-22T07:30:00Z","slot":3,"pid":101,"generation":2,"reason":"fds_leaked","measured":312.0,)"
            R"("limit":256.0,"groups":null,"spinning":null,"stack":[],"left_open":null})");
}

TEST(RecycleHistory, TakesTheApplicationsWorstGroupsOfAReport) {
  RecycleHistory history;
  history.begin(beginning(1));
  Json report = report_of(RecycleHistory::kGroupsMax);
  report["groups"].insert(report["groups"].begin(), group("of the server", "server"));
  report["spinning"] = {{"fd", 30}};
  report["stack"] = {"f", "g"};
  history.attach(1, report);
  Json entry = history.to_json()[0];
  EXPECT_EQ(entry["groups"].size(), RecycleHistory::kGroupsMax);
  EXPECT_EQ(entry["groups"][0]["text"], "group 0");
  EXPECT_EQ(entry["spinning"]["fd"], 30);
  EXPECT_EQ(entry["stack"], Json({"f", "g"}));
  history.attach(1, report_of(RecycleHistory::kGroupsMax + 1));
  entry = history.to_json()[0];
  EXPECT_EQ(entry["groups"].size(), RecycleHistory::kGroupsMax);
  EXPECT_EQ(entry["spinning"], nullptr);
}

TEST(RecycleHistory, TellsWhatWasLeftOpenOnceTheWorkerHasEnded) {
  RecycleHistory history;
  history.begin(beginning(1));
  history.begin(beginning(2));
  history.complete(1, 300);
  const Json list = history.to_json();
  EXPECT_EQ(list[0]["pid"], 102);
  EXPECT_EQ(list[0]["left_open"], nullptr);
  EXPECT_EQ(list[1]["left_open"], 300);
}

TEST(RecycleHistory, ForgetsTheOldestOfMoreThanSixteen) {
  RecycleHistory history;
  for (master::WorkerId worker = 1; worker <= RecycleHistory::kEntriesMax; ++worker) history.begin(beginning(worker));
  EXPECT_EQ(history.to_json().size(), 16U);
  EXPECT_EQ(history.to_json()[15]["pid"], 101);
  history.begin(beginning(17));
  EXPECT_EQ(history.to_json().size(), 16U);
  EXPECT_EQ(history.to_json()[0]["pid"], 117);
  EXPECT_EQ(history.to_json()[15]["pid"], 102);
  history.attach(1, report_of(1));  // forgotten: nothing happens
  history.complete(1, 5);
}

TEST(RecycleHistory, HasOneEntryForAWorkerThatIsTriedAgain) {
  RecycleHistory history;
  history.begin(beginning(1));
  history.attach(1, report_of(1));
  history.begin(beginning(2));
  history.begin(beginning(1));
  ASSERT_EQ(history.to_json().size(), 2U);
  EXPECT_EQ(history.to_json()[0]["pid"], 101);
  EXPECT_EQ(history.to_json()[0]["groups"], nullptr);
}

TEST(RecycleHistory, KeepsLittleOfAReportHoweverLargeItIs) {
  RecycleHistory history;
  history.begin(beginning(1));
  Json large = group(std::string(RecycleHistory::kTextMax, 'x'));
  large["longer"] = std::string(RecycleHistory::kTextMax + 1, 'x');
  for (std::size_t i = 0; i < 100; ++i) large["fds"].push_back(i);
  Json deep = 1;
  for (int i = 0; i < 100; ++i) deep = Json::array({deep});
  large["deep"] = deep;
  for (int i = 0; i < 100; ++i) large["member " + std::to_string(i)] = i;
  history.attach(1, {{"groups", {large}}, {"stack", large["fds"]}});
  const Json entry = history.to_json()[0];
  const Json& kept = entry["groups"][0];
  EXPECT_EQ(kept["text"], large["text"]);
  EXPECT_EQ(kept["longer"], std::string(RecycleHistory::kTextMax - 3, 'x') + "...");
  EXPECT_EQ(kept["fds"].size(), RecycleHistory::kItemsMax);
  EXPECT_EQ(kept["deep"].dump(), "[[[null]]]");
  EXPECT_LT(kept.size(), 40U);
  EXPECT_EQ(entry["stack"].size(), RecycleHistory::kItemsMax);
}

TEST(RecycleHistory, SurvivesAnyReport) {
  RecycleHistory history;
  history.begin(beginning(1));
  for (const char* text : {"null", "5", "[]", R"({"groups":5,"stack":"x","spinning":1})", R"({"groups":{"a":{}}})"}) {
    history.attach(1, Json::parse(text));
    EXPECT_EQ(leak_text(Json::parse(text)), "none");
  }
}

TEST(LeakText, NamesTheApplicationsGroupsWorstFirst) {
  Json report = report_of(2);
  report["groups"].insert(report["groups"].begin(), group("of the server", "server"));
  EXPECT_EQ(leak_text(report), "group 0; group 1");
}

TEST(LeakText, FitsIntoALogLine) {
  Json report = {{"groups", Json::array()}};
  for (int i = 0; i < 50; ++i) report["groups"].push_back(group(std::string(200, '"')));
  const std::string text = leak_text(report);
  EXPECT_LE(Json(text).dump().size(), master::kLeakTextMax + 2);
  EXPECT_THAT(text, EndsWith("; and 43 more groups"));  // 7 of 400 bytes, escaped, and what is between them
  report = {{"groups", {group(std::string(100'000, 'x')), group("second")}}};
  EXPECT_THAT(leak_text(report), EndsWith("x...; second"));
  EXPECT_THAT(leak_text(report), Not(HasSubstr("more groups")));
}

TEST(LeakLines, AreTheApplicationsGroupsUpToTheLimitAndThenTheirNumber) {
  EXPECT_TRUE(leak_lines(Json()).empty());
  Json report = report_of(master::kLeakLinesMax);
  report["groups"].insert(report["groups"].begin(), group("of the server", "server"));
  EXPECT_EQ(leak_lines(report).size(), master::kLeakLinesMax);
  EXPECT_EQ(leak_lines(report).back(), "group 99");
  report["groups"].push_back(group("one too many"));
  EXPECT_EQ(leak_lines(report).size(), master::kLeakLinesMax + 1);
  EXPECT_EQ(leak_lines(report).back(), "and 1 more groups");
}

TEST(LeakText, DoesNotCutACharacterInTwo) {
  for (std::size_t before = 0; before < 4; ++before) {
    std::string text(before, 'x');
    for (int i = 0; i < 1000; ++i) text += "\u20ac";  // three bytes
    EXPECT_NO_THROW(std::ignore = Json(leak_text({{"groups", {group(text)}}})).dump()) << before;
  }
}

}  // namespace
