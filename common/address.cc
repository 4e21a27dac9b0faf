// Address: reading and writing the texts of socket addresses.
#include "common/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <optional>

#include "common/check.h"
#include "common/format.h"

namespace common {
namespace {

std::unexpected<Error> refuse(std::string_view text, std::string_view reason) {
  return fail(common::format("address \"{}\": {}", text, reason));
}

std::optional<in_port_t> parse_port(std::string_view text) {
  std::uint16_t port = 0;
  const char* const begin = text.data();
  const char* const end = begin + text.size();
  const auto [rest, error] = std::from_chars(begin, end, port);
  if (text.empty() || error != std::errc() || rest != end) return std::nullopt;
  return htons(port);
}

Result<Address> parse_unix(std::string_view text) {
  const std::string_view path = text.substr(std::string_view("unix:").size());
  if (path.empty() || path == "@" || (path.front() != '/' && path.front() != '@')) {
    return refuse(text, "must be unix:/absolute/path or unix:@name");
  }
  if (path.find('\0') != path.npos) return refuse(text, "has a NUL byte in its path; remove it");
  const bool is_abstract = path.front() == '@';
  const std::size_t size = is_abstract ? path.size() - 1 : path.size();
  if (size > kUnixPathMax) {
    return refuse(text,
                  common::format("the path has {} bytes, the kernel allows {}; use a shorter one", size, kUnixPathMax));
  }
  Address address;
  address.kind = is_abstract ? AddressKind::kUnixAbstract : AddressKind::kUnixPath;
  sockaddr_un socket_address{};
  socket_address.sun_family = AF_UNIX;
  std::memcpy(socket_address.sun_path, path.data(), path.size());
  if (is_abstract) socket_address.sun_path[0] = '\0';
  std::memcpy(&address.storage, &socket_address, sizeof socket_address);
  // An abstract name ends where its length says; a path includes its closing NUL.
  const std::size_t used = offsetof(sockaddr_un, sun_path) + path.size() + (is_abstract ? 0 : 1);
  address.length = static_cast<socklen_t>(used);
  return address;
}

Result<Address> parse_v6(std::string_view text) {
  const std::size_t close = text.find(']');
  if (close == text.npos || text.substr(close + 1, 1) != ":") {
    return refuse(text, "must be [V6]:PORT, for example \"[::1]:8000\"");
  }
  const auto port = parse_port(text.substr(close + 2));
  if (!port) return refuse(text, "the port must be a number from 0 to 65535");
  sockaddr_in6 socket_address{};
  socket_address.sin6_family = AF_INET6;
  socket_address.sin6_port = *port;
  const std::string host(text.substr(1, close - 1));
  if (inet_pton(AF_INET6, host.c_str(), &socket_address.sin6_addr) != 1) {
    return refuse(text, common::format("\"{}\" is not an IPv6 address", host));
  }
  Address address;
  std::memcpy(&address.storage, &socket_address, sizeof socket_address);
  address.length = sizeof socket_address;
  return address;
}

Result<Address> parse_v4(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == text.npos) {
    if (parse_port(text)) return refuse(text, common::format("needs a host: \":{0}\" or \"127.0.0.1:{0}\"", text));
    return refuse(text, "needs a port, as in HOST:PORT, or is it unix:/path?");
  }
  if (text.find(':') != colon) return refuse(text, "an IPv6 address needs brackets: [V6]:PORT");
  const auto port = parse_port(text.substr(colon + 1));
  if (!port) return refuse(text, "the port must be a number from 0 to 65535");
  std::string host(text.substr(0, colon));
  if (host.empty()) host = "0.0.0.0";
  if (host == "localhost") host = "127.0.0.1";
  sockaddr_in socket_address{};
  socket_address.sin_family = AF_INET;
  socket_address.sin_port = *port;
  if (inet_pton(AF_INET, host.c_str(), &socket_address.sin_addr) != 1) {
    return refuse(text,
                  common::format("\"{}\" is not an IPv4 address; names other than localhost are not resolved", host));
  }
  Address address;
  std::memcpy(&address.storage, &socket_address, sizeof socket_address);
  address.length = sizeof socket_address;
  return address;
}

std::string format_unix(const sockaddr_storage& storage, socklen_t length) {
  sockaddr_un socket_address;
  std::memcpy(&socket_address, &storage, sizeof socket_address);
  constexpr std::size_t kPathOffset = offsetof(sockaddr_un, sun_path);
  if (length <= kPathOffset) return "unix:";
  const std::size_t size = std::min<std::size_t>(length - kPathOffset, sizeof socket_address.sun_path);
  if (socket_address.sun_path[0] != '\0') {
    return "unix:" + std::string(socket_address.sun_path, strnlen(socket_address.sun_path, size));
  }
  return "unix:@" + std::string(socket_address.sun_path + 1, size - 1);
}

}  // namespace

Result<Address> Address::parse(std::string_view text) {
  if (text.empty()) return refuse(text, "must be HOST:PORT, [V6]:PORT, :PORT, unix:/path or unix:@name");
  if (text.starts_with("fd://") || text == "systemd" || text.starts_with("systemd:")) {
    return refuse(text, "stands for an inherited socket, which has no place here; use HOST:PORT or unix:/path");
  }
  if (text.starts_with("unix:")) return parse_unix(text);
  if (text.front() == '[') return parse_v6(text);
  return parse_v4(text);
}

std::string Address::text() const { return format_address(storage, length); }

std::uint16_t Address::port() const {
  if (kind != AddressKind::kTcp) return 0;
  // sin_port and sin6_port lie at the same place.
  sockaddr_in socket_address;
  std::memcpy(&socket_address, &storage, sizeof socket_address);
  return ntohs(socket_address.sin_port);
}

bool Address::covers(const Address& other) const {
  if (port() == 0 || port() != other.port() || storage.ss_family != other.storage.ss_family) return false;
  if (storage.ss_family == AF_INET) {
    sockaddr_in socket_address;
    std::memcpy(&socket_address, &storage, sizeof socket_address);
    return socket_address.sin_addr.s_addr == htonl(INADDR_ANY);
  }
  sockaddr_in6 socket_address;
  std::memcpy(&socket_address, &storage, sizeof socket_address);
  return IN6_IS_ADDR_UNSPECIFIED(&socket_address.sin6_addr);
}

std::string format_address(const sockaddr_storage& storage, socklen_t length) {
  if (storage.ss_family == AF_UNIX) return format_unix(storage, length);
  char buffer[kPeerTextMax];
  return std::string(format_peer(storage, buffer));
}

std::string_view format_peer(const sockaddr_storage& peer, std::span<char> buffer) {
  CHECK(buffer.size() >= kPeerTextMax);
  if (peer.ss_family != AF_INET && peer.ss_family != AF_INET6) return "unix:";
  char* end = buffer.data();
  char* const limit = buffer.data() + buffer.size();
  in_port_t port;
  if (peer.ss_family == AF_INET) {
    sockaddr_in socket_address;
    std::memcpy(&socket_address, &peer, sizeof socket_address);
    port = socket_address.sin_port;
    std::uint8_t octets[4];
    std::memcpy(octets, &socket_address.sin_addr, sizeof octets);
    for (const std::uint8_t octet : octets) {
      if (end != buffer.data()) *end++ = '.';
      end = std::to_chars(end, limit, octet).ptr;
    }
  } else {
    sockaddr_in6 socket_address;
    std::memcpy(&socket_address, &peer, sizeof socket_address);
    port = socket_address.sin6_port;
    char text[INET6_ADDRSTRLEN];
    CHECK(inet_ntop(AF_INET6, &socket_address.sin6_addr, text, sizeof text) != nullptr);
    const std::size_t size = std::strlen(text);
    *end++ = '[';
    end = std::copy_n(text, size, end);
    *end++ = ']';
  }
  *end++ = ':';
  end = std::to_chars(end, limit, ntohs(port)).ptr;
  return {buffer.data(), static_cast<std::size_t>(end - buffer.data())};
}

}  // namespace common
