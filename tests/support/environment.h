// Environment: what the surroundings tell every test: where the binaries are, how patient and how thorough to be.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "common/clock.h"

namespace support {

// The directory with `supervisor` and the applications: $SUPERVISOR_BINARY_DIR, else the build directory.
std::filesystem::path binary_directory();
std::string program();
std::string application(std::string_view name);  // "torture" -> DIR/torture.so

// $SUPERVISOR_TEST_LONG set: the full counts of the acceptance list instead of those that fit a quick run.
bool is_long();
bool is_sanitized();

// How often to do something: `normal` by default (a quarter of it under a sanitizer), `thorough` in the long form.
int effort(int normal, int thorough);

// A deadline that is generous on a slow machine: $SUPERVISOR_TEST_SCALE times `normal` (3 under a sanitizer, else 1).
common::Duration patience(common::Duration normal);

// Raises the soft limit of open files of this process to the hard one; returns it.
std::uint64_t raise_open_files();

}  // namespace support
