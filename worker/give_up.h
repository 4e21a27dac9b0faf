// GiveUp: the end of a worker that cannot serve any more and cannot mend it itself.
#pragma once

#include <string_view>

namespace worker {

// Logs `reason` as an error and ends the process at once with kExitGaveUp: the master sees a worker that failed, frees
// its slot and starts another. For what leaves a worker that looks ready and serves nobody: its ring or its listeners
// are gone, because the application closed descriptors that are not its own.
inline constexpr int kExitGaveUp = 70;  // EX_SOFTWARE of sysexits.h
[[noreturn]] void give_up(std::string_view reason, int errnum);

}  // namespace worker
