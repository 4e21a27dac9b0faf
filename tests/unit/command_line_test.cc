// CommandLine: the claims about what the words after `supervisor` ask for.
#include "master/command_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/config_schema.h"
#include "master/option_table.h"
#include "master/split_arguments.h"

namespace {

using master::Command;
using master::Environment;
using master::Farewell;
using master::OutputStream;
using master::ServerCommand;
using master::ServerVerb;
using master::split_arguments;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

using Words = std::vector<std::string>;

Command parse(const Words& words, const Environment& environment = {}) {
  std::vector<const char*> argv = {"supervisor"};
  for (const std::string& word : words) argv.push_back(word.c_str());
  return master::parse_command_line(static_cast<int>(argv.size()), argv.data(), environment);
}

// Each throws std::bad_variant_access, which ends the test, when the command is of another kind.
ServerCommand server(const Words& words, const Environment& environment = {}) {
  return std::get<ServerCommand>(parse(words, environment));
}
std::string usage_error(const Words& words, const Environment& environment = {}) {
  const auto farewell = std::get<Farewell>(parse(words, environment));
  EXPECT_EQ(farewell.exit_code, 2);
  EXPECT_EQ(farewell.stream, OutputStream::kError);
  const std::string end = "Try 'supervisor --help'.\n";
  EXPECT_TRUE(farewell.text.ends_with(end)) << farewell.text;
  return farewell.text.substr(0, farewell.text.size() - std::min(end.size(), farewell.text.size()));
}

// One line per setting: "written | key | values".
Words described(const std::vector<common::Override>& overrides) {
  Words lines;
  for (const common::Override& item : overrides) {
    std::string line = item.written + " | " + item.key + " |";
    for (const std::string& value : item.values) line += " " + value;
    lines.push_back(line);
  }
  return lines;
}

TEST(CommandLine, RunsUnlessAVerbIsNamed) {
  EXPECT_EQ(server({"app.so"}).verb, ServerVerb::kRun);
  EXPECT_EQ(server({"run", "app.so"}).verb, ServerVerb::kRun);
  EXPECT_EQ(server({"check", "app.so"}).verb, ServerVerb::kCheck);
  EXPECT_EQ(server({"config", "app.so"}).verb, ServerVerb::kConfig);
  EXPECT_EQ(server({"app.so"}).sources.app_path, "app.so");
}

TEST(CommandLine, TurnsOptionsIntoSettings) {
  const auto command =
      server({"-w",           "4",         "--bind",      ":80",    "-b",           "[::1]:81",
              "--control",    "/c",        "--log-level", "debug",  "--log-format", "json",
              "--access-log", "off",       "-c",          "f.toml", "--set",        "timeouts.header=5s",
              "--set",        "app.x=a=b", "app.so"});
  EXPECT_EQ(command.sources.file, "f.toml");
  EXPECT_THAT(command.sources.environment, IsEmpty());
  EXPECT_THAT(described(command.sources.command_line),
              ElementsAre("--workers 4 | workers.count | 4", "--bind | listen.bind | :80 [::1]:81",
                          "--control /c | control.socket | /c", "--log-level debug | log.level | debug",
                          "--log-format json | log.format | json", "--access-log off | log.access | off",
                          "--set timeouts.header=5s | timeouts.header | 5s", "--set app.x=a=b | app.x | a=b"));
}

TEST(CommandLine, TakesOptionsBehindTheApplicationAndWithAnEqualsSign) {
  const auto command = server({"app.so", "--workers=4", "--config=f.toml", "-b", ":80"});
  EXPECT_EQ(command.sources.app_path, "app.so");
  EXPECT_EQ(command.sources.file, "f.toml");
  EXPECT_THAT(described(command.sources.command_line),
              ElementsAre("--workers 4 | workers.count | 4", "--bind :80 | listen.bind | :80"));
}

TEST(CommandLine, LetsTheLastOfARepeatedOptionCount) {
  const auto command = server({"-w", "4", "-w", "auto", "-c", "a", "-c", "b", "app.so"});
  EXPECT_EQ(command.sources.file, "b");
  EXPECT_THAT(described(command.sources.command_line), ElementsAre("--workers auto | workers.count | auto"));
}

TEST(CommandLine, TakesARangeOfWorkersAndADelayOfTheStop) {
  const auto command = server({"-w", "2:8", "--stop-delay", "5s", "app.so"});
  EXPECT_THAT(described(command.sources.command_line),
              ElementsAre("--workers 2:8 | workers.count | 2:8", "--stop-delay 5s | stop.delay | 5s"));
  const auto loaded = common::load_config({"", "", {}, command.sources.command_line});
  ASSERT_TRUE(loaded);
  EXPECT_EQ(loaded->config.workers.count, 2U);
  EXPECT_EQ(loaded->config.workers.count_max, 8U);
  EXPECT_EQ(loaded->config.stop.delay, std::chrono::seconds(5));
}

TEST(CommandLine, DoesNotTakeTheApplicationForAnAddress) {
  const auto command = server({"--bind", ":80", "app.so"});
  EXPECT_EQ(command.sources.app_path, "app.so");
}

TEST(CommandLine, TakesBracketsLiterally) {
  EXPECT_THAT(
      described(server({"--set", "listen.bind=[\":1\", \":2\"]", "-b", "[a,b]", "app.so"}).sources.command_line),
      ElementsAre("--bind [a,b] | listen.bind | [a,b]",
                  "--set listen.bind=[\":1\", \":2\"] | listen.bind | [\":1\", \":2\"]"));
}

TEST(CommandLine, LeavesOptionsOfLaterVersionsToTheConfigurationsMistakes) {
  const auto command = server({"--admin", ":9000", "app.so"});
  EXPECT_THAT(described(command.sources.command_line), ElementsAre("--admin :9000 | admin.bind | :9000"));
  const auto loaded = common::load_config({"", "", {}, command.sources.command_line});
  ASSERT_FALSE(loaded);
  EXPECT_THAT(loaded.error(), ElementsAre("--admin :9000: admin.bind is not available in this version; remove it"));
}

TEST(CommandLine, NamesAWrongValueByItsOption) {
  const auto command = server({"-w", "0", "-b", ":http", "--log-level", "loud", "app.so"});
  const auto loaded = common::load_config({"", "", {}, command.sources.command_line});
  ASSERT_FALSE(loaded);
  EXPECT_THAT(loaded.error(),
              ElementsAre("--workers 0: must be 1 to 512, \"auto\", or a range of these such as \"2:8\"",
                          "--bind :http: address \":http\": the port must be a number from 0 to 65535",
                          "--log-level loud: must be one of trace, debug, info, warn, error"));
}

TEST(CommandLine, NeedsAnApplicationToRunOrCheckOnly) {
  EXPECT_EQ(usage_error({}),
            "supervisor: no application; name it: supervisor [OPTIONS] APP.so, or application.path in --config\n");
  EXPECT_THAT(usage_error({"check", "-w", "4"}), HasSubstr("no application"));
  EXPECT_EQ(server({"config"}).sources.app_path, "");
  EXPECT_EQ(server({"config"}).sources.app, common::Sources::App::kOptional);
  EXPECT_EQ(server({"--config", "/etc/shop.toml"}).sources.app, common::Sources::App::kNeeded);
  EXPECT_EQ(server({"--set", "application.path=/srv/shop.so"}).sources.app_path, "");
}

TEST(CommandLine, TakesOneApplication) {
  EXPECT_EQ(usage_error({"a.so", "b.so"}), "supervisor: unexpected argument \"b.so\"; one application can be given\n");
}

TEST(CommandLine, SuggestsTheOptionThatWasMeant) {
  EXPECT_EQ(usage_error({"--wrokers", "4", "app.so"}),
            "supervisor: unknown option --wrokers; did you mean --workers?\n");
  EXPECT_EQ(usage_error({"--no-such-thing=4", "app.so"}), "supervisor: unknown option --no-such-thing\n");
  EXPECT_EQ(usage_error({"-x", "app.so", "--y"}), "supervisor: unknown option -x\nsupervisor: unknown option --y\n");
}

TEST(CommandLine, SuggestsTheVerbThatWasMeant) {
  EXPECT_EQ(usage_error({"statsu"}),
            "supervisor: \"statsu\" is no verb; did you mean status? (An application of that name: ./statsu)\n");
  EXPECT_THAT(usage_error({"-w", "4", "check", "app.so"}), HasSubstr("check: the verb comes first"));
  EXPECT_EQ(server({"./statsu"}).sources.app_path, "./statsu");
  EXPECT_EQ(server({"app"}).sources.app_path, "app");
}

TEST(CommandLine, SaysWhichOptionLacksItsValue) {
  for (const char* option : {"--workers", "--bind", "--config", "--set", "--control", "--log-level"}) {
    EXPECT_EQ(usage_error({"app.so", option}), "supervisor: " + std::string(option) + ": needs a value\n");
  }
  EXPECT_EQ(usage_error({"--config", "", "app.so"}), "supervisor: --config: needs the name of a file\n");
  EXPECT_EQ(usage_error({"--set", "timeouts.header", "app.so"}),
            "supervisor: --set timeouts.header: write KEY=VALUE, for example --set timeouts.header=10s\n");
  EXPECT_THAT(usage_error({"--set", "=5", "app.so"}), HasSubstr("--set =5: write KEY=VALUE"));
}

TEST(CommandLine, ReportsAllWrongUsageAtOnce) {
  EXPECT_EQ(usage_error({"--set", "a", "--set", "b", "x.so", "y.so"},
                        {.supervisor_args = "'", .runtime_directory = "", .xdg_runtime_dir = ""}),
            "supervisor: SUPERVISOR_ARGS: a quote is not closed; close it\n"
            "supervisor: --set a: write KEY=VALUE, for example --set timeouts.header=10s\n"
            "supervisor: --set b: write KEY=VALUE, for example --set timeouts.header=10s\n"
            "supervisor: unexpected argument \"y.so\"; one application can be given\n");
}

TEST(CommandLine, SaysWhichVerbsComeLater) {
  for (const char* verb : {"top"}) {
    EXPECT_EQ(usage_error({verb, "app.so"}), "supervisor: " + std::string(verb) + ": not available in this version\n");
  }
}

Environment with_arguments(const std::string& arguments) {
  return {.supervisor_args = arguments, .runtime_directory = "", .xdg_runtime_dir = ""};
}

TEST(CommandLine, TakesOptionsOfTheEnvironment) {
  const auto command = server({"-w", "3", "app.so"}, with_arguments("--workers 2 --set 'app.x=a b' -c env.toml"));
  EXPECT_EQ(command.sources.file, "env.toml");
  EXPECT_THAT(described(command.sources.environment),
              ElementsAre("--workers 2 | workers.count | 2", "--set app.x=a b | app.x | a b"));
  EXPECT_THAT(described(command.sources.command_line), ElementsAre("--workers 3 | workers.count | 3"));
  EXPECT_EQ(server({"-c", "own.toml", "app.so"}, with_arguments("-c env.toml")).sources.file, "own.toml");
}

TEST(CommandLine, RefusesWhatIsNoOptionInTheEnvironment) {
  EXPECT_EQ(usage_error({"app.so"}, with_arguments("other.so")),
            "supervisor: SUPERVISOR_ARGS: \"other.so\" is not an option; name the application on the command line\n");
  EXPECT_EQ(usage_error({"app.so"}, with_arguments("--wrokers 3")),
            "supervisor: SUPERVISOR_ARGS: unknown option --wrokers; did you mean --workers?\n");
  EXPECT_EQ(usage_error({"app.so"}, with_arguments("--help")),
            "supervisor: SUPERVISOR_ARGS: --help and --version have no meaning here\n");
  EXPECT_THAT(usage_error({"app.so"}, with_arguments("--set a")),
              HasSubstr("SUPERVISOR_ARGS: --set a: write KEY=VALUE"));
  EXPECT_THAT(usage_error({"app.so"}, with_arguments("--workers")),
              HasSubstr("SUPERVISOR_ARGS: --workers: needs a value"));
}

TEST(CommandLine, ShowsHelpWithEveryOptionAndItsDefault) {
  for (const Words& words : {Words{"--help"}, Words{"-h"}, Words{"status", "--help"}, Words{"check", "--help"}}) {
    const auto farewell = std::get<Farewell>(parse(words));
    EXPECT_EQ(farewell.exit_code, 0);
    EXPECT_EQ(farewell.stream, OutputStream::kOutput);
    for (const master::KeyOption& option : master::kKeyOptions) {
      const bool shown = farewell.text.find("  " + std::string(option.long_name) + " ") != std::string::npos ||
                         farewell.text.find(", " + std::string(option.long_name) + " ") != std::string::npos;
      EXPECT_EQ(shown, option.state == master::OptionState::kAvailable) << option.long_name;
    }
    EXPECT_THAT(farewell.text, HasSubstr("[[\"127.0.0.1:8000\"]]"));
    EXPECT_THAT(farewell.text, HasSubstr("Examples:"));
  }
}

TEST(CommandLine, KeepsItsHelpWithinAHundredAndTwentyColumns) {
  const std::string text = std::get<Farewell>(parse({"--help-all"})).text;
  std::size_t begin = 0;
  for (std::size_t end = text.find('\n'); end != text.npos; begin = end + 1, end = text.find('\n', begin)) {
    EXPECT_LE(end - begin, 120U) << text.substr(begin, end - begin);
  }
}

TEST(CommandLine, ShowsEveryKeyWhenAskedForAllHelp) {
  const std::string text = std::get<Farewell>(parse({"--help-all"})).text;
  for (const common::Setting& setting : common::settings()) {
    EXPECT_THAT(text, HasSubstr("\n  " + std::string(setting.key) + " = "));
  }
}

TEST(CommandLine, ShowsItsVersion) {
  const auto farewell = std::get<Farewell>(parse({"--version"}));
  EXPECT_EQ(farewell.exit_code, 0);
  EXPECT_THAT(farewell.text, StartsWith("supervisor "));
}

TEST(ControlPath, FollowsTheRuleOfTheContract) {
  const Environment all{.supervisor_args = "", .runtime_directory = "/run/shop", .xdg_runtime_dir = "/run/user/1"};
  EXPECT_EQ(master::default_control_path("/srv/shop.so", all), "/run/shop/control.sock");
  const Environment xdg{.supervisor_args = "", .runtime_directory = "", .xdg_runtime_dir = "/run/user/1"};
  EXPECT_EQ(master::default_control_path("shop.so", xdg), "/run/user/1/supervisor/shop.sock");
  EXPECT_EQ(master::default_control_path("./shop.v2.so", {}), "/run/supervisor/shop.v2.sock");
  EXPECT_EQ(master::default_control_path("shop", {}), "/run/supervisor/shop.sock");
}

TEST(ControlPath, IsTheFirstOfSeveralRuntimeDirectories) {
  const Environment two{.supervisor_args = "", .runtime_directory = "/run/a:/run/b", .xdg_runtime_dir = ""};
  EXPECT_EQ(master::default_control_path("shop.so", two), "/run/a/control.sock");
}

TEST(ControlPath, IsTheOnlySocketFoundOrAQuestion) {
  EXPECT_EQ(master::choose_control_path({"/a.sock"}, {"/"}).value(), "/a.sock");
  EXPECT_EQ(master::choose_control_path({}, {"/x", "/y"}).error().message,
            "no control socket in /x or /y; is a supervisor running? Say which with --control PATH");
  EXPECT_EQ(master::choose_control_path({"/a.sock", "/b.sock"}, {"/"}).error().message,
            "several supervisors run; choose with --control PATH: /a.sock, /b.sock");
}

TEST(SplitArguments, FollowsTheQuotingOfAShell) {
  EXPECT_THAT(split_arguments("").value(), IsEmpty());
  EXPECT_THAT(split_arguments(" \t\n").value(), IsEmpty());
  EXPECT_THAT(split_arguments(" a  b\tc\n").value(), ElementsAre("a", "b", "c"));
  EXPECT_THAT(split_arguments("'a b' \"c d\" e\\ f").value(), ElementsAre("a b", "c d", "e f"));
  EXPECT_THAT(split_arguments("x='a'\"b\"c ''").value(), ElementsAre("x=abc", ""));
  EXPECT_THAT(split_arguments(R"("\"q\" \\ \n" '\')").value(), ElementsAre(R"("q" \ \n)", R"(\)"));
  EXPECT_THAT(split_arguments("$HOME *").value(), ElementsAre("$HOME", "*"));
}

TEST(SplitArguments, RefusesWhatIsNotFinished) {
  EXPECT_EQ(split_arguments("'a").error().message, "a quote is not closed; close it");
  EXPECT_EQ(split_arguments("\"a").error().message, "a quote is not closed; close it");
  EXPECT_EQ(split_arguments("a\\").error().message, "ends with a backslash; remove it or double it");
}

}  // namespace
