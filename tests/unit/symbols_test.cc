// Symbols: addresses of functions in a library with debug information, in one without, in one that is gone, and here.
#include "master/symbols.h"

#include <dlfcn.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <string>

#include "support/environment.h"
#include "support/temporary_directory.h"

namespace {

using master::CodePlace;
using master::Symbols;
using master::without_parameters;

struct Close {
  void operator()(void* library) const { ::dlclose(library); }
};
using Library = std::unique_ptr<void, Close>;

Library load(const std::string& path) {
  Library library(::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL));
  EXPECT_NE(library, nullptr) << ::dlerror();
  return library;
}

Library load_target() { return load(support::application("symbols_target")); }

std::uint64_t call(const Library& library, const char* function) {
  auto* const entry = reinterpret_cast<std::uint64_t (*)()>(::dlsym(library.get(), function));
  EXPECT_NE(entry, nullptr) << function;
  return entry();
}

std::uint64_t address_of(const char* function) {
  return reinterpret_cast<std::uint64_t>(::dlsym(RTLD_DEFAULT, function)) + 4;
}

Symbols symbols_of(pid_t pid) {
  auto symbols = Symbols::of_process(pid);
  if (!symbols) throw std::runtime_error(symbols.error().message);
  return *std::move(symbols);
}

int marked_line(const std::string& marker) {
  std::ifstream source(SUPERVISOR_SOURCE_DIR "/tests/unit/symbols_target.cc");
  int number = 1;
  for (std::string line; std::getline(source, line); ++number) {
    if (line.ends_with("// line: " + marker)) return number;
  }
  ADD_FAILURE() << "no line is marked " << marker;
  return 0;
}

[[gnu::noinline]] std::uint64_t function_of_this_program() {
  asm volatile("");
  return reinterpret_cast<std::uint64_t>(&function_of_this_program) + 1;
}

std::string hexadecimal(std::uint64_t number) {
  char text[32];
  std::snprintf(text, sizeof text, "0x%lx", static_cast<unsigned long>(number));
  return text;
}

TEST(Symbols, NamesTheFunctionAndTheSourceLineOfACall) {
  const Library library = load_target();
  Symbols symbols = symbols_of(::getpid());
  const CodePlace place = symbols.resolve(call(library, "target_connect"));
  EXPECT_EQ(place.module, "symbols_target.so");
  EXPECT_EQ(place.function, "target::Pool::connect");
  EXPECT_GT(place.offset, 0U);
  EXPECT_LT(place.offset, 100U);
  EXPECT_EQ(place.file, "symbols_target.cc");
  EXPECT_EQ(place.line, marked_line("connect"));
  EXPECT_EQ(place.text(), "symbols_target.so!target::Pool::connect+" + hexadecimal(place.offset) +
                              " (symbols_target.cc:" + std::to_string(place.line) + ")");
}

TEST(Symbols, ShowsTheFunctionThatWasInlined) {
  const Library library = load_target();
  Symbols symbols = symbols_of(::getpid());
  const CodePlace place = symbols.resolve(call(library, "target_inlined"));
  EXPECT_TRUE(place.inlined);
  EXPECT_EQ(place.function, "target::(anonymous namespace)::inlined_opening");
  EXPECT_EQ(place.line, marked_line("inlined_opening"));
  EXPECT_EQ(place.text(), "symbols_target.so!target::(anonymous namespace)::inlined_opening (symbols_target.cc:" +
                              std::to_string(place.line) + ")");
}

TEST(Symbols, DoesNotStopAtInlineFunctionsOfTheSystemsHeaders) {
  const Library library = load_target();
  Symbols symbols = symbols_of(::getpid());
  const CodePlace place = symbols.resolve(call(library, "target_fortified"));
  EXPECT_FALSE(place.inlined);
  EXPECT_EQ(place.function, "target_fortified");
  EXPECT_EQ(place.file, "symbols_target.cc");
  EXPECT_EQ(place.line, marked_line("target_fortified"));
}

TEST(Symbols, LeavesOutTheResultOfATemplate) {
  const Library library = load_target();
  Symbols symbols = symbols_of(::getpid());
  const CodePlace place = symbols.resolve(call(library, "target_template"));
  EXPECT_EQ(place.function, "target::(anonymous namespace)::of_template<unsigned long>");
  EXPECT_EQ(place.line, marked_line("of_template"));
}

TEST(Symbols, SeesAnotherProcess) {
  const Library library = load_target();
  const std::uint64_t address = call(library, "target_exported");
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    char byte;
    ::close(ends[1]);
    [[maybe_unused]] const auto size = ::read(ends[0], &byte, 1);  // until the test is done
    ::_exit(0);
  }
  EXPECT_EQ(symbols_of(child).resolve(address).line, marked_line("target_exported"));
  ::close(ends[0]);
  ::close(ends[1]);
  EXPECT_EQ(::waitpid(child, nullptr, 0), child);
  const auto gone = Symbols::of_process(child);
  ASSERT_FALSE(gone.has_value());
  EXPECT_EQ(gone.error().errnum, ENOENT);
}

TEST(Symbols, NamesAFunctionOfThisProgram) {
  const CodePlace place = symbols_of(::getpid()).resolve(function_of_this_program(), master::CodeAddress::kInstruction);
  EXPECT_EQ(place.function, "(anonymous namespace)::function_of_this_program");
  EXPECT_EQ(place.offset, 1U);
  EXPECT_EQ(place.module, std::filesystem::read_symlink("/proc/self/exe").filename());
  EXPECT_EQ(place.file, "symbols_test.cc");
}

// A call is before the address it returns to; an interrupted instruction is where it is.
TEST(Symbols, LooksBeforeAReturnAddress) {
  const std::uint64_t start = reinterpret_cast<std::uint64_t>(&function_of_this_program);
  Symbols symbols = symbols_of(::getpid());
  EXPECT_EQ(symbols.resolve(start, master::CodeAddress::kInstruction).function,
            "(anonymous namespace)::function_of_this_program");
  EXPECT_NE(symbols.resolve(start).function, "(anonymous namespace)::function_of_this_program");
}

TEST(Symbols, TellsOfAStrippedLibraryWhatItExports) {
  const Library library = load(support::application("symbols_target_stripped"));
  Symbols symbols = symbols_of(::getpid());
  const CodePlace exported = symbols.resolve(call(library, "target_exported"));
  EXPECT_EQ(exported.text(), "symbols_target_stripped.so!target_exported+" + hexadecimal(exported.offset));
  const CodePlace hidden = symbols.resolve(call(library, "target_connect"));
  EXPECT_EQ(hidden.function, "");
  EXPECT_EQ(hidden.text(), "symbols_target_stripped.so+" + hexadecimal(hidden.offset));
}

TEST(Symbols, TellsTheOffsetInALibraryThatIsGone) {
  const support::TemporaryDirectory directory;
  const std::string path = directory.path("gone.so");
  std::filesystem::copy_file(support::application("symbols_target"), path);
  const Library library = load(path);
  std::filesystem::remove(path);
  // Another file in its place must not be taken for it.
  std::filesystem::copy_file(support::application("symbols_target_stripped"), path);
  const std::uint64_t address = call(library, "target_exported");
  Dl_info about{};
  ASSERT_NE(::dladdr(reinterpret_cast<void*>(address), &about), 0);
  const CodePlace place = symbols_of(::getpid()).resolve(address);
  EXPECT_EQ(place.text(), "gone.so+" + hexadecimal(address - reinterpret_cast<std::uint64_t>(about.dli_fbase)));
}

TEST(Symbols, TellsAnAddressWhereNothingIsMapped) {
  EXPECT_EQ(symbols_of(::getpid()).resolve(0x1234).text(), "0x1234");
  EXPECT_EQ(symbols_of(::getpid()).resolve(0).text(), "0x0");
}

TEST(Symbols, FitsAProcessWithTheSameCode) {
  const support::TemporaryDirectory directory;
  const Symbols symbols = symbols_of(::getpid());
  EXPECT_TRUE(symbols.fits(::getpid()));
  std::filesystem::copy_file(support::application("symbols_target"), directory.path("other.so"));
  const Library other = load(directory.path("other.so"));
  EXPECT_FALSE(symbols.fits(::getpid()));
  EXPECT_FALSE(symbols.fits(0));
}

TEST(Symbols, FindsThePlaceOutsideTheLibrariesAndTheSupervisor) {
  const Library library = load_target();
  const std::uint64_t own = function_of_this_program();
  const std::uint64_t libc = address_of("gnu_get_libc_version");
  const std::uint64_t application = call(library, "target_exported");
  Symbols symbols = symbols_of(::getpid());
  EXPECT_EQ(symbols.place_in(std::vector{own, libc, std::uint64_t{16}, application, application}), 3U);
  EXPECT_EQ(symbols.place_in(std::vector{libc, own}), 0U);
  EXPECT_EQ(symbols.place_in({}), std::nullopt);
}

TEST(Symbols, ListsFramesFromTheApplicationToTheSupervisor) {
  const Library library = load_target();
  const std::uint64_t own = function_of_this_program();
  const std::uint64_t libc = address_of("gnu_get_libc_version");
  const std::uint64_t application = call(library, "target_exported");
  Symbols symbols = symbols_of(::getpid());
  const std::vector stack{own, libc, application, application, own, libc};
  const auto lines = symbols.application_frames(stack, 16);
  ASSERT_EQ(lines.size(), 3U);
  EXPECT_EQ(lines[0].substr(0, 30), "libc.so.6!gnu_get_libc_version");
  EXPECT_EQ(lines[1], symbols.resolve(application).text());
  EXPECT_EQ(symbols.application_frames(stack, 2).size(), 2U);
  EXPECT_TRUE(symbols.application_frames(std::vector{own, own}, 16).empty());
  EXPECT_EQ(symbols.all_frames(stack).size(), stack.size());
}

TEST(Symbols, NeverAsksTheNetwork) {
  ASSERT_EQ(::setenv("DEBUGINFOD_URLS", "http://127.0.0.1:1/", 1), 0);
  symbols_of(::getpid());
  EXPECT_EQ(::getenv("DEBUGINFOD_URLS"), nullptr);
}

TEST(WithoutParameters, LeavesTheName) {
  struct Case {
    const char* demangled;
    const char* name;
  };
  const Case cases[] = {
      {"RedisPool::connect(char const*, int)", "RedisPool::connect"},
      {"RedisPool::connect(std::function<void (int)>) const", "RedisPool::connect"},
      {"int shop::make<int>(int)", "shop::make<int>"},
      {"std::vector<int, std::allocator<int> > shop::all<int>()", "shop::all<int>"},
      {"shop::(anonymous namespace)::open()", "shop::(anonymous namespace)::open"},
      {"Handler::operator()(int) const", "Handler::operator()"},
      {"shop::operator<(A const&, A const&)", "shop::operator<"},
      {"Handler::operator bool() const", "Handler::operator bool"},
      {"operator new(unsigned long)", "operator new"},
      {"run()::{lambda(int)#1}::operator()(int) const", "run()::{lambda(int)#1}::operator()"},
      {"Pool::run() const::{lambda()#1}::operator()() const", "Pool::run() const::{lambda()#1}::operator()"},
      {"f(int) [clone .cold]", "f"},
      {"main", "main"},
      {"", ""},
      {")", ")"},
      {"a)", "a)"},
      {"vtable for Pool", "vtable for Pool"},
  };
  for (const Case& each : cases) EXPECT_EQ(without_parameters(each.demangled), each.name);
}

}  // namespace
