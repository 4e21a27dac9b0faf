// The dynamic linker as tracing needs it: the definition that ours hides, and where the code of an object lies.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

namespace worker {

// Half open, page by page.
struct CodeRange {
  std::uintptr_t begin;
  std::uintptr_t end;
};

// What `name` would be if this program did not define it; nullptr if nobody else does. Allocates nothing as long as
// there is one, and takes no lock that the thread could not take twice.
void* next_definition(const char* name);

// The executable segments of the object that contains `address`: how many of `ranges` were filled. Async-signal-safe.
std::size_t code_around(std::uintptr_t address, std::span<CodeRange> ranges);

// A library, or the program, as it is mapped.
struct LoadedObject {
  std::uintptr_t begin;
  std::uintptr_t end;
  const char* path;  // the linker's own text; "" for the program
};

// The one around `address`, if there is one. Async-signal-safe.
std::optional<LoadedObject> object_around(std::uintptr_t address);

// Of all objects that are loaded now, in their order. Takes the linker's lock.
std::size_t code_of_all(std::span<CodeRange> ranges);

}  // namespace worker
