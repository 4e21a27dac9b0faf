// The one door to fmt: text built from a pattern that is checked while compiling.
#pragma once

#include <fmt/format.h>

namespace common {

// Call it qualified, `common::format(...)`: with an argument of namespace std the bare name finds std::format as well.
using fmt::format;

}  // namespace common
