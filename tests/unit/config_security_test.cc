// Config: what may be written for the user, the group and the umask, and that it is printed as it can be read.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "common/config_load.h"
#include "common/config_print.h"

namespace {

using testing::HasSubstr;

std::expected<common::LoadedConfig, std::vector<std::string>> load(const std::string& key, const std::string& value) {
  common::Sources sources;
  sources.command_line.push_back({"--set " + key + "=" + value, key, {value}, common::Syntax::kToml});
  return common::load_config(sources);
}
common::SecuritySettings settings_of(const std::string& key, const std::string& value) {
  const auto loaded = load(key, value);
  EXPECT_TRUE(loaded) << loaded.error().front();
  return loaded ? loaded->config.security : common::SecuritySettings{};
}
std::string mistake_of(const std::string& key, const std::string& value) {
  const auto loaded = load(key, value);
  return loaded ? "" : loaded.error().front();
}

TEST(ConfigSecurity, NamesNobodyByDefault) {
  const common::SecuritySettings security = settings_of("security.user", "\"\"");
  EXPECT_EQ(security.user, "");
  EXPECT_EQ(security.group, "");
  EXPECT_EQ(security.umask, std::nullopt);
}

TEST(ConfigSecurity, TakesNamesAndIds) {
  EXPECT_EQ(settings_of("security.user", "shop").user, "shop");
  EXPECT_EQ(settings_of("security.user", "\"DOMAIN\\\\some one\"").user, "DOMAIN\\some one");
  EXPECT_EQ(settings_of("security.user", "33").user, "33");
  EXPECT_EQ(settings_of("security.group", "\"33\"").group, "33");
  EXPECT_EQ(mistake_of("security.user", "-1"), "--set security.user=-1: must be a name or an id, or empty for none");
  EXPECT_THAT(mistake_of("security.user", "true"), HasSubstr("must be a name or an id"));
  EXPECT_THAT(mistake_of("security.group", "a:b"), HasSubstr("has a character that no account has in its name"));
  EXPECT_THAT(mistake_of("security.group", "\"a\\nb\""), HasSubstr("has a character that no account has in its name"));
}

TEST(ConfigSecurity, TakesNamesOf256BytesAndNoMore) {
  EXPECT_EQ(mistake_of("security.user", std::string(256, 'u')), "");
  EXPECT_THAT(mistake_of("security.user", std::string(257, 'u')), HasSubstr("has 257 bytes, must have at most 256"));
}

TEST(ConfigSecurity, TakesAnOctalMaskOrNone) {
  EXPECT_EQ(settings_of("security.umask", "\"0027\"").umask, 027U);
  EXPECT_EQ(settings_of("security.umask", "\"0\"").umask, 0U);
  EXPECT_EQ(settings_of("security.umask", "\"0777\"").umask, 0777U);
  EXPECT_EQ(settings_of("security.umask", "\"\"").umask, std::nullopt);
  EXPECT_THAT(mistake_of("security.umask", "\"1000\""), HasSubstr("must be octal digits, \"0000\" to \"0777\""));
  EXPECT_THAT(mistake_of("security.umask", "\"0028\""), HasSubstr("must be octal digits"));
  EXPECT_THAT(mistake_of("security.umask", "27"), HasSubstr("must be octal digits in quotes"));
}

TEST(ConfigSecurity, IsPrintedAsItCanBeRead) {
  EXPECT_THAT(common::print_config(load("security.umask", "\"0027\"").value()), HasSubstr("umask = \"0027\" "));
  EXPECT_THAT(common::print_config(load("security.umask", "\"\"").value()), HasSubstr("umask = \"\" "));
  EXPECT_THAT(common::print_config(load("security.user", "33").value()), HasSubstr("user = \"33\" "));
}

}  // namespace
