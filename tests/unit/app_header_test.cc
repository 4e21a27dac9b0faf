// app.hpp: what its classes make of the plain interface.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <supervisor/app.hpp>

namespace {

using testing::Optional;

const std::map<std::string, std::string, std::less<>> kSettings = {
    {"name", "shop"}, {"count", "-5"}, {"ratio", "0.5"}, {"debug", "true"}, {"big", "300"}};

int setting(supervisor_str key, supervisor_str* value) {
  const auto found = kSettings.find(supervisor::to_view(key));
  if (found == kSettings.end()) return 0;
  *value = supervisor::to_str(found->second);
  return 1;
}

const supervisor_field kHeaders[] = {{SUPERVISOR_STR("Content-Type"), SUPERVISOR_STR("text/plain")},
                                     {SUPERVISOR_STR("X-Twice"), SUPERVISOR_STR("first")},
                                     {SUPERVISOR_STR("x-twice"), SUPERVISOR_STR("second")}};

supervisor_request_info g_info = {};

supervisor_host host_of_test() {
  supervisor_host host = {};
  host.setting = setting;
  host.request_info = [](const supervisor_request*) -> const supervisor_request_info* { return &g_info; };
  return host;
}

class AppHeaderTest : public testing::Test {
 protected:
  std::string path_of(std::string_view target) {
    g_info.target = supervisor::to_str(target);
    return std::string(supervisor::Request(&host, nullptr).path());
  }
  std::optional<std::string> query_of(std::string_view target, std::string_view name) {
    g_info.target = supervisor::to_str(target);
    return supervisor::Request(&host, nullptr).query(name);
  }

  supervisor_host host = host_of_test();
  supervisor::Config config{&host};
};

TEST_F(AppHeaderTest, GivesSettingsTheTypeThatIsAskedFor) {
  EXPECT_THAT(config.get<std::string>("name"), Optional(std::string("shop")));
  EXPECT_THAT(config.get<int>("count"), Optional(-5));
  EXPECT_THAT(config.get<double>("ratio"), Optional(0.5));
  EXPECT_THAT(config.get<bool>("debug"), Optional(true));
  EXPECT_EQ(config.get<int>("missing"), std::nullopt);
  EXPECT_EQ(config.get("missing", 7), 7);
  EXPECT_EQ(config.get("missing", "text"), "text");
}

TEST_F(AppHeaderTest, RefusesSettingsThatDoNotFitTheirType) {
  EXPECT_THROW(config.get<int>("name"), std::runtime_error);
  EXPECT_THROW(config.get<int>("ratio"), std::runtime_error);
  EXPECT_THROW(config.get<unsigned>("count"), std::runtime_error);
  EXPECT_THROW(config.get<bool>("count"), std::runtime_error);
  EXPECT_THROW(config.get<std::int8_t>("big"), std::runtime_error);
}

TEST_F(AppHeaderTest, FindsThePathInEveryFormOfTarget) {
  EXPECT_EQ(path_of("/a%20b?c=d"), "/a%20b");
  EXPECT_EQ(path_of("/"), "/");
  EXPECT_EQ(path_of("*"), "*");
  EXPECT_EQ(path_of("http://host:80/a/b?c"), "/a/b");
  EXPECT_EQ(path_of("http://host?c"), "/");
  EXPECT_EQ(path_of("/redirect/http://host/x"), "/redirect/http://host/x");
}

TEST_F(AppHeaderTest, DecodesQueryParameters) {
  EXPECT_THAT(query_of("/?a=b%20c+d&a=second", "a"), Optional(std::string("b c d")));
  EXPECT_THAT(query_of("/?x&a", "a"), Optional(std::string()));
  EXPECT_THAT(query_of("/?%61=1", "a"), Optional(std::string("1")));
  EXPECT_THAT(query_of("/?a=100%&b=%zz%4", "a"), Optional(std::string("100%")));
  EXPECT_THAT(query_of("/?a=100%&b=%zz%4", "b"), Optional(std::string("%zz%4")));
  EXPECT_EQ(query_of("/?ab=1", "a"), std::nullopt);
  EXPECT_EQ(query_of("/", "a"), std::nullopt);
}

TEST_F(AppHeaderTest, FindsTheFirstHeaderInAnyCase) {
  g_info.headers = kHeaders;
  g_info.headers_len = std::size(kHeaders);
  const supervisor::Request request(&host, nullptr);
  EXPECT_THAT(request.header("content-type"), Optional(std::string_view("text/plain")));
  EXPECT_THAT(request.header("X-TWICE"), Optional(std::string_view("first")));
  EXPECT_EQ(request.header("X"), std::nullopt);
  EXPECT_EQ(request.headers().size(), 3U);
}

}  // namespace
