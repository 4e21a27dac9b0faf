// Descriptors that are never closed: /leak, /leak-peer, /spin.
#pragma once

#include <cstdint>
#include <string_view>
#include <supervisor/app.hpp>

namespace torture {

inline constexpr std::uint64_t kLeakMax = 1'000'000;

// Opens exactly `count` descriptors of a kind: "file", "socket", "pipe" (both ends count) or "eventfd".
supervisor::Response leak(std::string_view kind, std::uint64_t count);

// Connects to 127.0.0.1:port and keeps the socket; it is in CLOSE_WAIT once the peer closes.
supervisor::Response leak_peer(std::uint16_t port);

// A level-triggered epoll loop on a socket in CLOSE_WAIT: ready at once, for ever.
[[noreturn]] void spin();

}  // namespace torture
