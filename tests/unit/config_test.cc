// Config: the claims about loading, checking and printing the configuration.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>

#include "common/config_file.h"
#include "common/config_load.h"
#include "common/config_print.h"
#include "common/config_schema.h"
#include "common/config_value.h"

namespace {

using namespace std::chrono_literals;
using common::load_config;
using common::Override;
using common::Sources;
using common::Syntax;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// A file that lives as long as the test.
class ConfigFile {
 public:
  explicit ConfigFile(std::string_view text) {
    path_ = (std::filesystem::temp_directory_path() / "supervisor-config-XXXXXX").string();
    const int fd = mkstemp(path_.data());
    EXPECT_GE(fd, 0);
    close(fd);
    std::ofstream(path_) << text;
  }
  ConfigFile(const ConfigFile&) = delete;
  ConfigFile& operator=(const ConfigFile&) = delete;
  ~ConfigFile() { std::filesystem::remove(path_); }

  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

Override set(const std::string& text) {
  const std::size_t equals = text.find('=');
  return {"--set " + text, text.substr(0, equals), {text.substr(equals + 1)}, Syntax::kToml};
}

std::vector<std::string> mistakes_of(const Sources& sources) {
  const auto loaded = load_config(sources);
  return loaded ? std::vector<std::string>{} : loaded.error();
}

// Mistakes of a file's text, without the path they begin with.
std::vector<std::string> mistakes_in(std::string_view text) {
  const ConfigFile file(text);
  std::vector<std::string> mistakes =
      mistakes_of({.app_path = "", .file = file.path(), .environment = {}, .command_line = {}});
  for (std::string& mistake : mistakes) {
    if (mistake.starts_with(file.path())) mistake.erase(0, file.path().size() + 1);
  }
  return mistakes;
}

common::LoadedConfig loaded(std::vector<Override> command_line, std::string_view file_text = "",
                            std::vector<Override> environment = {}) {
  const ConfigFile file(file_text);
  const auto result = load_config({.app_path = "",
                                   .file = file.path(),
                                   .environment = std::move(environment),
                                   .command_line = std::move(command_line)});
  if (!result) ADD_FAILURE() << ::testing::PrintToString(result.error());
  return result.value();  // throws, which ends the test
}

std::string mistake_of(const std::string& setting) {
  const auto mistakes = mistakes_of({.app_path = "", .file = "", .environment = {}, .command_line = {set(setting)}});
  return mistakes.empty() ? "" : mistakes.front();
}

std::string origin(const common::LoadedConfig& from, std::string_view key) {
  return from.origins[common::find_setting(key).value()];
}

TEST(ConfigFile, NamesLineKeyValueReasonAndFix) {
  EXPECT_THAT(mistakes_in("\n[timeouts]\nheader = 5\n"),
              ElementsAre("3: timeouts.header = 5: needs a unit, for example \"5s\""));
  EXPECT_THAT(mistakes_in("[recycle]\nfds_leakd = 5\n"),
              ElementsAre("2: recycle.fds_leakd: unknown key; did you mean recycle.fds_leaked?"));
}

TEST(ConfigFile, NamesTheLineOfASectionItDoesNotKnowOnce) {
  EXPECT_THAT(mistakes_in("\n[recylce]\nage = \"1s\"\nrss = \"1MiB\"\n"),
              ElementsAre("2: recylce: unknown section; did you mean recycle?"));
  EXPECT_THAT(mistakes_in("[zzz]\n"), ElementsAre("1: zzz: unknown section; see supervisor --help-all"));
}

TEST(ConfigFile, SuggestsTheSectionOfAKeyThatStandsOutside) {
  EXPECT_THAT(mistakes_in("backlog = 5\n"), ElementsAre("1: backlog: unknown key; did you mean listen.backlog?"));
  EXPECT_THAT(mistakes_in("[http]\nbacklog = 5\n"),
              ElementsAre("2: http.backlog: unknown key; did you mean listen.backlog?"));
  EXPECT_THAT(mistakes_in("[http]\nfoo = 5\n"), ElementsAre("2: http.foo: unknown key; see supervisor --help-all"));
}

TEST(ConfigFile, SaysWhenASectionIsWrittenAsAValue) {
  EXPECT_THAT(mistakes_in("workers = 4\n"), ElementsAre("1: workers is a section; write [workers] and its keys below"));
  EXPECT_THAT(mistakes_in("[[workers]]\ncount = 4\n"),
              ElementsAre("1: workers is a section; write [workers] and its keys below"));
  EXPECT_THAT(mistakes_in("app = 4\n"),
              ElementsAre("1: app is the application's table; write [app] and its keys below"));
}

TEST(ConfigFile, MayHaveEmptySections) { EXPECT_THAT(mistakes_in("[workers]\n[app]\n[log]\n"), IsEmpty()); }

TEST(ConfigFile, NamesTheLineThatIsNotToml) {
  const auto mistakes = mistakes_in("[workers]\ncount = = 4\n");
  ASSERT_EQ(mistakes.size(), 1U);
  EXPECT_THAT(mistakes[0], HasSubstr("2: not valid TOML: "));
  EXPECT_EQ(mistakes[0].find('\n'), std::string::npos);
  EXPECT_THAT(mistakes_in("[workers]\ncount = 1\ncount = 2\n").at(0), HasSubstr("3: not valid TOML: "));
}

TEST(ConfigFile, ShortensLongValuesInMessages) {
  const auto mistakes = mistakes_in("[log]\nlevel = \"" + std::string(1000, 'x') + "\"\n");
  ASSERT_EQ(mistakes.size(), 1U);
  EXPECT_LT(mistakes[0].size(), 200U);
  EXPECT_THAT(mistakes[0], HasSubstr("xxx...: must be one of"));
}

TEST(ConfigFile, ReportsEveryMistakeOfEverySourceInOneRun) {
  const ConfigFile file("[workers]\ncuont = 1\n[timeouts]\nheader = 5\n");
  const auto mistakes = mistakes_of({.app_path = "/no/such/app.so",
                                     .file = file.path(),
                                     .environment = {set("log.level=loud")},
                                     .command_line = {set("http.body_mx=1")}});
  EXPECT_THAT(mistakes,
              ElementsAre(file.path() + ":2: workers.cuont: unknown key; did you mean workers.count?",
                          file.path() + ":4: timeouts.header = 5: needs a unit, for example \"5s\"",
                          "SUPERVISOR_ARGS: --set log.level=loud: must be one of trace, debug, info, warn, error",
                          "--set http.body_mx=1: http.body_mx: unknown key; did you mean http.body_max?",
                          "/no/such/app.so: No such file or directory; give the path of the application's shared "
                          "object (app.so)"));
}

TEST(ConfigFile, NamesTheApplicationUnlessTheCommandLineDoes) {
  const ConfigFile app("any regular file will do");
  const ConfigFile other("another");
  const ConfigFile file("application.path = \"" + app.path() + "\"\n");
  Sources sources{
      .app_path = "", .file = file.path(), .environment = {}, .command_line = {}, .app = Sources::App::kNeeded};
  const auto by_file = load_config(sources);
  ASSERT_TRUE(by_file);
  EXPECT_EQ(by_file->config.app_path, app.path());
  EXPECT_EQ(origin(*by_file, "application.path"), file.path() + ":1");
  sources.app_path = other.path();
  const auto by_command_line = load_config(sources);
  ASSERT_TRUE(by_command_line);
  EXPECT_EQ(by_command_line->config.app_path, other.path());
  EXPECT_EQ(origin(*by_command_line, "application.path"), "command line");
}

TEST(ConfigFile, WithoutAnApplicationIsAMistakeOnlyWhereOneIsNeeded) {
  const ConfigFile file("[log]\nlevel = \"loud\"\n");
  Sources sources{
      .app_path = "", .file = file.path(), .environment = {}, .command_line = {}, .app = Sources::App::kNeeded};
  EXPECT_THAT(mistakes_of(sources),
              ElementsAre(file.path() + ":2: log.level = \"loud\": must be one of trace, debug, info, warn, error",
                          file.path() + ": application.path is not set; name the application's shared object there, "
                                        "or on the command line"));
  sources.app = Sources::App::kOptional;
  EXPECT_THAT(mistakes_of(sources), SizeIs(1));
  sources = {
      .app_path = "", .file = "/no/such.toml", .environment = {}, .command_line = {}, .app = Sources::App::kNeeded};
  EXPECT_THAT(mistakes_of(sources), SizeIs(1)) << "what an unread file does not say is no mistake";
}

TEST(ConfigFile, NamesTheOriginOfAnApplicationThatIsNotThere) {
  EXPECT_EQ(mistake_of("application.path=/no/such/app.so"),
            "application.path (command line): /no/such/app.so: No such file or directory; give the path of the "
            "application's shared object (app.so)");
  EXPECT_EQ(mistake_of("application.path=/tmp"),
            "application.path (command line): /tmp: not a regular file; give the path of the application's shared "
            "object (app.so)");
}

TEST(ConfigFile, ThatIsMissingIsNamed) {
  EXPECT_THAT(mistakes_of({.app_path = "", .file = "/no/such.toml", .environment = {}, .command_line = {}}),
              ElementsAre("/no/such.toml: cannot open the configuration file: No such file or directory"));
  EXPECT_THAT(mistakes_of({.app_path = "", .file = "/tmp", .environment = {}, .command_line = {}}),
              ElementsAre("/tmp: cannot read the configuration file: Is a directory"));
}

TEST(ConfigFile, MayHaveOneMebibyteAndNotMore) {
  EXPECT_THAT(mistakes_in(std::string(common::kConfigFileMax, '\n')), IsEmpty());
  EXPECT_THAT(mistakes_in(std::string(common::kConfigFileMax + 1, '\n')).at(0),
              HasSubstr("larger than 1048576 bytes; is this the configuration file?"));
}

TEST(ConfigLoad, LetsLaterSourcesWinAndRemembersWhichDid) {
  const ConfigFile file("[workers]\ncount = 1\n[log]\nlevel = \"warn\"\nformat = \"json\"\n");
  const auto result = load_config({.app_path = "",
                                   .file = file.path(),
                                   .environment = {set("workers.count=2"), set("log.level=debug")},
                                   .command_line = {set("workers.count=3")}});
  ASSERT_TRUE(result);
  EXPECT_EQ(result->config.workers.count, 3U);
  EXPECT_EQ(result->config.log.level, common::LogLevel::kDebug);
  EXPECT_EQ(result->config.log.format, common::LogFormat::kJson);
  EXPECT_EQ(origin(*result, "workers.count"), "command line");
  EXPECT_EQ(origin(*result, "log.level"), "SUPERVISOR_ARGS");
  EXPECT_EQ(origin(*result, "log.format"), file.path() + ":5");
  EXPECT_EQ(origin(*result, "log.access"), "default");
}

TEST(ConfigLoad, TakesTheQuotesOfSetFromAShellOrNot) {
  EXPECT_EQ(loaded({set("timeouts.header=5s")}).config.timeouts.header, 5s);
  EXPECT_EQ(loaded({set("timeouts.header=\"5s\"")}).config.timeouts.header, 5s);
  EXPECT_EQ(loaded({set("workers.pin=true")}).config.workers.pin, true);
  EXPECT_EQ(loaded({set("listen.bind=[\":1\", \"unix:/a\"]")}).config.listen.bind,
            (std::vector<std::string>{":1", "unix:/a"}));
  EXPECT_EQ(loaded({set("listen.bind=:1")}).config.listen.bind, std::vector<std::string>{":1"});
}

TEST(ConfigLoad, RefusesSettingsThatAreNoKeysAndValuesThatAreNoText) {
  EXPECT_EQ(mistake_of("a b=1"), "--set a b=1: \"a b\" is not a key; write section.name=value");
  EXPECT_THAT(mistake_of("log.level=\xff"), HasSubstr(": the value is not UTF-8 text"));
}

TEST(ConfigLoad, RefusesPairsThatContradictEachOther) {
  EXPECT_THAT(mistakes_of({.app_path = "",
                           .file = "",
                           .environment = {},
                           .command_line = {set("restart.backoff_max=50ms"), set("limits.open_files=100"),
                                            set("limits.open_files_reserve=101"), set("limits.connections=101")}}),
              ElementsAre("restart.backoff_first (\"100ms\", default) must not exceed restart.backoff_max (\"50ms\", "
                          "command line); lower the first or raise the second",
                          "limits.open_files_reserve (101, command line) must not exceed limits.open_files (100, "
                          "command line); lower the first or raise the second",
                          "limits.connections (101, command line) must not exceed limits.open_files (100, command "
                          "line); lower the first or raise the second"));
  EXPECT_EQ(mistake_of("restart.backoff_max=100ms"), "");  // equal is no contradiction
}

TEST(ConfigLoad, RefusesAnAddressThatStandsThereTwiceUnlessItsPortIsChosen) {
  EXPECT_EQ(mistake_of("listen.bind=[\":80\", \":80\"]"),
            "listen.bind (command line): \":80\" stands there twice; remove one");
  EXPECT_EQ(mistake_of("listen.bind=[\":0\", \":0\"]"), "");
}

TEST(ConfigLoad, RefusesAnApplicationThatIsNoFile) {
  EXPECT_THAT(mistakes_of({.app_path = "/tmp", .file = "", .environment = {}, .command_line = {}}),
              ElementsAre(HasSubstr("/tmp: not a regular file; give the path")));
}

TEST(ConfigLoad, PassesTheApplicationsTableVerbatim) {
  const auto result = loaded({set("app.redis.url=redis://b"), set("app.\"a.b\"=1")},
                             "[app]\nname = \"shop \\\"x\\\"\"\nratio = 0.5\n[app.redis]\nurl = \"redis://a\"\n"
                             "ports = [1, 2]\n");
  std::vector<std::pair<std::string, std::string>> app;
  app.reserve(result.config.app.size());
  for (const auto& [key, value] : result.config.app) app.emplace_back(key, value);
  EXPECT_THAT(app, ElementsAre(std::pair("\"a.b\"", "1"), std::pair("name", "shop \"x\""), std::pair("ratio", "0.5"),
                               std::pair("redis.ports", "[ 1, 2 ]"), std::pair("redis.url", "redis://b")));
  EXPECT_EQ(result.config.app_toml,
            "\"a.b\" = 1\nname = \"shop \\\"x\\\"\"\nratio = 0.5\nredis.ports = [ 1, 2 ]\nredis.url = \"redis://b\"\n");
}

TEST(ConfigLoad, ReplacesAnApplicationsValueByATableAndTheReverse) {
  EXPECT_EQ(loaded({set("app.cache=off")}, "[app.cache]\nsize = 1\nage = 2\n").config.app_toml, "cache = \"off\"\n");
  EXPECT_EQ(loaded({set("app.cache.size=1")}, "[app]\ncache = \"off\"\n").config.app_toml, "cache.size = 1\n");
}

TEST(ConfigPrint, ShowsTheOriginOfEveryValue) {
  const ConfigFile file("[workers]\ncount = 3\n[app]\ngreeting = \"hi\"\n");
  const auto result =
      load_config({.app_path = "", .file = file.path(), .environment = {set("log.level=warn")}, .command_line = {}});
  ASSERT_TRUE(result);
  const std::string text = common::print_config(*result);
  EXPECT_THAT(text, HasSubstr("[workers]\ncount = 3                                    # " + file.path() + ":2\n"));
  EXPECT_THAT(text, HasSubstr("level = \"warn\"                               # SUPERVISOR_ARGS\n"));
  EXPECT_THAT(text, HasSubstr("backlog = 4096                               # default\n"));
  EXPECT_THAT(text, HasSubstr("[app]\ngreeting = \"hi\"                              # " + file.path() + ":4\n"));
}

TEST(ConfigPrint, MakesTheSameConfigurationWhenItIsReadBack) {
  const auto first = loaded({set("workers.count=7:auto"),
                             set("stop.delay=15s"),
                             set("workers.pin=true"),
                             set("listen.bind=[\":0\", \"unix:/a b\"]"),
                             set("listen.steering=hash"),
                             set("limits.open_files=5000"),
                             set("limits.connections=77"),
                             set("limits.on_full=refuse"),
                             set("recycle.jitter=0.333333333333"),
                             set("recycle.fds_used=1"),
                             set("recycle.rss=123456789B"),
                             set("recycle.age=90s"),
                             set("timeouts.header=12345678ns"),
                             set("log.access=combined"),
                             set("control.socket='/run/\"quoted\"\\x.sock'"),
                             set("control.mode=0640"),
                             set("app.text='line\nbreak\ttab'"),
                             set("app.empty={}"),
                             set("app.day=2025-01-02"),
                             set("app.list=[[1, 'a'], {k = 'v', n = [true]}]"),
                             set("app.\"odd key\".x=-0.0")},
                            "[app.deep.er]\nlong = ['aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', "
                            "'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb', \"it's\"]\n");
  const std::string text = common::print_config(first);
  const auto second = loaded({}, text);
  for (const common::Setting& setting : common::settings()) {
    EXPECT_EQ(common::render(setting, first.config), common::render(setting, second.config)) << setting.key;
    EXPECT_NE(origin(second, setting.key), "default") << setting.key;
  }
  EXPECT_EQ(first.config.app_toml, second.config.app_toml);
  EXPECT_FALSE(first.config.app_toml.empty());
}

}  // namespace
