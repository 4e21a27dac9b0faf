// Split arguments: SUPERVISOR_ARGS taken apart as a shell would, without expanding anything. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"

namespace master {

// Blanks separate; 'single quotes' keep everything; "double quotes" and bare words know \" \\ and, bare, any \x.
// An open quote or a backslash at the end is an error.
common::Result<std::vector<std::string>> split_arguments(std::string_view text);

}  // namespace master
