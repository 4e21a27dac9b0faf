// CrashStack: names for the frames of a process that is gone, as far as its files are still those it had.
#include "master/crash_stack.h"

#include <dlfcn.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <string>

#include "support/environment.h"
#include "support/temporary_directory.h"

namespace {

using common::Json;
using master::CodeModule;
using master::CrashRecord;

// A library of known content, loaded from a directory of its own so that its file can be replaced.
struct CrashStack : testing::Test {
  CrashStack() : path(directory.path("target.so")) {
    std::filesystem::copy_file(support::application("symbols_target"), path);
    library = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    EXPECT_NE(library, nullptr) << ::dlerror();
    auto* const entry = reinterpret_cast<std::uint64_t (*)()>(::dlsym(library, "target_exported"));
    address = entry();
    ::dl_find_object found{};
    EXPECT_EQ(::_dl_find_object(reinterpret_cast<void*>(address), &found), 0);
    const auto* const words = static_cast<const std::uint64_t*>(found.dlfo_map_start);
    module = {.begin = reinterpret_cast<std::uint64_t>(found.dlfo_map_start),
              .end = reinterpret_cast<std::uint64_t>(found.dlfo_map_end),
              .identity = common::identity_of({words, common::kIdentityBytes / sizeof *words}),
              .path = path};
  }
  ~CrashStack() override { ::dlclose(library); }

  std::string named(const CodeModule& as) const {
    const Json stack = master::crash_stack({.frames = {address, address}, .modules = {as}});
    return stack.at(1).get<std::string>();
  }
  std::string offset_in(const std::string& name) const {
    return master::plain_frame({.modules = {{.begin = module.begin, .end = module.end, .path = name}}}, address);
  }

  support::TemporaryDirectory directory;
  std::string path;
  void* library = nullptr;
  std::uint64_t address = 0;
  CodeModule module;
};

TEST_F(CrashStack, NamesTheFunctionAndTheLine) {
  EXPECT_EQ(named(module).substr(0, 26), "target.so!target_exported+") << named(module);
  EXPECT_NE(named(module).find(" (symbols_target.cc:"), std::string::npos) << named(module);
}

TEST_F(CrashStack, DoesNotTakeAnotherFileForTheOneThatWasMapped) {
  std::filesystem::remove(path);
  std::filesystem::copy_file(support::application("symbols_target_stripped"), path);
  EXPECT_EQ(named(module), offset_in("target.so"));
}

TEST_F(CrashStack, TellsTheOffsetInAFileThatIsGone) {
  std::filesystem::remove(path);
  EXPECT_EQ(named(module), offset_in("target.so"));
}

TEST_F(CrashStack, SaysWhereNothingWasMapped) {
  const Json stack = master::crash_stack({.frames = {0, address, 0x7f0000001234}, .modules = {module}});
  EXPECT_EQ(stack.size(), 2U) << "up to the outermost frame of the application: " << stack;
  EXPECT_EQ(stack[0], "0x0 (unknown module)");
  const Json none = master::crash_stack({.frames = {0, 0x7f0000001234}, .modules = {}});
  EXPECT_EQ(none, Json::array({"0x0 (unknown module)", "0x7f0000001234 (unknown module)"}));
}

TEST_F(CrashStack, OpensNothingButARegularFile) {
  CodeModule odd = module;
  odd.path = directory.path("fifo");
  ASSERT_EQ(::mkfifo(odd.path.c_str(), 0600), 0);
  EXPECT_EQ(named(odd), offset_in("fifo")) << "and does not wait for its writer";
  odd.path = directory.path("");
  EXPECT_FALSE(master::open_module(odd));
  odd.path = "/dev/null";
  EXPECT_FALSE(master::open_module(odd));
}

TEST_F(CrashStack, SurvivesAFileThatIsNoCode) {
  CodeModule odd = module;
  odd.path = directory.path("rubbish");
  std::ofstream(odd.path) << "no code";
  std::array<std::uint64_t, common::kIdentityBytes / 8> beginning{};
  std::memcpy(beginning.data(), "no code", 7);
  odd.identity = common::identity_of(beginning);
  EXPECT_TRUE(master::open_module(odd));
  EXPECT_EQ(named(odd), offset_in("rubbish"));
}

TEST_F(CrashStack, SurvivesAModuleThatIsNotWhereItIsSaidToBe) {
  CodeModule odd = module;
  odd.begin = UINT64_MAX - 0x100;
  odd.end = UINT64_MAX;
  const Json stack = master::crash_stack({.frames = {address, UINT64_MAX - 1}, .modules = {odd}});
  EXPECT_EQ(stack.size(), 2U) << stack;
}

}  // namespace
