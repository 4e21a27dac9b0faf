// StoredName: what is written is read again, within what a manager takes.
#include "master/stored_name.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "master/socket_store.h"

namespace {

using master::format_stored_name;
using master::parse_stored_name;

common::Address address(std::string_view text) { return common::Address::parse(text).value(); }

bool is_allowed(std::string_view name) {  // FDNAME of sd_notify(3)
  return name.size() <= 255 &&
         std::ranges::all_of(name, [](char c) { return c >= ' ' && c < 0x7f && c != ':' && c != '\\'; });
}

TEST(StoredName, CarriesSlotAddressAndWhatWasAsked) {
  const std::string name = format_stored_name(511, address("127.0.0.1:41000"), "127.0.0.1:0", std::nullopt);
  const auto read = parse_stored_name(name);
  ASSERT_TRUE(read) << name;
  EXPECT_EQ(read->slot, 511U);
  EXPECT_EQ(read->address, master::encode_text("127.0.0.1:41000"));
  EXPECT_EQ(read->asked, master::encode_text("127.0.0.1:0"));
  EXPECT_FALSE(read->file);
}

TEST(StoredName, CarriesTheIdentityOfASocketFile) {
  const common::OwnedPath file{
      .path = "/run/a", .device = 2049, .inode = 77, .made = {.tv_sec = 5, .tv_nsec = 999'999'999}};
  const auto read = parse_stored_name(format_stored_name(0, address("unix:/run/a"), "unix:/run/a", file));
  ASSERT_TRUE(read && read->file);
  EXPECT_EQ(read->file->device, 2049U);
  EXPECT_EQ(read->file->inode, 77U);
  EXPECT_EQ(read->file->made.tv_sec, 5);
  EXPECT_EQ(read->file->made.tv_nsec, 999'999'999);
}

TEST(StoredName, IsAllowedAndDistinctForTheLongestAndOddestPaths) {
  const common::OwnedPath file{
      .path = "", .device = ~dev_t{0}, .inode = ~ino_t{0}, .made = {.tv_sec = INT64_MAX, .tv_nsec = 999'999'999}};
  const std::string start = "unix:/" + std::string(105, '\xc3');
  const std::string one = format_stored_name(511, address(start + "a"), start + "b", file);
  const std::string other = format_stored_name(511, address(start + "b"), start + "b", file);
  EXPECT_TRUE(is_allowed(one)) << one;
  EXPECT_NE(one, other);
  EXPECT_TRUE(parse_stored_name(one));
  EXPECT_TRUE(is_allowed(format_stored_name(0, address("unix:/a:b,c\\d e"), "", std::nullopt)));
}

TEST(StoredName, IsNotMistakenForAnActivatedSocketsName) {
  for (const char* name : {"", "listen", "shop.socket", "listen,1,a,", "listen,x,a,,", "listen,1,a,,1.2.3",
                           "listen,1,,,", "listen,1,a,,,"}) {
    EXPECT_FALSE(parse_stored_name(name)) << name;
  }
}

TEST(SocketStore, DropsBeforeItStoresUnderAnotherName) {
  const master::StoredSockets now = {{"a", 1}, {"b", 2}, {"gone", 3}};
  const master::StoredSockets wanted = {{"a", 1}, {"b", 9}, {"new", 3}};
  const master::StoreChange change = master::compare_stores(now, wanted);
  EXPECT_THAT(change.drop, ::testing::ElementsAre("b", "gone"));
  EXPECT_THAT(change.store, ::testing::ElementsAre("b", "new"));
}

}  // namespace
