// The one door to nlohmann/json: a JSON value whose members keep the order in which they were written.
#pragma once

#include <nlohmann/json.hpp>

namespace common {

// Throws when a value is not of the type asked for: ask is_*() first, and parse with allow_exceptions = false.
using Json = nlohmann::ordered_json;

}  // namespace common
