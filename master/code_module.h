// CodeModule: a file of code as a process had it mapped, told by somebody else than the kernel.
#pragma once

#include <cstdint>
#include <string>

#include "common/unique_fd.h"

namespace master {

struct CodeModule {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
  std::uint64_t identity = 0;  // common::identity_of() its beginning
  std::string path;            // "" = the supervisor itself

  bool contains(std::uint64_t address) const { return begin <= address && address < end; }
  std::string name() const;  // without directories; "supervisor" for the supervisor itself
};

// The file, open for reading; none if it has gone, is no regular file, or is another one by now. `path` may be
// anything: nothing but a regular file is opened. Reads 4 KiB.
common::UniqueFd open_module(const CodeModule& module);

}  // namespace master
