// StatusText: what people see of a running supervisor.
#include "master/status_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace {

using common::Json;
using master::render_age;
using master::render_bytes;
using master::render_status;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr std::string_view kStatus = R"({"master":{"pid":1,"uptime_s":61.5,"generation":2,
  "open_files":{"soft":1024,"hard":4096},"fds":31},
 "listeners":[{"address":"127.0.0.1:8000","sockets":2,"steering":"hash"}],
 "workers":[{"slot":0,"pid":77,"generation":2,"state":"ready","age_s":3700,"requests":12,"connections":3,"in_flight":1,
   "queued":0,"rss_bytes":1572864,"fds":{"total":20,"owned":14,"baseline":5,"leaked":1,"close_wait":null}},
  {"slot":1,"pid":null,"generation":2,"state":"backoff","age_s":0}],
 "recycled":{"fds_leaked":2,"manual":1,"age":0},"restarts":{"crashed":0,"killed":0},
 "reload":{"state":"ok","last_error":null}})";

TEST(StatusText, ShowsMasterListenersAndWorkers) {
  EXPECT_EQ(render_status(Json::parse(kStatus)),
            "master pid 1, generation 2, up 1m01s, 31 of 1024 descriptors\n"
            "listening on 127.0.0.1:8000, sockets 2, steering hash\n"
            "\n"
            "SLOT  PID  GEN  STATE      AGE  REQUESTS  CONNS      RSS  FDS  LEAKED  CLOSE_WAIT  NOTES\n"
            "   0   77    2  ready    1h01m        12      3  1.5 MiB   20       1           -\n"
            "   1    -    2  backoff     0s         -      -        -    -       -           -\n"
            "\n"
            "recycled: fds_leaked 2, manual 1\n");
}

TEST(StatusText, ShowsTheArithmeticOfTheBudget) {
  const Json budget = {{"open_files", 1024}, {"reserve", 64}, {"headroom", 320}, {"connections_max", 640}};
  EXPECT_THAT(render_status(Json{{"master", {{"budget", budget}}}}),
              HasSubstr("\nper worker 640 connections = 1024 descriptors - 64 reserve - 320 for the application\n"));
  EXPECT_THAT(render_status(Json::object()), Not(HasSubstr("per worker")));
}

TEST(StatusText, NotesWhatIsNotAsItShouldBe) {
  const Json worker = {{"accepting", "full"},
                       {"refused", 12},
                       {"recycle_planned", "fds_leaked"},
                       {"fds", {{"close_wait", 7}, {"trace", "on"}}}};
  const std::string text = render_status(Json{{"workers", Json::array({worker})}});
  EXPECT_THAT(text, HasSubstr("           7  full, refused 12, traced, to be recycled: fds_leaked\n"));
  const Json calm = {{"accepting", "yes"}, {"refused", 0}, {"fds", {{"close_wait", 0}, {"trace", "off"}}}};
  EXPECT_THAT(render_status(Json{{"workers", Json::array({calm})}}), HasSubstr("           0\n"));
}

Json recycle(int pid) {
  return {{"at", "2026-11-21T07:30:00Z"}, {"slot", 0},       {"pid", pid},   {"generation", 1},
          {"reason", "fds_leaked"},       {"measured", 312}, {"limit", 256}, {"left_open", nullptr}};
}

TEST(StatusText, ShowsTheLastRecyclesWithTheirWorstGroups) {
  Json first = recycle(77);
  first["left_open"] = 300;
  first["spinning"] = {{"text", "epoll 9 returns at once for descriptor 30"}};
  for (int i = 1; i <= 4; ++i) first["groups"].push_back({{"text", "group " + std::to_string(i)}});
  const std::string text = render_status(Json{{"recycles", Json::array({first, recycle(78)})}});
  EXPECT_THAT(text, HasSubstr("\nlast recycles:\n"
                              "  2026-11-21T07:30:00Z  slot 0, pid 77, generation 1: fds_leaked 312 (limit 256), left "
                              "300 open\n"
                              "    spinning: epoll 9 returns at once for descriptor 30\n"
                              "    group 1\n    group 2\n    group 3\n"
                              "  2026-11-21T07:30:00Z  slot 0, pid 78, generation 1: fds_leaked 312 (limit 256)\n"));
  EXPECT_THAT(text, Not(HasSubstr("group 4")));
}

TEST(StatusText, ShowsFourRecyclesAndCountsTheRest) {
  Json recycles = Json::array();
  for (int pid = 1; pid <= 4; ++pid) recycles.push_back(recycle(pid));
  EXPECT_THAT(render_status(Json{{"recycles", recycles}}), Not(HasSubstr("more")));
  recycles.push_back(recycle(5));
  const std::string text = render_status(Json{{"recycles", recycles}});
  EXPECT_THAT(text, HasSubstr("pid 4"));
  EXPECT_THAT(text, HasSubstr("  and 1 more\n"));
  EXPECT_THAT(text, Not(HasSubstr("pid 5")));
}

Json crash(int pid) {
  return {{"at", "2026-11-21T07:30:00Z"},    {"slot", 1}, {"pid", pid}, {"generation", 2}, {"end", "killed by SIGSEGV"},
          {"request", "GET /crash?how=segv"}};
}

TEST(StatusText, ShowsTheLastCrashesALineEach) {
  Json unknown = crash(78);
  unknown["request"] = nullptr;
  EXPECT_THAT(render_status(Json{{"crashes", Json::array({crash(77), unknown})}}),
              EndsWith("\nlast crashes:\n"
                       "  2026-11-21T07:30:00Z  slot 1, pid 77, generation 2: killed by SIGSEGV, in hand: GET "
                       "/crash?how=segv\n"
                       "  2026-11-21T07:30:00Z  slot 1, pid 78, generation 2: killed by SIGSEGV\n"));
  Json crashes = Json::array();
  for (int pid = 1; pid <= 5; ++pid) crashes.push_back(crash(pid));
  EXPECT_THAT(render_status(Json{{"crashes", crashes}}), EndsWith("  and 1 more\n"));
  EXPECT_THAT(render_status(Json{{"crashes", Json::array()}}), Not(HasSubstr("crashes")));
  Json of_a_long_path = crash(79);
  of_a_long_path["request"] = std::string(160, 'x');
  EXPECT_THAT(render_status(Json{{"crashes", Json::array({of_a_long_path})}}), EndsWith(std::string(160, 'x') + "\n"));
  of_a_long_path["request"] = std::string(161, 'x');
  EXPECT_THAT(render_status(Json{{"crashes", Json::array({of_a_long_path})}}),
              EndsWith(" " + std::string(157, 'x') + "...\n"));
}

TEST(StatusText, ShowsUpgradesIfThereIsSomethingToSay) {
  const auto shown = [](const Json& upgrade) { return render_status(Json{{"upgrade", upgrade}}); };
  EXPECT_THAT(shown({{"state", "ok"}, {"last_error", nullptr}, {"count", 0}}), Not(HasSubstr("upgrade")));
  EXPECT_THAT(shown({{"state", "running"}, {"last_error", nullptr}, {"count", 2}}),
              HasSubstr("\nupgraded: 2 times\nupgrade: under way\n"));
  EXPECT_THAT(shown({{"state", "failed"}, {"last_error", "no such file"}, {"count", 0}}),
              HasSubstr("\nlast upgrade failed: no such file\n"));
}

TEST(StatusText, ShowsWhoseTheSocketsAreAndWhatIsStored) {
  const Json listener = {{"address", ":80"}, {"sockets", 4}, {"activated", 1}, {"steering", "hash"}};
  EXPECT_THAT(render_status(Json{{"listeners", Json::array({listener})}}),
              HasSubstr("\nlistening on :80, sockets 4 (1 activated), steering hash\n"));
  const auto shown = [](int sockets, bool counters) {
    return render_status(Json{{"stored", {{"sockets", sockets}, {"counters", counters}}}});
  };
  EXPECT_THAT(shown(4, true), HasSubstr("\nstored by the service manager: sockets 4, counters yes\n"));
  EXPECT_THAT(shown(0, true), HasSubstr("sockets 0, counters yes"));
  EXPECT_THAT(shown(0, false), Not(HasSubstr("stored")));
}

TEST(StatusText, ShowsTheTotals) {
  EXPECT_THAT(render_status(Json{{"served", {{"connections", 34}, {"requests", 1203}}}}),
              HasSubstr("\nserved: connections 34, requests 1203\n"));
}

TEST(StatusText, ShowsWhyTheLastReloadFailed) {
  EXPECT_THAT(render_status(Json{{"reload", {{"last_error", "load: no\x1b[2J"}}}}),
              HasSubstr("last reload failed: load: no?[2J\n"));
}

TEST(StatusText, SurvivesAnyJson) {
  for (const char* text :
       {"{}", "[]", "null", "5", R"({"master":5,"listeners":{"a":1},"workers":[1,null,{"fds":[]}]})",
        R"({"recycled":[1],"restarts":{"crashed":"x"},"reload":{"last_error":5}})",
        R"({"crashes":[1,null,{"request":5}],"upgrade":[1],"stored":{"sockets":"x"},"served":{"requests":null}})",
        R"({"crashes":{"a":1},"upgrade":{"count":"x"},"stored":5,"served":[1]})",
        R"({"recycles":[1,null,{"groups":[1]},{"groups":{"a":1}}],"master":{"budget":{"reserve":"x"}}})"}) {
    EXPECT_THAT(render_status(Json::parse(text)), StartsWith("master pid -")) << text;
  }
}

TEST(StatusText, WritesAgesWithTheirTwoLargestUnits) {
  EXPECT_EQ(render_age(0.9), "0s");
  EXPECT_EQ(render_age(59.9), "59s");
  EXPECT_EQ(render_age(60), "1m00s");
  EXPECT_EQ(render_age(3599), "59m59s");
  EXPECT_EQ(render_age(3600), "1h00m");
  EXPECT_EQ(render_age(86'399), "23h59m");
  EXPECT_EQ(render_age(86'400), "1d00h");
  EXPECT_EQ(render_age(-1), "-");
  EXPECT_EQ(render_age(1e300), "-");
}

TEST(StatusText, WritesBytesWithTheirUnit) {
  EXPECT_EQ(render_bytes(0), "0 B");
  EXPECT_EQ(render_bytes(1023), "1023 B");
  EXPECT_EQ(render_bytes(1024), "1.0 KiB");
  EXPECT_EQ(render_bytes(1536.0 * 1024), "1.5 MiB");
  EXPECT_EQ(render_bytes(-1), "-");
}

}  // namespace
