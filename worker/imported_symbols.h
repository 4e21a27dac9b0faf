// Imported symbols: which of the loaded shared objects call functions that have to be known about before they run.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace worker {

// File names of the loaded modules that import at least one of `names`, in load order. The program itself and the
// system's own libraries (libc, the dynamic linker, the C++ runtime, sanitizers) are left out: they import much, and
// what they call is their business. Reads the modules' tables in memory; opens no file.
std::vector<std::string> modules_importing(std::span<const std::string_view> names);

}  // namespace worker
