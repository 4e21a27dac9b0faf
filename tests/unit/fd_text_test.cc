// FdText: what people see of a worker's descriptors.
#include "master/fd_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace {

using common::Json;
using master::FdDetail;
using master::render_fds;
using testing::HasSubstr;
using testing::StartsWith;

constexpr std::string_view kReport = R"json({"slot":0,"pid":7,"generation":1,
  "fds":{"total":330,"owned":14,"baseline":4,"leaked":312},
  "groups":[{"count":14,"owner":"server","text":"14 x TCP ESTABLISHED, connections"},
    {"count":312,"owner":"application","text":"312 x TCP CLOSE_WAIT to 127.0.0.1:6379",
     "stack":["shop.so!connect+0x4c (redis.cc:88)","shop.so!handle+0x10 (shop.cc:9)"]},
    {"count":4,"owner":"application","text":"4 x pipe","stack":["shop.so!load+0x4"]}],
  "descriptors":[{"fd":5,"kind":"pipe","owner":"application","age_s":812.4,"opened_at":"shop.so!load+0x4",
     "text":"pipe, reading end"},
    {"fd":1030,"kind":"TCP","state":"ESTABLISHED","owner":"server","role":"connection",
     "local":"127.0.0.1:8000","peer":"127.0.0.1:9","age_s":null,"opened_at":null},
    {"fd":6,"kind":"file","path":"/tmp/x","deleted":true}],
  "stack":["shop.so!spin+0x1 (spin.cc:3)"],
  "spinning":{"epoll_fd":9,"fd":30,"text":"epoll 9 returns at once for descriptor 30"}})json";

TEST(FdText, ShowsGroupsWithTheirStacksAndTheServersLast) {
  EXPECT_EQ(render_fds(Json::parse(kReport), FdDetail::kGroups),
            "slot 0, pid 7, generation 1: 330 descriptors: 14 of the server, 4 from the start, 312 grown\n"
            "  312 x TCP CLOSE_WAIT to 127.0.0.1:6379\n"
            "      shop.so!connect+0x4c (redis.cc:88)\n"
            "      shop.so!handle+0x10 (shop.cc:9)\n"
            "  4 x pipe\n"
            "  14 x TCP ESTABLISHED, connections\n"
            "  spinning: epoll 9 returns at once for descriptor 30\n"
            "  stack:\n"
            "      shop.so!spin+0x1 (spin.cc:3)\n");
}

TEST(FdText, ListsEveryDescriptorWhenAskedForAll) {
  const std::string text = render_fds(Json::parse(kReport), FdDetail::kAll);
  EXPECT_THAT(text, HasSubstr("        5  pipe, reading end, 13m32s old, opened at shop.so!load+0x4\n"));
  EXPECT_THAT(text, HasSubstr("     1030  TCP ESTABLISHED 127.0.0.1:8000 -> 127.0.0.1:9, of the server, connection\n"));
  EXPECT_THAT(text, HasSubstr("        6  file /tmp/x (deleted)\n"));
  EXPECT_THAT(render_fds(Json{{"descriptors_omitted", true}}, FdDetail::kAll), HasSubstr("too many descriptors"));
}

TEST(FdText, SaysWhatAReportLacks) {
  const Json report = {{"groups_left_out", 2}, {"descriptors_left_out", 9}, {"complaints", {"sockets: not permitted"}}};
  EXPECT_THAT(render_fds(report, FdDetail::kAll),
              HasSubstr("\n  and 2 more groups\n  and 9 more descriptors\n  note: sockets: not permitted\n"));
  EXPECT_THAT(render_fds(Json{{"groups_left_out", 0}, {"complaints", Json::array()}}, FdDetail::kAll),
              testing::Not(HasSubstr("more")));
}

TEST(FdText, ShowsWorkersOneAfterTheOther) {
  const Json gone = {{"slot", 1}, {"pid", 8}, {"error", "the process has ended"}};
  const std::string text = render_fds(Json{{"workers", {Json::parse(kReport), gone}}}, FdDetail::kGroups);
  EXPECT_THAT(text, StartsWith("slot 0, pid 7"));
  EXPECT_THAT(text, testing::EndsWith("\n\nslot 1, pid 8: the process has ended\n"));
  EXPECT_EQ(render_fds(Json{{"workers", Json::array()}}, FdDetail::kGroups), "no worker serves now\n");
}

TEST(FdText, SaysWhatItCanOfAGroupWithoutText) {
  const Json report = {{"groups", {{{"count", 3}, {"kind", "TCP"}, {"state", "CLOSE_WAIT"}, {"peer", "[::1]:1"}}}}};
  EXPECT_THAT(render_fds(report, FdDetail::kGroups), HasSubstr("\n  3 x TCP CLOSE_WAIT [::1]:1\n"));
}

TEST(FdText, LetsNoForeignTextDriveTheTerminal) {
  const Json report = {{"groups", {{{"text", "x\x1b[2J\n"}, {"stack", {"a\x07", "b"}}}}}, {"stack", {"c\r"}}};
  const std::string text = render_fds(report, FdDetail::kAll);
  for (const char c : {'\x1b', '\x07', '\r'}) EXPECT_EQ(text.find(c), std::string::npos);
}

TEST(FdText, SurvivesAnyJson) {
  for (const char* text :
       {"{}", "[]", "null", "5", R"({"workers":5})", R"({"workers":[1,null,[]]})", R"({"groups":{"a":1},"stack":"x"})",
        R"({"groups":[1,{"stack":"x"},{"stack":{"a":1,"b":2}}],"descriptors":[1,{"fd":[]}],"spinning":{}})"}) {
    EXPECT_THAT(render_fds(Json::parse(text), FdDetail::kAll), HasSubstr("slot -, pid -")) << text;
  }
}

}  // namespace
