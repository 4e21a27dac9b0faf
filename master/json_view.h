// JsonView: reading JSON of which one cannot be sure, to show it to people. Pure.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

#include "common/json.h"

namespace master {

// The member at the end of a path of names; null when one of them is missing. Valid as long as `from`.
const common::Json& member(const common::Json& from, std::initializer_list<std::string_view> path);

// "-" for null. Control bytes of text become '?': they must not drive a terminal.
std::string plain(const common::Json& value);

// At most `bytes` (3 or more) of UTF-8 text, no character cut in two; ends with "..." if that is not all.
std::string shortened(std::string_view text, std::size_t bytes);

}  // namespace master
