// Imported symbols: a walk over the dynamic symbol tables of what is loaded (elf(5), dl_iterate_phdr(3)).
#include "worker/imported_symbols.h"

#include <link.h>

#include <algorithm>
#include <array>
#include <cstdint>

namespace worker {
namespace {

constexpr std::array<std::string_view, 12> kSystemLibraries = {"ld-linux",   "linux-vdso",  "libc.so",    "libm.so",
                                                               "libpthread", "libdl.so",    "libgcc_s",   "libstdc++",
                                                               "libasan.so", "libubsan.so", "libtsan.so", "librt.so"};

struct Search {
  std::span<const std::string_view> names;
  std::vector<std::string> found;
};

struct Tables {
  const ElfW(Sym) * symbols = nullptr;
  const char* strings = nullptr;
  const std::uint32_t* gnu_hash = nullptr;
};

// glibc has relocated these pointers when the object was loaded; the vdso, which it has not, is skipped by name.
Tables tables_of(const dl_phdr_info& module) {
  Tables tables;
  for (unsigned i = 0; i < module.dlpi_phnum; ++i) {
    if (module.dlpi_phdr[i].p_type != PT_DYNAMIC) continue;
    const auto* entry = reinterpret_cast<const ElfW(Dyn)*>(module.dlpi_addr + module.dlpi_phdr[i].p_vaddr);
    for (; entry->d_tag != DT_NULL; ++entry) {
      if (entry->d_tag == DT_SYMTAB) tables.symbols = reinterpret_cast<const ElfW(Sym)*>(entry->d_un.d_ptr);
      if (entry->d_tag == DT_STRTAB) tables.strings = reinterpret_cast<const char*>(entry->d_un.d_ptr);
      if (entry->d_tag == DT_GNU_HASH) tables.gnu_hash = reinterpret_cast<const std::uint32_t*>(entry->d_un.d_ptr);
    }
  }
  return tables;
}

bool imports_any(const Tables& tables, std::span<const std::string_view> names) {
  if (tables.symbols == nullptr || tables.strings == nullptr || tables.gnu_hash == nullptr) return false;
  // What is imported is not hashed and comes first; the table's second word is the index of the first hashed symbol.
  const std::uint32_t first_defined = tables.gnu_hash[1];
  for (std::uint32_t i = 1; i < first_defined; ++i) {
    const ElfW(Sym)& symbol = tables.symbols[i];
    if (symbol.st_shndx != SHN_UNDEF) continue;
    if (std::ranges::find(names, std::string_view(tables.strings + symbol.st_name)) != names.end()) return true;
  }
  return false;
}

int visit(dl_phdr_info* module, std::size_t, void* context) {
  auto& search = *static_cast<Search*>(context);
  const std::string_view path = module->dlpi_name;
  const std::string_view name = path.substr(path.rfind('/') + 1);  // npos + 1 is 0: the whole
  if (name.empty()) return 0;                                      // the program itself
  const auto is_prefix = [&](std::string_view system) { return name.starts_with(system); };
  if (std::ranges::any_of(kSystemLibraries, is_prefix)) return 0;
  if (imports_any(tables_of(*module), search.names)) search.found.emplace_back(name);
  return 0;
}

}  // namespace

std::vector<std::string> modules_importing(std::span<const std::string_view> names) {
  Search search{.names = names, .found = {}};
  dl_iterate_phdr(visit, &search);
  return std::move(search.found);
}

}  // namespace worker
