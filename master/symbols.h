// Symbols: addresses in another process's code as module, function and source line; the door to libdw (elfutils).
//
// It reads /proc/PID/maps and the files mapped there, never the process itself, so that no permission to trace it is
// needed and one that hangs can be explained. Separate debug information is looked for on this machine only, beside the
// file and under /usr/lib/debug. A file that has been replaced or deleted tells nothing but the offset in it.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "common/result.h"
#include "master/code_module.h"

namespace master {

struct CodePlace {
  std::string module;  // file name without directories; "" if nothing is mapped there
  std::string function;  // without parameters, at most kFunctionTextMax bytes; "" = unknown
  std::uint64_t offset = 0;  // in the function, or in the module when the function is unknown
  bool inlined = false;  // then `offset` is that in the function around it
  std::string file;  // of the source, without directories; "" = no debug information
  int line = 0;

  // "shop.so!RedisPool::connect+0x4c (redis_pool.cc:88)", without "+0x4c" if it is inlined, "shop.so+0x1234", or
  // "0x7f0012345678"
  std::string text() const;
};

inline constexpr std::size_t kFunctionTextMax = 200;

// What an address of a stack is.
enum class CodeAddress : std::uint8_t {
  kReturn,  // a call will return there: the call itself lies before it
  kInstruction,  // the instruction that was interrupted
};

// "Pool::connect" of "int Pool::connect<int>(char const*) const". Pure.
std::string_view without_parameters(std::string_view demangled);

class Symbols {
 public:
  // Maps only; files are opened when an address in them is asked for. Clears DEBUGINFOD_URLS of this process, because
  // libdw would ask the network. Error: the process has ended, or may not be looked at.
  static common::Result<Symbols> of_process(pid_t pid);
  // Of a process that is gone, from what it told of itself. A module whose file is not the one it was any more, and one
  // that cannot be where it is said to be, tells nothing but the offset in it.
  static common::Result<Symbols> of_modules(std::span<const CodeModule> modules);
  // Whether process `pid` has the same code at the same addresses, as workers of one generation have: then this speaks
  // of it too, and nothing needs to be opened twice.
  bool fits(pid_t pid) const;
  Symbols(Symbols&& other) noexcept;
  Symbols& operator=(Symbols&& other) noexcept;
  ~Symbols();

  // Remembers what it has found. The first address in a module opens its debug information: 1 ms to some 100 ms; each
  // further one takes some 0.1 ms. Where functions are inlined, it is the innermost one whose source is not a system
  // header, because open(2) itself may be an inline function.
  const CodePlace& resolve(std::uint64_t address, CodeAddress meaning = CodeAddress::kReturn);

  // The index of the frame that is the application's own: the first outside the C and C++ libraries, the sanitizers and
  // the supervisor. The first of all if there is none such; nothing for an empty stack.
  std::optional<std::size_t> place_in(std::span<const std::uint64_t> stack);

  // The number of frames up to the outermost one that is the application's own, as above; all if none is.
  std::size_t application_end(std::span<const std::uint64_t> stack);

  // The frames in words, innermost first, from the application's to the supervisor's, exclusive; at most `most`.
  std::vector<std::string> application_frames(std::span<const std::uint64_t> stack, std::size_t most);
  // All of them, where the first is the instruction that was interrupted.
  std::vector<std::string> all_frames(std::span<const std::uint64_t> stack);

 private:
  struct Session;
  explicit Symbols(std::unique_ptr<Session> session);

  bool is_application(std::uint64_t address);
  bool is_own(std::uint64_t address);  // the supervisor's
  bool is_library(std::uint64_t address);  // of the C and C++ libraries or a sanitizer

  std::unique_ptr<Session> session_;
  std::unordered_map<std::uint64_t, CodePlace> returns_;
  std::unordered_map<std::uint64_t, CodePlace> instructions_;
};

}  // namespace master
