// Refusals: every input that cannot be served ends the start at once, with a code and a line that says why.
#include <gtest/gtest.h>

#include <ostream>
#include <string>
#include <vector>

#include "support/supervisor_process.h"

namespace {

using support::Defaults;
using support::joined;
using support::SupervisorProcess;

constexpr int kCouldNotStart = 1;
constexpr int kGaveUp = 3;

struct Refused {
  std::string app;
  int code;
  std::vector<std::string> words;  // each must be in the output
};
void PrintTo(const Refused& refused, std::ostream* out) { *out << refused.app; }

void expect_words(const std::string& output, const std::vector<std::string>& words) {
  for (const std::string& word : words) {
    EXPECT_NE(output.find(word), std::string::npos) << "\"" << word << "\" is not in:\n" << output;
  }
}

class RefusedApplication : public ::testing::TestWithParam<Refused> {};

TEST_P(RefusedApplication, IsNamedWithTheReason) {
  const Refused& expected = GetParam();
  SupervisorProcess server({.arguments = joined({{"--workers", "2"},
                                                 support::set("restart.backoff_first", "\"20ms\""),
                                                 support::set("restart.failures_max", "3")}),
                            .app = support::application(expected.app)});
  EXPECT_EQ(server.wait_exit(), expected.code);
  expect_words(server.output(), joined({{expected.app + ".so"}, expected.words}));
}

TEST_P(RefusedApplication, IsRefusedByCheckToo) {
  if (GetParam().code == kGaveUp) GTEST_SKIP() << "check starts no worker";
  SupervisorProcess check({.arguments = {"check", support::application(GetParam().app)}, .defaults = Defaults::kNone});
  EXPECT_EQ(check.wait_exit(), kCouldNotStart);
  expect_words(check.output(), GetParam().words);
}

const Refused kRefusedApplications[] = {
    {"no_such_application", kCouldNotStart, {"No such file"}},
    {"abi_newer", kCouldNotStart, {"interface version", "newer supervisor"}},
    {"abi_older", kCouldNotStart, {"interface version", "this supervisor's headers"}},
    {"size_too_small", kCouldNotStart, {"sizeof(supervisor_app)"}},
    {"kind_unknown", kCouldNotStart, {"kind", "SUPERVISOR_APP_HTTP"}},
    {"handler_unknown", kCouldNotStart, {"handler", "SUPERVISOR_HANDLER_INLINE"}},
    {"no_handler", kCouldNotStart, {"handle is NULL"}},
    {"no_symbol", kCouldNotStart, {"supervisor_application"}},
    {"undefined_symbol", kCouldNotStart, {"undefined symbol", "function_of_a_library_that_was_forgotten"}},
    {"returns_null", kCouldNotStart, {"no licence"}},
    {"returns_null_silently", kCouldNotStart, {"without giving a reason"}},
    {"constructor_throws", kCouldNotStart, {"no licence"}},
    {"load_fails", kCouldNotStart, {"load failed", "the model is missing"}},
    {"load_fails_silently", kCouldNotStart, {"load failed", "without giving a reason"}},
    {"load_throws", kCouldNotStart, {"load failed", "the model is missing"}},
    {"load_crashes", kCouldNotStart, {"killed by SIG"}},
    {"load_exits", kCouldNotStart, {"exited with status"}},
    {"exceptions_escape", kCouldNotStart, {"escaped from load"}},
    {"thread_after_load", kCouldNotStart, {"thread", "worker_start"}},
    {"worker_start_fails", kGaveUp, {"worker_start failed", "no database"}},
    {"worker_start_throws", kGaveUp, {"worker_start failed", "no database"}},
};

INSTANTIATE_TEST_SUITE_P(Broken, RefusedApplication, ::testing::ValuesIn(kRefusedApplications),
                         [](const auto& given) { return given.param.app; });

TEST(Refusal, IsNotForThreadsThatEndBeforeLoadReturns) {
  SupervisorProcess server({.arguments = {"--workers", "1"}, .app = support::application("thread_joined_in_load")});
  EXPECT_TRUE(server.wait_ready(1));
}

TEST(Refusal, NamesAFileThatIsNotASharedObject) {
  const support::TemporaryDirectory directory;
  const std::string path = directory.write("notes.so", "these are notes, not a program\n");
  SupervisorProcess server({.app = path});
  EXPECT_EQ(server.wait_exit(), kCouldNotStart);
  expect_words(server.output(), {path, "not a shared object"});
}

TEST(Refusal, NamesADirectoryGivenAsApplication) {
  const support::TemporaryDirectory directory;
  SupervisorProcess server({.app = directory.path(".")});
  EXPECT_EQ(server.wait_exit(), kCouldNotStart);
  expect_words(server.output(), {directory.path("."), "not a regular file"});
}

struct BadSetting {
  std::string name;
  std::string toml;
  std::vector<std::string> words;
};
void PrintTo(const BadSetting& setting, std::ostream* out) { *out << setting.name; }

class RefusedFile : public ::testing::TestWithParam<BadSetting> {};

TEST_P(RefusedFile, IsNamedWithItsLine) {
  const support::TemporaryDirectory directory;
  const std::string path = directory.write("shop.toml", GetParam().toml);
  SupervisorProcess server({.arguments = {"--config", path}});
  EXPECT_EQ(server.wait_exit(), kCouldNotStart);
  expect_words(server.output(), joined({{path}, GetParam().words}));
}

INSTANTIATE_TEST_SUITE_P(
    Settings, RefusedFile,
    ::testing::Values(
        BadSetting{"UnknownKey", "[workers]\ncuont = 4\n", {"workers.cuont", ":2", "workers.count"}},
        BadSetting{"UnknownSection", "\n\n[recylce]\nrequests = 1\n", {"recylce", ":3", "recycle"}},
        BadSetting{"WrongType", "[http]\nheaders_max = \"many\"\n", {"http.headers_max", ":2", "whole number"}},
        BadSetting{"NoUnit", "[timeouts]\nheader = 10\n", {"timeouts.header", ":2", "unit"}},
        BadSetting{"UnknownUnit", "[timeouts]\nheader = \"10 parsecs\"\n", {"timeouts.header", ":2", "parsecs"}},
        BadSetting{"OutOfRange", "[workers]\ncount = 100000\n", {"workers.count", ":2", "100000"}},
        BadSetting{"Negative", "[recycle]\nrequests = -1\n", {"recycle.requests", ":2", "-1"}},
        BadSetting{"ForLater", "[workers]\nthreads = 4\n", {"workers.threads", "not available in this version"}},
        BadSetting{"Syntax", "[workers\ncount = 4\n", {":1"}}),
    [](const auto& given) { return given.param.name; });

TEST(Refusal, NamesAConfigurationFileThatIsMissing) {
  SupervisorProcess server({.arguments = {"--config", "/no/such/shop.toml"}});
  EXPECT_EQ(server.wait_exit(), kCouldNotStart);
  expect_words(server.output(), {"/no/such/shop.toml", "No such file"});
}

TEST(Refusal, NamesAnUnknownKeyOnTheCommandLine) {
  SupervisorProcess server({.arguments = support::set("http.body_mx", "\"1MiB\"")});
  EXPECT_EQ(server.wait_exit(), kCouldNotStart);
  expect_words(server.output(), {"http.body_mx", "--set", "http.body_max"});
}

TEST(Refusal, NamesAnAddressItCannotRead) {
  for (const char* address : {"127.0.0.1:http", "127.0.0.1:70000", "unix:", "[::1", "nonsense"}) {
    SupervisorProcess server({.arguments = {"--bind", address}});
    EXPECT_EQ(server.wait_exit(), kCouldNotStart) << address;
    expect_words(server.output(), {address});
  }
}

TEST(Check, AcceptsWhatCanBeServed) {
  SupervisorProcess check({.arguments = {"check", support::application("torture")}, .defaults = Defaults::kNone});
  EXPECT_EQ(check.wait_exit(), 0);
}

TEST(Check, NamesAllMistakesAtOnce) {
  const support::TemporaryDirectory directory;
  const std::string path = directory.write("shop.toml", "[workers]\ncuont = 4\n[timeouts]\nheader = 10\n");
  SupervisorProcess check(
      {.arguments = joined({{"check", "--config", path}, support::set("http.body_mx", "1"), {"/no/such/app.so"}}),
       .defaults = Defaults::kNone});
  EXPECT_EQ(check.wait_exit(), kCouldNotStart);
  expect_words(check.output(), {"workers.cuont", "timeouts.header", "http.body_mx", "/no/such/app.so"});
}

TEST(Configuration, IsShownWithTheOriginOfEveryValue) {
  const support::TemporaryDirectory directory;
  const std::string path = directory.write("shop.toml", "[workers]\ncount = 3\n");
  SupervisorProcess shown({.arguments = joined({{"config", "--config", path}, support::set("http.headers_max", "7")}),
                           .variables = {"SUPERVISOR_ARGS=--log-level warn"},
                           .defaults = Defaults::kNone});
  EXPECT_EQ(shown.wait_exit(), 0);
  ASSERT_TRUE(shown.wait_output("headers_max"));
  expect_words(shown.output(),
               {"count = 3", path, "headers_max = 7", "level = \"warn\"", "SUPERVISOR_ARGS", "default"});
}

}  // namespace
