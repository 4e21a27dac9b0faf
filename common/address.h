// Address: a place to listen on, as `--bind` spells it, ready for bind(2).
//
//   127.0.0.1:8000   [::1]:8000   localhost:8000 (is 127.0.0.1)   :8000 (is 0.0.0.0)   port 0 = any free one
//   unix:/run/app.sock            unix:@name (abstract: no file, gone with its last descriptor)
//
// Pure: no name is resolved and nothing is opened, so a configuration can be checked anywhere. Other names than
// localhost are refused, because what they resolve to may change between check and start.
#pragma once

#include <sys/socket.h>
#include <sys/un.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "common/result.h"

namespace common {

enum class AddressKind { kTcp, kUnixPath, kUnixAbstract };

struct Address {
  AddressKind kind = AddressKind::kTcp;
  sockaddr_storage storage{};
  socklen_t length = 0;  // of `storage` that counts: the third argument of bind(2)

  // The error names the text, the reason and the fix.
  static Result<Address> parse(std::string_view text);

  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  std::string text() const;  // as format_address(); for kUnixPath what follows "unix:" is the path

  std::uint16_t port() const;  // 0 = any free one, or not TCP

  // The other's port on every interface of its family; never for port 0. IPv6 does not cover IPv4: see IPV6_V6ONLY in
  // ipv6(7), which the server sets.
  bool covers(const Address& other) const;
};

// Of a unix socket's path or abstract name: sun_path has 108 bytes and one is the closing or the leading NUL (unix(7)).
inline constexpr std::size_t kUnixPathMax = sizeof(sockaddr_un::sun_path) - 1;

// What getsockname(2) or accept(2) said: "127.0.0.1:8000", "[::1]:80", "unix:/path", "unix:@name", "unix:" (unnamed).
std::string format_address(const sockaddr_storage& storage, socklen_t length);

// The longest text of format_peer(): brackets, 45 characters of IPv6, colon, five digits.
inline constexpr std::size_t kPeerTextMax = 2 + 45 + 1 + 5;

// The same for the peer of an accepted connection, without allocating: the text lies in `buffer`, which must hold
// kPeerTextMax characters. Peers of unix sockets are "unix:".
std::string_view format_peer(const sockaddr_storage& peer, std::span<char> buffer);

}  // namespace common
