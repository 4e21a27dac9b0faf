// SourceFrames: a walk through the debugging entries of a compilation unit (libdw).
#include "master/source_frames.h"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <elfutils/libdwfl.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <iterator>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

namespace master {
namespace {

constexpr int kDepthMax = 256;  // of blocks and inlined functions in each other

struct Free {
  void operator()(void* memory) const { std::free(memory); }
};

// One stretch of a function's code.
struct FunctionRange {
  Dwarf_Addr begin = 0;
  Dwarf_Addr end = 0;
  Dwarf_Die die{};
};

bool is_system_header(std::string_view file) {
  return file.starts_with("/usr/include/") || file.starts_with("/usr/lib/") || file.find("/include/c++/") != file.npos;
}

// The declaration inside its class, of the function that `die` is an instance or the definition of.
Dwarf_Die declaration_of(Dwarf_Die die) {
  for (const unsigned name : {DW_AT_abstract_origin, DW_AT_specification}) {
    Dwarf_Attribute attribute;
    Dwarf_Die next;
    if (dwarf_formref_die(dwarf_attr(&die, name, &attribute), &next) != nullptr) die = next;
  }
  return die;
}

// "shop::(anonymous namespace)::Pool::connect": what is local to a file has no name for the linker, only scopes.
std::string scoped_name(Dwarf_Die* die) {
  Dwarf_Die declaration = declaration_of(*die);
  Dwarf_Die* scopes = nullptr;
  const int count = dwarf_getscopes_die(&declaration, &scopes);
  const std::unique_ptr<Dwarf_Die, Free> memory(scopes);
  const char* own = dwarf_diename(&declaration);
  std::string text = own == nullptr ? "" : own;
  for (int i = 1; i < count && !text.empty(); ++i) {
    const int tag = dwarf_tag(&scopes[i]);
    const char* name = dwarf_diename(&scopes[i]);
    if (tag == DW_TAG_namespace) {
      text = std::string(name == nullptr ? "(anonymous namespace)" : name) + "::" + text;
    } else if ((tag == DW_TAG_class_type || tag == DW_TAG_structure_type) && name != nullptr) {
      text = std::string(name) + "::" + text;
    }
  }
  return text;
}

// "" if the linker does not know it.
std::string linkage_name(Dwarf_Die* die) {
  for (const unsigned name : {DW_AT_linkage_name, DW_AT_MIPS_linkage_name}) {
    Dwarf_Attribute attribute;
    const char* text = dwarf_formstring(dwarf_attr_integrate(die, name, &attribute));
    if (text != nullptr) return text;
  }
  return "";
}

int number_of(Dwarf_Die* die, unsigned name) {
  Dwarf_Attribute attribute;
  Dwarf_Word value = 0;
  return dwarf_formudata(dwarf_attr(die, name, &attribute), &value) == 0 ? static_cast<int>(value) : 0;
}

// Where the inlined function `die` was called.
std::pair<std::string, int> call_site(Dwarf_Die* unit, Dwarf_Die* die) {
  Dwarf_Files* files = nullptr;
  std::size_t count = 0;
  const int index = number_of(die, DW_AT_call_file);
  if (dwarf_getsrcfiles(unit, &files, &count) != 0 || index < 0 || static_cast<std::size_t>(index) >= count) return {};
  const char* file = dwarf_filesrc(files, static_cast<std::size_t>(index), nullptr, nullptr);
  return {file == nullptr ? "" : file, number_of(die, DW_AT_call_line)};
}

// Compilers other than gcc may leave out the index of addresses (.debug_aranges): then every unit is asked.
Dwarf_Die* unit_at(Dwfl_Module* module, Dwarf_Addr address, Dwarf_Addr* bias) {
  Dwarf_Die* const indexed = dwfl_module_addrdie(module, address, bias);
  if (indexed != nullptr) return indexed;
  Dwarf_Die* unit = nullptr;
  while ((unit = dwfl_module_nextcu(module, unit, bias)) != nullptr) {
    if (dwarf_haspc(unit, address - *bias) > 0) return unit;
  }
  return nullptr;
}

std::vector<FunctionRange> functions_of(Dwarf_Die* unit) {
  std::vector<FunctionRange> list;
  const auto keep = [](Dwarf_Die* die, void* to) {
    Dwarf_Addr base = 0;
    FunctionRange range{.die = *die};
    for (std::ptrdiff_t next = 0; (next = dwarf_ranges(die, next, &base, &range.begin, &range.end)) > 0;) {
      static_cast<std::vector<FunctionRange>*>(to)->push_back(range);
    }
    return static_cast<int>(DWARF_CB_OK);
  };
  dwarf_getfuncs(unit, keep, &list, 0);
  std::ranges::sort(list, {}, &FunctionRange::begin);
  return list;
}

// The inlined functions around `address`, outermost first.
void find_inlined(Dwarf_Die* parent, Dwarf_Addr address, int depth, std::vector<Dwarf_Die>& found) {
  Dwarf_Die child;
  if (depth > kDepthMax || dwarf_child(parent, &child) != 0) return;
  do {
    const int tag = dwarf_tag(&child);
    if (tag != DW_TAG_inlined_subroutine && tag != DW_TAG_lexical_block) continue;
    if (dwarf_haspc(&child, address) <= 0) continue;
    if (tag == DW_TAG_inlined_subroutine) found.push_back(child);
    find_inlined(&child, address, depth + 1, found);
    return;
  } while (dwarf_siblingof(&child, &child) == 0);
}

}  // namespace

// By the place of an entry in memory.
struct SourceFrames::Units {
  std::unordered_map<void*, std::vector<FunctionRange>> functions;  // of a unit
  std::unordered_map<void*, std::string> names;                     // of an inlined function

  const FunctionRange* function_at(Dwarf_Die* unit, Dwarf_Addr pc);
  const std::string& name_of(Dwarf_Die* inlined);
};

const FunctionRange* SourceFrames::Units::function_at(Dwarf_Die* unit, Dwarf_Addr pc) {
  const auto [known, is_new] = functions.try_emplace(unit->addr);
  if (is_new) known->second = functions_of(unit);
  const auto after = std::ranges::upper_bound(known->second, pc, {}, &FunctionRange::begin);
  return after != known->second.begin() && pc < std::prev(after)->end ? &*std::prev(after) : nullptr;
}

const std::string& SourceFrames::Units::name_of(Dwarf_Die* inlined) {
  const auto [known, is_new] = names.try_emplace(declaration_of(*inlined).addr);
  if (is_new) known->second = linkage_name(inlined);
  if (is_new && known->second.empty()) known->second = scoped_name(inlined);
  return known->second;
}

SourceFrames::SourceFrames() : units_(std::make_unique<Units>()) {}
SourceFrames::~SourceFrames() = default;

std::optional<SourceFrame> SourceFrames::at(Dwfl_Module* module, std::uint64_t address) {
  Dwarf_Addr bias = 0;
  Dwarf_Die* const unit = unit_at(module, address, &bias);
  if (unit == nullptr) return std::nullopt;
  const Dwarf_Addr pc = address - bias;
  SourceFrame frame;
  if (Dwarf_Line* const source = dwarf_getsrc_die(unit, pc)) {
    const char* name = dwarf_linesrc(source, nullptr, nullptr);
    frame.file = name == nullptr ? "" : name;
    dwarf_lineno(source, &frame.line);
  }
  const FunctionRange* const range = units_->function_at(unit, pc);
  if (range == nullptr) return frame;
  Dwarf_Die function = range->die;
  std::vector<Dwarf_Die> inlined;
  find_inlined(&function, pc, 0, inlined);
  while (!inlined.empty() && is_system_header(frame.file)) {
    std::tie(frame.file, frame.line) = call_site(unit, &inlined.back());
    inlined.pop_back();
  }
  frame.inlined = !inlined.empty();
  if (frame.inlined) {
    frame.function = units_->name_of(&inlined.back());
  } else {
    frame.function = linkage_name(&function);
    const char* plain = frame.function.empty() ? dwarf_diename(&function) : nullptr;
    if (plain != nullptr) frame.function = plain;
  }
  return frame;
}

}  // namespace master
