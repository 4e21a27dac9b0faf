// The ways a handler can end its worker, and the one that only looks like it: /crash.
#pragma once

#include <string_view>

namespace torture {

// "segv", "abort", "kill", "exit" (with status 0: nothing but the missing request tells) or "throw", an exception that
// leaves the handler: the client gets a 500 and the worker lives.
[[noreturn]] void crash(std::string_view how);

}  // namespace torture
