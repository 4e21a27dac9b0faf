// ClientCommand: what the words behind `status`, `fds`, `recycle` and their kin ask for.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <variant>
#include <vector>

#include "master/command_line.h"

namespace {

using master::ClientRequest;
using master::ClientVerb;
using master::Command;
using master::Environment;
using master::Farewell;
using master::OutputForm;
using ::testing::ElementsAre;

using Words = std::vector<std::string>;

Command parse(const Words& words, const Environment& environment) {
  std::vector<const char*> argv = {"supervisor"};
  for (const std::string& word : words) argv.push_back(word.c_str());
  return master::parse_command_line(static_cast<int>(argv.size()), argv.data(), environment);
}

// Each throws std::bad_variant_access, which ends the test, when the command is of another kind.
ClientRequest client(const Words& words, const Environment& environment = {}) {
  return std::get<ClientRequest>(parse(words, environment));
}
std::string usage_error(const Words& words) {
  const auto farewell = std::get<Farewell>(parse(words, {}));
  EXPECT_EQ(farewell.exit_code, 2);
  const std::string end = "Try 'supervisor --help'.\n";
  EXPECT_TRUE(farewell.text.ends_with(end)) << farewell.text;
  return farewell.text.substr(0, farewell.text.size() - std::min(end.size(), farewell.text.size()));
}

TEST(ClientCommand, IsUnderstood) {
  EXPECT_EQ(client({"status", "--control", "/c"}).verb, ClientVerb::kStatus);
  EXPECT_EQ(client({"stop", "--control", "/c"}).verb, ClientVerb::kStop);
  EXPECT_EQ(client({"status", "--control", "/c"}).form, OutputForm::kText);
  EXPECT_EQ(client({"status", "--json", "--control", "/c"}).form, OutputForm::kJson);
  EXPECT_EQ(client({"recycle", "--slot", "3"}).slot, 3U);
  EXPECT_EQ(client({"scale", "8"}).workers, 8U);
  EXPECT_EQ(client({"scale", "--workers", "8"}).workers, 8U);
}

TEST(ClientCommand, TakesTheControlPathFromTheMostSpecificSource) {
  const Environment environment{
      .supervisor_args = "--control /env", .runtime_directory = "", .xdg_runtime_dir = "/run/user/1"};
  EXPECT_EQ(client({"status", "--control", "/own", "app.so"}, environment).control_path, "/own");
  EXPECT_EQ(client({"status", "app.so"}, environment).control_path, "/env");
}

TEST(ClientCommand, DerivesTheControlPathFromTheApplication) {
  EXPECT_EQ(client({"status", "/srv/shop.so"}).control_path, "/run/supervisor/shop.sock");
  EXPECT_EQ(client({"scale", "4", "/srv/shop.so"}).control_path, "/run/supervisor/shop.sock");
  EXPECT_EQ(client({"scale", "-w", "4", "/srv/shop.so"}).control_path, "/run/supervisor/shop.sock");
}

TEST(ClientCommand, KnowsWhereAUnitOfThatNameHasItsSocket) {
  EXPECT_EQ(client({"status", "shop"}).unit_control_path, "/run/supervisor/shop/control.sock");
  EXPECT_EQ(client({"status", "/srv/shop.so"}).unit_control_path, "/run/supervisor/shop/control.sock");
  EXPECT_EQ(client({"status"}).unit_control_path, "");
  EXPECT_EQ(client({"status", "--control", "/own", "shop"}).unit_control_path, "");
  const Environment of_unit{.supervisor_args = "", .runtime_directory = "/r", .xdg_runtime_dir = ""};
  EXPECT_EQ(client({"reload", "shop"}, of_unit).unit_control_path, "");
}

TEST(ClientCommand, LooksIntoDirectoriesWhenNothingSaysWhere) {
  const auto request = client({"status"}, {.supervisor_args = "", .runtime_directory = "", .xdg_runtime_dir = "/x"});
  EXPECT_EQ(request.control_path, "");
  EXPECT_THAT(request.control_directories, ElementsAre("/x/supervisor", "/run/supervisor"));
  EXPECT_EQ(client({"status"}, {.supervisor_args = "", .runtime_directory = "/r", .xdg_runtime_dir = ""}).control_path,
            "/r/control.sock");
}

TEST(ClientCommand, RefusesNumbersThatAreMissingOrOutOfRange) {
  EXPECT_EQ(usage_error({"recycle"}), "supervisor: recycle: which worker? Say --slot N\n");
  EXPECT_EQ(usage_error({"scale"}), "supervisor: scale: how many workers? Say supervisor scale N\n");
  EXPECT_EQ(client({"recycle", "--slot", "511"}).slot, 511U);
  EXPECT_EQ(client({"recycle", "--slot", "0"}).slot, 0U);
  EXPECT_EQ(usage_error({"recycle", "--slot", "512"}), "supervisor: --slot \"512\": must be a number from 0 to 511\n");
  EXPECT_EQ(client({"scale", "512"}).workers, 512U);
  EXPECT_EQ(usage_error({"scale", "513"}), "supervisor: scale \"513\": must be a number from 1 to 512\n");
  EXPECT_EQ(usage_error({"scale", "0"}), "supervisor: scale \"0\": must be a number from 1 to 512\n");
  EXPECT_EQ(usage_error({"scale", "app.so"}), "supervisor: scale \"app.so\": must be a number from 1 to 512\n");
}

TEST(ClientCommand, AsksForTheDescriptorsOfOneWorkerOrAll) {
  EXPECT_EQ(client({"fds"}).verb, ClientVerb::kFds);
  EXPECT_EQ(client({"fds"}).slot, std::nullopt);
  EXPECT_EQ(client({"fds"}).detail, master::FdDetail::kGroups);
  EXPECT_EQ(client({"fds", "--slot", "2", "shop.so"}).slot, 2U);
  EXPECT_EQ(client({"fds", "--all"}).detail, master::FdDetail::kAll);
  EXPECT_EQ(client({"fds", "--json"}).form, OutputForm::kJson);
  EXPECT_EQ(usage_error({"fds", "--slot", "512"}), "supervisor: --slot \"512\": must be a number from 0 to 511\n");
  EXPECT_EQ(usage_error({"fds", "--slot", "x"}), "supervisor: --slot \"x\": must be a number from 0 to 511\n");
}

TEST(ClientCommand, ClosesADescriptor) {
  const ClientRequest request = client({"close-fd", "--slot", "2", "--fd", "30"});
  EXPECT_EQ(request.verb, ClientVerb::kCloseFd);
  EXPECT_EQ(request.slot, 2U);
  EXPECT_EQ(request.fd, 30U);
  EXPECT_EQ(request.how, master::CloseHow::kClose);
  EXPECT_EQ(client({"close-fd", "--slot", "2", "--fd", "30", "--shutdown"}).how, master::CloseHow::kShutdown);
  EXPECT_EQ(client({"close-fd", "--slot", "2", "--fd", "2147483647"}).fd, 2'147'483'647U);
  EXPECT_EQ(usage_error({"close-fd", "--slot", "2", "--fd", "2147483648"}),
            "supervisor: --fd \"2147483648\": must be a number from 0 to 2147483647\n");
  EXPECT_EQ(usage_error({"close-fd"}),
            "supervisor: close-fd: of which worker? Say --slot N\n"
            "supervisor: close-fd: which descriptor? Say --fd M; supervisor fds --all lists them\n");
}

TEST(ClientCommand, RefusesOptionsOfOtherVerbs) {
  EXPECT_EQ(usage_error({"status", "--slot", "1"}), "supervisor: unknown option --slot\n");
  EXPECT_EQ(usage_error({"status", "--all"}), "supervisor: unknown option --all\n");
  EXPECT_EQ(usage_error({"fds", "--fd", "3"}), "supervisor: unknown option --fd\n");
  EXPECT_EQ(usage_error({"recycle", "--slot", "3", "--shutdown"}), "supervisor: unknown option --shutdown\n");
  EXPECT_EQ(usage_error({"status", "-c", "x"}), "supervisor: unknown option -c\n");
  EXPECT_EQ(usage_error({"status", "a.so", "b.so"}), "supervisor: unexpected argument \"b.so\"\n");
  EXPECT_EQ(usage_error({"status", "--control", ""}), "supervisor: --control: needs a path\n");
}

}  // namespace
