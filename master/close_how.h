// CloseHow: what `supervisor close-fd` does to a descriptor of the application.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace master {

enum class CloseHow : std::uint8_t {
  kClose,     // close(2): the number is free at once; what still uses it finds EBADF, or a stranger
  kShutdown,  // shutdown(2) in both directions: the number stays taken, whoever waits on the socket is woken
};

constexpr std::string_view name_of(CloseHow how) {
  switch (how) {
    case CloseHow::kClose: return "close";
    case CloseHow::kShutdown: return "shutdown";
  }
  return "";
}

constexpr std::optional<CloseHow> parse_close_how(std::string_view name) {
  for (const CloseHow how : {CloseHow::kClose, CloseHow::kShutdown}) {
    if (name == name_of(how)) return how;
  }
  return std::nullopt;
}

}  // namespace master
