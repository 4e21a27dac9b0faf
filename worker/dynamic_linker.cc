// The second door to dlfcn.h: lookups that may happen in the middle of any call of the application.
#include "worker/dynamic_linker.h"

#include <dlfcn.h>
#include <elf.h>
#include <link.h>

#include <cstring>

namespace worker {
namespace {

constexpr std::uintptr_t kPage = 4096;  // the smallest there is: ranges are only ever too small by less than one

struct Filling {
  std::span<CodeRange> ranges;
  std::size_t count = 0;

  void add(std::uintptr_t base, std::span<const ElfW(Phdr)> segments) {
    for (const ElfW(Phdr) & segment : segments) {
      if (segment.p_type != PT_LOAD || (segment.p_flags & PF_X) == 0 || count == ranges.size()) continue;
      const std::uintptr_t begin = base + segment.p_vaddr;
      ranges[count++] = {.begin = begin / kPage * kPage, .end = (begin + segment.p_memsz + kPage - 1) / kPage * kPage};
    }
  }
};

int add_object(dl_phdr_info* object, std::size_t, void* filling) {
  static_cast<Filling*>(filling)->add(object->dlpi_addr, {object->dlpi_phdr, object->dlpi_phnum});
  return 0;
}

}  // namespace

void* next_definition(const char* name) { return dlsym(RTLD_NEXT, name); }

std::size_t code_around(std::uintptr_t address, std::span<CodeRange> ranges) {
  dl_find_object found{};
  if (_dl_find_object(reinterpret_cast<void*>(address), &found) != 0) return 0;
  const auto* const start = static_cast<const std::byte*>(found.dlfo_map_start);
  const auto* const header = reinterpret_cast<const ElfW(Ehdr)*>(start);
  if (std::memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 || header->e_phentsize != sizeof(ElfW(Phdr)) ||
      header->e_phoff + std::size_t{header->e_phnum} * sizeof(ElfW(Phdr)) > kPage) {
    return 0;  // linked in an unusual way: its headers are not where they can be read safely
  }
  Filling filling{.ranges = ranges};
  filling.add(found.dlfo_link_map->l_addr,
              {reinterpret_cast<const ElfW(Phdr)*>(start + header->e_phoff), header->e_phnum});
  return filling.count;
}

std::optional<LoadedObject> object_around(std::uintptr_t address) {
  dl_find_object found{};
  if (_dl_find_object(reinterpret_cast<void*>(address), &found) != 0) return std::nullopt;
  return LoadedObject{.begin = reinterpret_cast<std::uintptr_t>(found.dlfo_map_start),
                      .end = reinterpret_cast<std::uintptr_t>(found.dlfo_map_end),
                      .path = found.dlfo_link_map->l_name};
}

std::size_t code_of_all(std::span<CodeRange> ranges) {
  Filling filling{.ranges = ranges};
  dl_iterate_phdr(add_object, &filling);
  return filling.count;
}

}  // namespace worker
