// Address: the claims about texts of socket addresses.
#include "common/address.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <unistd.h>

#include <cstring>

#include "common/unique_fd.h"

namespace {

using common::Address;
using common::AddressKind;
using ::testing::HasSubstr;

std::string reparsed(std::string_view text) {
  const auto address = Address::parse(text);
  return address ? address->text() : address.error().message;
}

std::string refusal(std::string_view text) {
  const auto address = Address::parse(text);
  return address ? "accepted as " + address->text() : address.error().message;
}

TEST(Address, KeepsTheTextOfWhatItAccepts) {
  for (const char* text : {"127.0.0.1:8000", "0.0.0.0:0", "255.255.255.255:65535", "[::1]:8000", "[::]:0",
                           "[2001:db8::1]:443", "unix:/run/app.sock", "unix:@name"}) {
    EXPECT_EQ(reparsed(text), text);
  }
}

TEST(Address, TakesALackingHostAsEveryAddressAndLocalhostAsTheLoopback) {
  EXPECT_EQ(reparsed(":8000"), "0.0.0.0:8000");
  EXPECT_EQ(reparsed("localhost:8000"), "127.0.0.1:8000");
}

TEST(Address, KnowsItsKind) {
  EXPECT_EQ(Address::parse("127.0.0.1:1")->kind, AddressKind::kTcp);
  EXPECT_EQ(Address::parse("[::1]:1")->kind, AddressKind::kTcp);
  EXPECT_EQ(Address::parse("unix:/a")->kind, AddressKind::kUnixPath);
  EXPECT_EQ(Address::parse("unix:@a")->kind, AddressKind::kUnixAbstract);
}

TEST(Address, KnowsItsPort) {
  EXPECT_EQ(Address::parse("127.0.0.1:65535")->port(), 65535);
  EXPECT_EQ(Address::parse("[::1]:1")->port(), 1);
  EXPECT_EQ(Address::parse("127.0.0.1:0")->port(), 0);
  EXPECT_EQ(Address::parse("unix:/a")->port(), 0);
}

TEST(Address, CoversTheSamePortOfItsFamilyWhenItIsEveryInterface) {
  const auto covers = [](const char* one, const char* other) {
    return Address::parse(one)->covers(*Address::parse(other));
  };
  EXPECT_TRUE(covers(":80", "127.0.0.1:80"));
  EXPECT_TRUE(covers(":80", ":80"));
  EXPECT_TRUE(covers("[::]:80", "[::1]:80"));
  EXPECT_FALSE(covers(":80", "127.0.0.1:81"));
  EXPECT_FALSE(covers("127.0.0.1:80", ":80"));
  EXPECT_FALSE(covers("[::]:80", "127.0.0.1:80"));
  EXPECT_FALSE(covers(":80", "[::1]:80"));
  EXPECT_FALSE(covers(":0", "127.0.0.1:0"));
  EXPECT_FALSE(covers("unix:/a", "unix:/a"));
}

TEST(Address, CanBeBoundAndReadBackFromTheKernel) {
  const std::string unix_name = "unix:@supervisor-address-test-" + std::to_string(getpid());
  for (const std::string& text : {std::string("127.0.0.1:0"), unix_name}) {
    const auto address = Address::parse(text);
    ASSERT_TRUE(address);
    const common::UniqueFd fd(socket(address->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(bind(fd.get(), address->get(), address->length), 0) << text;
    sockaddr_storage bound{};
    socklen_t length = sizeof bound;
    ASSERT_EQ(getsockname(fd.get(), reinterpret_cast<sockaddr*>(&bound), &length), 0);
    const std::string told = common::format_address(bound, length);
    if (text.starts_with("unix:")) {
      EXPECT_EQ(told, text);
    } else {
      EXPECT_THAT(told, ::testing::StartsWith("127.0.0.1:"));
      EXPECT_NE(told, text);
    }
  }
}

TEST(Address, RefusesPortsBeyondSixteenBits) {
  EXPECT_EQ(reparsed("127.0.0.1:65535"), "127.0.0.1:65535");
  for (const char* text :
       {"127.0.0.1:65536", "127.0.0.1:", "127.0.0.1:http", "127.0.0.1:-1", "127.0.0.1:1x", "[::1]:65536", "[::1]:"}) {
    EXPECT_EQ(refusal(text), "address \"" + std::string(text) + "\": the port must be a number from 0 to 65535");
  }
}

TEST(Address, SaysWhatIsMissing) {
  EXPECT_THAT(refusal(""), HasSubstr("must be HOST:PORT, [V6]:PORT, :PORT, unix:/path or unix:@name"));
  EXPECT_THAT(refusal("8000"), HasSubstr("needs a host: \":8000\" or \"127.0.0.1:8000\""));
  EXPECT_THAT(refusal("127.0.0.1"), HasSubstr("needs a port"));
  EXPECT_THAT(refusal("::1:8000"), HasSubstr("an IPv6 address needs brackets: [V6]:PORT"));
  EXPECT_THAT(refusal("[::1]"), HasSubstr("must be [V6]:PORT"));
  EXPECT_THAT(refusal("[::1"), HasSubstr("must be [V6]:PORT"));
  EXPECT_THAT(refusal("[::1]8000"), HasSubstr("must be [V6]:PORT"));
}

TEST(Address, RefusesHostsThatAreNoNumbers) {
  EXPECT_THAT(refusal("example.com:80"),
              HasSubstr("\"example.com\" is not an IPv4 address; names other than localhost"));
  EXPECT_THAT(refusal("127.1:80"), HasSubstr("is not an IPv4 address"));
  EXPECT_THAT(refusal("256.0.0.1:80"), HasSubstr("is not an IPv4 address"));
  EXPECT_THAT(refusal("[127.0.0.1]:80"), HasSubstr("is not an IPv6 address"));
  EXPECT_THAT(refusal("[]:80"), HasSubstr("is not an IPv6 address"));
}

TEST(Address, RefusesWordsForInheritedSockets) {
  for (const char* text : {"fd://3", "systemd", "systemd:web"}) {
    EXPECT_THAT(refusal(text), HasSubstr("stands for an inherited socket")) << text;
  }
}

TEST(Address, RefusesUnixNamesThatAreRelativeOrEmpty) {
  for (const char* text : {"unix:", "unix:@", "unix:app.sock", "unix:./app.sock"}) {
    EXPECT_THAT(refusal(text), HasSubstr("must be unix:/absolute/path or unix:@name")) << text;
  }
  EXPECT_THAT(refusal(std::string_view("unix:/a\0b", 9)), HasSubstr("NUL"));
}

TEST(Address, AcceptsTheLongestUnixPathAndRefusesOneByteMore) {
  const std::string path = "unix:/" + std::string(common::kUnixPathMax - 1, 'p');
  EXPECT_EQ(reparsed(path), path);
  EXPECT_EQ(refusal(path + "p"),
            "address \"" + path + "p\": the path has 108 bytes, the kernel allows 107; use a shorter one");
  const std::string name = "unix:@" + std::string(common::kUnixPathMax, 'n');
  EXPECT_EQ(reparsed(name), name);
  EXPECT_THAT(refusal(name + "n"), HasSubstr("has 108 bytes"));
}

sockaddr_storage peer_v6(const char* text, std::uint16_t port) {
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_port = htons(port);
  EXPECT_EQ(inet_pton(AF_INET6, text, &address.sin6_addr), 1);
  sockaddr_storage storage{};
  std::memcpy(&storage, &address, sizeof address);
  return storage;
}

TEST(Address, FormatsPeersIntoAFixedBuffer) {
  char buffer[common::kPeerTextMax];
  EXPECT_EQ(common::format_peer(Address::parse("255.255.255.255:65535")->storage, buffer), "255.255.255.255:65535");
  EXPECT_EQ(common::format_peer(Address::parse("1.0.20.3:7")->storage, buffer), "1.0.20.3:7");
  EXPECT_EQ(common::format_peer(peer_v6("::1", 80), buffer), "[::1]:80");
  const std::string longest = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
  EXPECT_EQ(common::format_peer(peer_v6(longest.c_str(), 65535), buffer), "[" + longest + "]:65535");
}

TEST(Address, FormatsPeersOfUnixSocketsWithoutAName) {
  char buffer[common::kPeerTextMax];
  sockaddr_storage unnamed{};
  unnamed.ss_family = AF_UNIX;
  EXPECT_EQ(common::format_peer(unnamed, buffer), "unix:");
  EXPECT_EQ(common::format_address(unnamed, sizeof(sa_family_t)), "unix:");
}

}  // namespace
