// ConfigSchema: the claims about every key, its type and its limits.
#include "common/config_schema.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <climits>
#include <set>
#include <string>

#include "common/config_file.h"
#include "common/config_load.h"
#include "common/config_value.h"

namespace {

using common::Override;
using common::Syntax;
using ::testing::HasSubstr;

Override set(const std::string& text) {
  const std::size_t equals = text.find('=');
  return {"--set " + text, text.substr(0, equals), {text.substr(equals + 1)}, Syntax::kToml};
}

// The first mistake of one --set, or "".
std::string mistake_of(const std::string& setting) {
  const auto loaded =
      common::load_config({.app_path = "", .file = "", .environment = {}, .command_line = {set(setting)}});
  return loaded ? "" : loaded.error().front();
}

std::string rendered(const common::LoadedConfig& from, std::string_view key) {
  return common::render(common::settings()[common::find_setting(key).value()], from.config);
}

std::string origin(const common::LoadedConfig& from, std::string_view key) {
  return from.origins[common::find_setting(key).value()];
}

TEST(ConfigSchema, NamesEveryKeyOnceInASection) {
  std::set<std::string_view> keys;
  for (const common::Setting& setting : common::settings()) {
    EXPECT_TRUE(keys.insert(setting.key).second) << setting.key;
    EXPECT_NE(setting.key.find('.'), setting.key.npos) << setting.key;
    EXPECT_FALSE(setting.description.empty()) << setting.key;
    EXPECT_FALSE(common::is_later_key(setting.key)) << setting.key;
    EXPECT_TRUE(common::is_section(common::section_of(setting.key))) << setting.key;
  }
}

TEST(ConfigSchema, AcceptsItsOwnDefaults) {
  for (const common::Setting& setting : common::settings()) {
    const std::string written = common::render(setting, {});
    const auto parsed = common::parse_set(setting.key, written);
    ASSERT_TRUE(parsed) << setting.key;
    common::Config config;
    const auto assigned = common::assign(setting, parsed->front().value, config);
    EXPECT_TRUE(assigned) << setting.key << " = " << written << ": " << (assigned ? "" : assigned.error());
    EXPECT_EQ(common::render(setting, config), written);
  }
}

TEST(ConfigSchema, HoldsTheDefaultsOfTheContract) {
  const common::LoadedConfig defaults = common::load_config({}).value();
  for (const auto& [key, value] :
       std::vector<std::pair<std::string, std::string>>{{"workers.count", "\"auto\""},
                                                        {"workers.start_timeout", "\"30s\""},
                                                        {"workers.unavailable_max", "1"},
                                                        {"workers.pin", "false"},
                                                        {"listen.bind", "[\"127.0.0.1:8000\"]"},
                                                        {"listen.backlog", "4096"},
                                                        {"listen.steering", "\"auto\""},
                                                        {"limits.open_files", "\"max\""},
                                                        {"limits.open_files_reserve", "64"},
                                                        {"limits.connections", "\"auto\""},
                                                        {"limits.on_full", "\"evict\""},
                                                        {"recycle.jitter", "0.1"},
                                                        {"recycle.fds_leaked", "256"},
                                                        {"recycle.fds_used", "0.8"},
                                                        {"recycle.fds_exhaustion", "\"1m\""},
                                                        {"recycle.close_wait", "64"},
                                                        {"recycle.close_wait_age", "\"1m\""},
                                                        {"recycle.close_wait_action", "\"recycle\""},
                                                        {"recycle.spin", "\"10s\""},
                                                        {"fds.trace", "\"auto\""},
                                                        {"recycle.age", "\"0s\""},
                                                        {"recycle.rss", "\"0\""},
                                                        {"timeouts.keep_alive", "\"75s\""},
                                                        {"http.body_max", "\"8MiB\""},
                                                        {"restart.backoff_first", "\"100ms\""},
                                                        {"restart.window", "\"1m\""},
                                                        {"stop.delay", "\"0s\""},
                                                        {"control.mode", "\"0600\""}}) {
    EXPECT_EQ(rendered(defaults, key), value) << key;
    EXPECT_EQ(origin(defaults, key), "default") << key;
  }
}

struct Bounds {
  std::string key;
  std::vector<std::string> accepted;  // the limits
  std::vector<std::string> refused;   // one past them
  std::string reason;
};

TEST(ConfigSchema, AcceptsLimitsAndRefusesOnePast) {
  const std::string path_max(107, 'p');
  const std::vector<Bounds> all = {
      {"workers.count",
       {"1", "512", "auto", "1:512", "3:3", "1:auto", "auto:512"},
       {"0", "513", "-1"},
       "must be 1 to 512, \"auto\", or a range of these such as \"2:8\""},
      {"stop.delay", {"0s", "0", "10ms", "1h"}, {"9ms", "3601s"}, "must be 10ms to 1h, or 0 for off"},
      {"workers.start_timeout", {"100ms", "1d"}, {"99ms", "0s", "0", "90000s"}, "must be 100ms to 1d"},
      {"workers.stop_timeout", {"100ms", "1d"}, {"99ms", "0s"}, "must be 100ms to 1d"},
      {"workers.hang_timeout", {"0s", "0", "100ms", "1d"}, {"99ms", "86401s"}, "must be 100ms to 1d, or 0 for off"},
      {"workers.unavailable_max", {"1", "512"}, {"0", "513"}, "must be 1 to 512"},
      {"listen.backlog", {"1", "65535"}, {"0", "65536"}, "must be 1 to 65535"},
      {"limits.open_files", {"64", "1048576", "max"}, {"63", "0", "1048577"}, "must be 64 to 1048576, or \"max\""},
      {"limits.open_files_reserve", {"8", "65536"}, {"7", "65537"}, "must be 8 to 65536"},
      {"limits.connections", {"1", "1048576", "auto"}, {"0", "1048577"}, "must be 1 to 1048576, or \"auto\""},
      {"recycle.interval", {"10ms", "1h"}, {"9ms", "3601s"}, "must be 10ms to 1h"},
      {"recycle.samples", {"1", "1000"}, {"0", "1001"}, "must be 1 to 1000"},
      {"recycle.age_min", {"0s", "1ms", "365d"}, {"366d", "1us"}, "must be 1ms to 365d, or 0 for off"},
      {"recycle.jitter", {"0", "1", "0.5", "1.0"}, {"1.01", "-0.1", "nan", "inf", "many"}, "must be a number, 0 to 1"},
      {"recycle.fds_leaked", {"0", "1", "1048576"}, {"-1", "1048577"}, "must be 1 to 1048576, or 0 for off"},
      {"recycle.fds_used", {"0", "0.8", "1"}, {"1.1", "2"}, "must be a number, 0 to 1"},
      {"recycle.fds_exhaustion", {"0s", "100ms", "1d"}, {"99ms", "86401s"}, "must be 100ms to 1d, or 0 for off"},
      {"recycle.close_wait", {"0", "1", "1048576"}, {"-1", "1048577"}, "must be 1 to 1048576, or 0 for off"},
      {"recycle.close_wait_age", {"0s", "10ms", "1d"}, {"9ms", "86401s"}, "must be 10ms to 1d, or 0 for off"},
      {"recycle.close_wait_action",
       {"recycle", "shutdown", "report"},
       {"close", "\"\"", "1"},
       "must be one of recycle, shutdown, report"},
      {"recycle.spin", {"0s", "100ms", "1d"}, {"99ms", "86401s"}, "must be 100ms to 1d, or 0 for off"},
      {"fds.trace", {"auto", "always", "off"}, {"on", "true"}, "must be one of auto, always, off"},
      {"recycle.requests", {"0", "9223372036854775807"}, {"-1"}, "must be 1 to 9223372036854775807, or 0 for off"},
      {"recycle.age", {"0s", "100ms", "365d"}, {"99ms", "366d"}, "must be 100ms to 365d, or 0 for off"},
      {"recycle.rss", {"0", "1MiB", "16TiB"}, {"1048575B", "17TiB"}, "must be 1MiB to 16TiB, or 0 for off"},
      {"timeouts.header", {"10ms", "1d"}, {"9ms", "0s"}, "must be 10ms to 1d"},
      {"timeouts.body", {"10ms", "1d"}, {"9ms", "0s"}, "must be 10ms to 1d"},
      {"timeouts.write", {"10ms", "1d"}, {"9ms", "0s"}, "must be 10ms to 1d"},
      {"timeouts.keep_alive", {"10ms", "1d"}, {"9ms", "0s"}, "must be 10ms to 1d"},
      {"timeouts.linger", {"10ms", "1h"}, {"9ms", "2h"}, "must be 10ms to 1h"},
      {"timeouts.drain_idle", {"10ms", "1h"}, {"9ms", "2h"}, "must be 10ms to 1h"},
      {"http.request_line_max", {"64B", "1MiB"}, {"63B", "1048577B", "0"}, "must be 64B to 1MiB"},
      {"http.header_bytes_max", {"256B", "16MiB"}, {"255B", "17MiB"}, "must be 256B to 16MiB"},
      {"http.headers_max", {"1", "10000"}, {"0", "10001"}, "must be 1 to 10000"},
      {"http.body_max", {"1B", "1TiB"}, {"0", "1025GiB"}, "must be 1B to 1TiB"},
      {"http.requests_per_connection", {"0", "1"}, {"-1"}, "must be 1 to 9223372036854775807, or 0 for off"},
      {"restart.backoff_max", {"100ms", "1d"}, {"2d", "0s"}, "must be 1ms to 1d"},
      {"restart.backoff_first", {"1ms", "30s"}, {"999us", "2h"}, "must be 1ms to 1h"},
      {"restart.failures_max", {"1", "10000"}, {"0", "10001"}, "must be 1 to 10000"},
      {"restart.window", {"100ms", "1d"}, {"99ms", "2d"}, "must be 100ms to 1d"},
      {"control.mode",
       {"\"0777\"", "\"0000\"", "0600"},
       {"\"01000\"", "\"0900\"", "rw"},
       "must be octal digits, \"0000\" to \"0777\""},
      {"control.socket", {path_max, "\"\""}, {path_max + "p"}, "has 108 bytes, must be a path of at most 107 bytes"},
  };
  for (const Bounds& bounds : all) {
    for (const std::string& value : bounds.accepted) EXPECT_EQ(mistake_of(bounds.key + "=" + value), "");
    for (const std::string& value : bounds.refused) {
      const std::string setting = bounds.key + "=" + value;
      EXPECT_EQ(mistake_of(setting), "--set " + setting + ": " + bounds.reason);
    }
  }
}

TEST(ConfigSchema, TakesAPathOfAnApplicationAsLongAsTheKernelDoes) {
  std::string longest = "/bin/sh";
  while (longest.size() < PATH_MAX - 1) longest.insert(0, "/.");
  ASSERT_EQ(longest.size(), PATH_MAX - 1U);
  EXPECT_EQ(mistake_of("application.path=" + longest), "");
  EXPECT_THAT(mistake_of("application.path=/" + longest), HasSubstr("has 4096 bytes, must be a path of at most 4095"));
}

TEST(ConfigSchema, SaysWhichTypeAValueMustHave) {
  EXPECT_EQ(mistake_of("timeouts.header=5"), "--set timeouts.header=5: needs a unit, for example \"5s\"");
  EXPECT_EQ(mistake_of("http.body_max=5"), "--set http.body_max=5: needs a unit, for example \"5B\"");
  EXPECT_THAT(mistake_of("timeouts.header=true"), HasSubstr(": must be a duration in quotes, for example \"5s\""));
  EXPECT_THAT(mistake_of("http.body_max=1.5"), HasSubstr(": must be a size in quotes, for example \"64KiB\""));
  EXPECT_THAT(mistake_of("http.headers_max=many"), HasSubstr(": must be a whole number, 1 to 10000"));
  EXPECT_THAT(mistake_of("http.headers_max=1.5"), HasSubstr(": must be a whole number, 1 to 10000"));
  EXPECT_THAT(mistake_of("workers.pin=\"true\""), HasSubstr(": must be true or false, without quotes"));
  EXPECT_THAT(mistake_of("workers.pin=1"), HasSubstr(": must be true or false"));
  EXPECT_THAT(mistake_of("log.level=loud"), HasSubstr(": must be one of trace, debug, info, warn, error"));
  EXPECT_THAT(mistake_of("log.level=1"), HasSubstr(": must be one of trace"));
  EXPECT_THAT(mistake_of("listen.bind=8000"), HasSubstr(": must be a list of texts, for example [\"127.0.0.1:8000\"]"));
  EXPECT_THAT(mistake_of("listen.bind=[1, 2]"), HasSubstr(": must be a list of texts"));
  EXPECT_THAT(mistake_of("control.mode=600"), HasSubstr(": must be octal digits in quotes, for example \"0600\""));
  EXPECT_THAT(mistake_of("control.socket=5"), HasSubstr(": must be a path in quotes"));
  EXPECT_THAT(mistake_of("control.socket=\"a\\u0000b\""), HasSubstr(": has a NUL byte; remove it"));
}

TEST(ConfigSchema, ChecksEveryAddressOfTheList) {
  EXPECT_EQ(mistake_of("listen.bind=[\":80\", \":http\"]"),
            "--set listen.bind=[\":80\", \":http\"]: address \":http\": the port must be a number from 0 to 65535");
  EXPECT_THAT(mistake_of("listen.bind=[]"), HasSubstr("must be 1 to 64 addresses"));
}

TEST(ConfigSchema, AcceptsSixtyFourAddressesAndRefusesOneMore) {
  std::string list = "listen.bind=[";
  for (std::uint32_t i = 0; i < common::kBindMax; ++i) list += "\":0\", ";
  EXPECT_EQ(mistake_of(list + "]"), "");
  EXPECT_THAT(mistake_of(list + "\":0\"]"), HasSubstr("must be 1 to 64 addresses"));
}

TEST(ConfigSchema, ReadsARangeOfWorkers) {
  const auto workers_of = [](const std::string& text) {
    const auto loaded = common::load_config(
        {.app_path = "", .file = "", .environment = {set("workers.count=7:9")}, .command_line = {set(text)}});
    EXPECT_TRUE(loaded) << text;
    return loaded ? std::pair(loaded->config.workers.count, loaded->config.workers.count_max)
                  : std::pair<std::uint32_t, std::optional<std::uint32_t>>();
  };
  using Range = std::pair<std::uint32_t, std::optional<std::uint32_t>>;
  EXPECT_EQ(workers_of("workers.count=2:8"), Range(2, 8));
  EXPECT_EQ(workers_of("workers.count=\"2:8\""), Range(2, 8));
  EXPECT_EQ(workers_of("workers.count=10:59"), Range(10, 59)) << "no time of day";
  EXPECT_EQ(workers_of("workers.count=1:auto"), Range(1, 0));
  EXPECT_EQ(workers_of("workers.count=auto:8"), Range(0, 8));
  EXPECT_EQ(workers_of("workers.count=4"), Range(4, std::nullopt)) << "what an earlier source said is gone";
  EXPECT_EQ(workers_of("workers.count=auto"), Range(0, std::nullopt));
}

TEST(ConfigSchema, SaysWhatIsWrongWithARangeOfWorkers) {
  const std::string side = ": each side of the colon must be a number from 1 to 512, or auto";
  for (const char* text :
       {"0:8", "1:513", "1:", ":8", ":", "1:2:3", "-1:8", "1:8 ", "1.5:8", "+1:8", "a:b", "1:99999999999999999999"}) {
    EXPECT_THAT(mistake_of("workers.count=\"" + std::string(text) + "\""), HasSubstr(side)) << text;
  }
  EXPECT_THAT(mistake_of("workers.count=8:2"), HasSubstr(": the first number must not exceed the second"));
  EXPECT_THAT(mistake_of("workers.count=auto:auto"), HasSubstr(": is not a range; write \"auto\""));
  EXPECT_THAT(mistake_of("workers.count=many"), HasSubstr(": must be a whole number, 1 to 512, \"auto\", or a range"));
  EXPECT_THAT(mistake_of("workers.count=[1, 2]"), HasSubstr(": must be a whole number, 1 to 512"));
}

TEST(ConfigSchema, WritesARangeAsItWasGiven) {
  for (const char* text : {"2:8", "1:auto", "auto:8", "3:3"}) {
    const auto loaded = common::load_config(
        {.app_path = "", .file = "", .environment = {}, .command_line = {set("workers.count=" + std::string(text))}});
    ASSERT_TRUE(loaded) << text;
    EXPECT_EQ(rendered(*loaded, "workers.count"), "\"" + std::string(text) + "\"");
  }
}

TEST(ConfigSchema, SaysWhatComesInALaterVersion) {
  for (const char* key : {"workers.threads", "timeouts.request", "timeouts.request_hard", "timeouts.queue",
                          "http.forwarded_allow", "http.proxy_protocol", "admin.bind"}) {
    EXPECT_EQ(mistake_of(std::string(key) + "=0"),
              "--set " + std::string(key) + "=0: " + key + " is not available in this version; remove it");
  }
  EXPECT_THAT(mistake_of("listen.steering=load"),
              HasSubstr("not available in this version; must be one of auto, health, hash"));
  EXPECT_EQ(mistake_of("listen.steering=health"), "");
  EXPECT_EQ(mistake_of("log.format=journal"), "");
  EXPECT_THAT(mistake_of("log.format=syslog"), HasSubstr("must be one of text, json, journal"));
}

}  // namespace
