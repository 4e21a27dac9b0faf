// Symbols: libdwfl on the maps of a process.
#include "master/symbols.h"

#include <cxxabi.h>
#include <elfutils/libdwfl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <tuple>
#include <utility>

#include "common/format.h"
#include "master/source_frames.h"

namespace master {
namespace {

constexpr std::string_view kDeleted = " (deleted)";

struct EndSession {
  void operator()(Dwfl* session) const { dwfl_end(session); }
};
struct Free {
  void operator()(void* memory) const { std::free(memory); }
};

std::string_view base_name(std::string_view path) { return path.substr(path.rfind('/') + 1); }

std::string_view without_deleted(std::string_view name) {
  if (name.ends_with(kDeleted)) name.remove_suffix(kDeleted.size());
  return name;
}

std::string demangled(const char* symbol) {
  int status = 0;
  const std::unique_ptr<char, Free> name(abi::__cxa_demangle(symbol, nullptr, nullptr, &status));
  std::string text(status == 0 && name ? without_parameters(name.get()) : std::string_view(symbol));
  if (text.size() > kFunctionTextMax) text.replace(kFunctionTextMax - 3, text.npos, "...");
  return text;
}

// The lines of /proc/PID/maps that map code of files: addresses, offsets, inodes and paths. "" if there are none.
std::string code_of(pid_t pid) {
  std::ifstream maps(common::format("/proc/{}/maps", pid));
  std::string code;
  for (std::string line; std::getline(maps, line);) {
    if (line.find(" r-xp ") != line.npos && line.find('/') != line.npos) code += line + '\n';
  }
  return code;
}

bool is_foreign_module(std::string_view module) {
  constexpr std::string_view kPrefixes[] = {"libc.so",     "libc-",      "libstdc++.so", "libm.so",    "libm-",
                                            "libgcc_s.so", "ld-linux",   "ld-2",         "libpthread", "libasan.so",
                                            "libubsan.so", "libtsan.so", "liblsan.so",   "[vdso]",     "linux-vdso"};
  return std::ranges::any_of(kPrefixes, [&](std::string_view prefix) { return module.starts_with(prefix); });
}

// libdwfl asks for the file of a module that was reported without one.
int find_no_file(Dwfl_Module*, void**, const char*, Dwarf_Addr, char**, Elf**) { return -1; }

}  // namespace

struct Symbols::Session {
  char debug_directories[32] = ":.debug:/usr/lib/debug";
  char* debug_path = debug_directories;
  Dwfl_Callbacks callbacks{};
  std::unique_ptr<Dwfl, EndSession> dwfl;  // refers to the callbacks: goes first
  SourceFrames frames;                     // refers to modules of the session: goes before
  std::string program;                     // of the process: the supervisor
  std::string code;                        // code_of() the process

  Dwfl_Module* module_at(std::uint64_t address) const { return dwfl_addrmodule(dwfl.get(), address); }
  std::string_view module_path(std::uint64_t address) const;
  CodePlace find(std::uint64_t address, CodeAddress meaning);
};

std::string_view Symbols::Session::module_path(std::uint64_t address) const {
  Dwfl_Module* const module = module_at(address);
  const char* name = module == nullptr
                         ? nullptr
                         : dwfl_module_info(module, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr);
  return name == nullptr ? std::string_view() : std::string_view(name);
}

CodePlace Symbols::Session::find(std::uint64_t address, CodeAddress meaning) {
  CodePlace place{.offset = address};
  Dwfl_Module* const module = module_at(address);
  if (module == nullptr) return place;
  Dwarf_Addr start = 0;
  const char* name = dwfl_module_info(module, nullptr, &start, nullptr, nullptr, nullptr, nullptr, nullptr);
  place.module = base_name(without_deleted(name == nullptr ? "" : name));
  place.offset = address - start;
  // The last instruction of a call that does not return is the last of its function.
  const std::uint64_t looked_up = meaning == CodeAddress::kReturn && address > 0 ? address - 1 : address;
  GElf_Off offset = 0;
  GElf_Sym symbol;
  const char* function = dwfl_module_addrinfo(module, looked_up, &offset, &symbol, nullptr, nullptr, nullptr);
  if (function != nullptr) {
    place.function = demangled(function);
    place.offset = offset + (address - looked_up);
  }
  if (const auto source = frames.at(module, looked_up)) {
    place.inlined = source->inlined;
    if (place.inlined || place.function.empty()) place.function = demangled(source->function.c_str());
    place.file = base_name(source->file);
    place.line = source->line;
  }
  return place;
}

std::string CodePlace::text() const {
  if (module.empty()) return common::format("0x{:x}", offset);
  if (function.empty()) return common::format("{}+0x{:x}", module, offset);
  std::string words = common::format("{}!{}", module, function);
  if (!inlined) words += common::format("+0x{:x}", offset);
  return file.empty() ? words : common::format("{} ({}:{})", words, file, line);
}

std::string_view without_parameters(std::string_view demangled) {
  // From behind: qualifiers, the parameters' parentheses, then from the front: the result's type of a template.
  std::string_view text = demangled;
  if (const std::size_t clone = text.find(" [clone"); clone != text.npos) text = text.substr(0, clone);
  const std::size_t close = text.rfind(')');
  if (close == text.npos || text.find_first_of("}>", close) != text.npos) return text;
  std::size_t open = close + 1;
  for (int depth = 0; open > 0;) {
    --open;
    depth += text[open] == ')' ? 1 : text[open] == '(' ? -1 : 0;
    if (depth == 0) break;
  }
  if (open == 0) return demangled;
  text = text.substr(0, open);
  std::size_t begin = 0;
  int depth = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (depth == 0 && text.substr(i).starts_with("operator") && (i == 0 || text[i - 1] == ':' || text[i - 1] == ' '))
      break;
    depth += c == '<' || c == '(' || c == '{' || c == '[' ? 1 : c == '>' || c == ')' || c == '}' || c == ']' ? -1 : 0;
    if (c == ' ' && depth == 0 && !text.substr(i + 1).starts_with("const")) begin = i + 1;
  }
  return text.substr(begin);
}

Symbols::Symbols(std::unique_ptr<Session> session) : session_(std::move(session)) {}
Symbols::Symbols(Symbols&& other) noexcept = default;
Symbols& Symbols::operator=(Symbols&& other) noexcept = default;
Symbols::~Symbols() = default;

common::Result<Symbols> Symbols::of_process(pid_t pid) {
  unsetenv("DEBUGINFOD_URLS");
  auto session = std::make_unique<Session>();
  session->callbacks.find_elf = dwfl_linux_proc_find_elf;
  session->callbacks.find_debuginfo = dwfl_standard_find_debuginfo;
  session->callbacks.debuginfo_path = &session->debug_path;
  session->dwfl.reset(dwfl_begin(&session->callbacks));
  if (!session->dwfl) return common::fail(common::format("symbols: {}", dwfl_errmsg(-1)));
  dwfl_report_begin(session->dwfl.get());
  // A positive number is an errno, a negative one an error of the library's own.
  const int error = dwfl_linux_proc_report(session->dwfl.get(), pid);
  if (error > 0) return common::fail_errno(common::format("open /proc/{}/maps", pid), error);
  if (error < 0 || dwfl_report_end(session->dwfl.get(), nullptr, nullptr) != 0) {
    return common::fail(common::format("symbols of process {}: {}", pid, dwfl_errmsg(-1)));
  }
  char program[4096];
  const auto size = readlink(common::format("/proc/{}/exe", pid).c_str(), program, sizeof program);
  if (size > 0) session->program.assign(program, static_cast<std::size_t>(size));
  session->code = code_of(pid);
  return Symbols(std::move(session));
}

common::Result<Symbols> Symbols::of_modules(std::span<const CodeModule> modules) {
  unsetenv("DEBUGINFOD_URLS");
  auto session = std::make_unique<Session>();
  session->callbacks.find_elf = find_no_file;
  session->callbacks.find_debuginfo = dwfl_standard_find_debuginfo;
  session->callbacks.debuginfo_path = &session->debug_path;
  session->dwfl.reset(dwfl_begin(&session->callbacks));
  if (!session->dwfl) return common::fail(common::format("symbols: {}", dwfl_errmsg(-1)));
  Dwfl* const dwfl = session->dwfl.get();
  dwfl_report_begin(dwfl);
  for (const CodeModule& module : modules) {
    const std::string name = module.path.empty() ? module.name() : module.path;
    if (module.path.empty()) session->program = name;
    common::UniqueFd file = open_module(module);
    if (file && dwfl_report_elf(dwfl, name.c_str(), name.c_str(), file.get(), module.begin, false) != nullptr) {
      std::ignore = file.release();  // it is the session's now
    } else {
      dwfl_report_module(dwfl, name.c_str(), module.begin, module.end);
    }
  }
  if (dwfl_report_end(dwfl, nullptr, nullptr) != 0) return common::fail(common::format("symbols: {}", dwfl_errmsg(-1)));
  return Symbols(std::move(session));
}

bool Symbols::fits(pid_t pid) const { return !session_->code.empty() && session_->code == code_of(pid); }

const CodePlace& Symbols::resolve(std::uint64_t address, CodeAddress meaning) {
  auto& known = meaning == CodeAddress::kReturn ? returns_ : instructions_;
  const auto found = known.find(address);
  if (found != known.end()) return found->second;
  return known.emplace(address, session_->find(address, meaning)).first->second;
}

bool Symbols::is_own(std::uint64_t address) {
  const std::string_view path = session_->module_path(address);
  return !path.empty() && path == session_->program;
}

bool Symbols::is_library(std::uint64_t address) { return is_foreign_module(base_name(session_->module_path(address))); }

bool Symbols::is_application(std::uint64_t address) {
  return session_->module_at(address) != nullptr && !is_own(address) && !is_library(address);
}

std::optional<std::size_t> Symbols::place_in(std::span<const std::uint64_t> stack) {
  if (stack.empty()) return std::nullopt;
  for (std::size_t i = 0; i < stack.size(); ++i) {
    if (is_application(stack[i])) return i;
  }
  return 0;
}

std::size_t Symbols::application_end(std::span<const std::uint64_t> stack) {
  for (std::size_t i = stack.size(); i > 0; --i) {
    if (is_application(stack[i - 1])) return i;
  }
  return stack.size();
}

std::vector<std::string> Symbols::application_frames(std::span<const std::uint64_t> stack, std::size_t most) {
  // What notes the opening lies innermost and is the supervisor's as well.
  const auto begin = std::ranges::find_if(stack, [&](std::uint64_t address) { return !is_own(address); });
  const auto end = std::find_if(begin, stack.end(), [&](std::uint64_t address) { return is_own(address); });
  std::vector<std::string> lines;
  for (auto frame = begin; frame != end && lines.size() < most; ++frame) lines.push_back(resolve(*frame).text());
  return lines;
}

std::vector<std::string> Symbols::all_frames(std::span<const std::uint64_t> stack) {
  std::vector<std::string> lines;
  for (const std::uint64_t address : stack) {
    lines.push_back(resolve(address, lines.empty() ? CodeAddress::kInstruction : CodeAddress::kReturn).text());
  }
  return lines;
}

}  // namespace master
