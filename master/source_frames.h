// SourceFrames: the function and the source line at an address of a module, as its debug information (DWARF) has them.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

struct Dwfl_Module;  // libdwfl's

namespace master {

struct SourceFrame {
  std::string function;  // mangled, or with its scopes: "shop::(anonymous namespace)::open_it"; "" in assembly
  bool inlined = false;  // the code lies in another function
  std::string file;      // with directories, as the compiler was told
  int line = 0;
};

class SourceFrames {
 public:
  SourceFrames();
  SourceFrames(const SourceFrames&) = delete;
  SourceFrames& operator=(const SourceFrames&) = delete;
  ~SourceFrames();

  // Where functions are inlined there, the innermost one whose source is not a system header, because open(2) itself
  // may be an inline function. One that is not inlined has its plain name, for the symbol table knows it better.
  // Nothing without debug information. The functions of each compilation unit are listed once (some ms for a large
  // one); an address in a known one costs some 10 us, some ms where an inlined function is met for the first time.
  // OWNERSHIP: `module` outlives this.
  std::optional<SourceFrame> at(Dwfl_Module* module, std::uint64_t address);

 private:
  struct Units;
  std::unique_ptr<Units> units_;
};

}  // namespace master
