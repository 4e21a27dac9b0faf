// Inherited descriptors: which ones a process has, and how a forked child drops those it was not meant to get.
#pragma once

#include <span>
#include <vector>

namespace common {

// All descriptors of this process, ascending.
std::vector<int> open_descriptors();

// Closes every descriptor from 3 up that is not in `keep` (ascending). For a child after fork(): what the parent
// opened is not its business, however it was opened and whether or not it is close-on-exec.
void close_all_except(std::span<const int> keep);

}  // namespace common
