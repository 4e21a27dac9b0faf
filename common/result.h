// Result<T>: a value, or an Error that says what the world refused, in words an operator can act on.
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace common {

struct Error {
  std::string message;  // one line: the thing, the reason, the fix
  int errnum = 0;       // errno(3), or 0 when no system call was involved
};

template <typename T>
using Result = std::expected<T, Error>;

inline std::unexpected<Error> fail(std::string message, int errnum = 0) {
  return std::unexpected(Error{std::move(message), errnum});
}

// "bind 127.0.0.1:80: Permission denied", with errnum kept.
std::unexpected<Error> fail_errno(std::string_view what, int errnum);

// strerror(3) without its shared buffer: "Permission denied".
std::string errno_text(int errnum);

}  // namespace common
