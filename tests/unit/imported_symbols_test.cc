// Imported symbols: found in the modules that call them, and only there.
#include "worker/imported_symbols.h"

#include <dlfcn.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <memory>

#include "support/environment.h"

namespace {

using testing::Contains;
using testing::Not;

struct Unload {
  void operator()(void* library) const { dlclose(library); }
};
using Library = std::unique_ptr<void, Unload>;

Library load(const std::string& name) {
  Library library(dlopen((support::binary_directory() / name).c_str(), RTLD_NOW | RTLD_LOCAL));
  EXPECT_TRUE(library) << dlerror();
  return library;
}

constexpr std::array<std::string_view, 2> kSelect = {"select", "pselect"};

TEST(ImportedSymbols, AreFoundInTheModuleThatCallsThem) {
  const Library library = load("uses_select.so");
  EXPECT_THAT(worker::modules_importing(kSelect), Contains("uses_select.so"));
}

TEST(ImportedSymbols, AreNotFoundInAModuleThatDoesNot) {
  const Library library = load("no_handler.so");
  EXPECT_THAT(worker::modules_importing(kSelect), Not(Contains("no_handler.so")));
  constexpr std::array<std::string_view, 1> kNobody = {"no_such_function"};
  EXPECT_TRUE(worker::modules_importing(kNobody).empty());
}

}  // namespace
