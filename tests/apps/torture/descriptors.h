// Descriptors that are never closed, or not at once: /leak, /leak-sometimes, /leak-peer, /files, /burst, /spin.
#pragma once

#include <cstdint>
#include <string_view>
#include <supervisor/app.hpp>

namespace torture {

inline constexpr std::uint64_t kLeakMax = 1'000'000;

// Opens exactly `count` descriptors of a kind: "file", "socket" (unix STREAM), "pipe" (both ends count), "eventfd",
// "epoll", "timerfd", "inotify", "memfd" or "tcp" (in CLOSE_WAIT, because the server end has been closed).
supervisor::Response leak(std::string_view kind, std::uint64_t count);

// Leaks one descriptor in every `every`-th call, counted per worker and kind.
supervisor::Response leak_sometimes(std::string_view kind, std::uint64_t every);

// Connects to 127.0.0.1:port and keeps the socket; it is in CLOSE_WAIT once the peer closes.
supervisor::Response leak_peer(std::uint16_t port);

// Opens and closes `count` files, one after the other.
supervisor::Response open_files(std::uint64_t count);

// Opens `count` descriptors (or as many as there are to be had), and closes them all after that time.
supervisor::Response burst(std::uint64_t count, std::uint64_t milliseconds);

// A level-triggered epoll loop on a socket in CLOSE_WAIT: ready at once, for ever. spin() is that loop; spin_thread()
// has a thread of its own for it, and requests are answered as before.
[[noreturn]] void spin();
supervisor::Response spin_thread();

}  // namespace torture
