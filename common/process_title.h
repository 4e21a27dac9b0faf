// Process title: what ps(1) and top(1) show of a process.
#pragma once

#include <string_view>

namespace common {

// Once, at the beginning of main(): from now on the memory of the arguments and the environment is the title's, and
// environ lives elsewhere. `argv` must not be used afterwards.
void process_title_start(int argc, char** argv);

// "supervisor: worker 0 g1". Cut to the room there is; the thread's name (15 bytes) is what follows "supervisor: ".
void process_title_set(std::string_view title);

}  // namespace common
