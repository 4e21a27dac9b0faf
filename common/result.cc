// Result<T>: the wording of errors that come from system calls.
#include "common/result.h"

#include <cstring>

namespace common {

std::string errno_text(int errnum) {
  char buffer[128];
  return strerror_r(errnum, buffer, sizeof buffer);  // the GNU variant: returns the text, maybe not in `buffer`
}

std::unexpected<Error> fail_errno(std::string_view what, int errnum) {
  std::string message(what);
  message += ": ";
  message += errno_text(errnum);
  return std::unexpected(Error{std::move(message), errnum});
}

}  // namespace common
