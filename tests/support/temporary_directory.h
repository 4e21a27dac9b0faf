// TemporaryDirectory: a directory of one test, gone with all it holds when the test ends.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace support {

class TemporaryDirectory {
 public:
  TemporaryDirectory();
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

  std::string path(std::string_view name) const { return path_ / name; }
  // Creates DIR/name with these bytes; returns its path.
  std::string write(std::string_view name, std::string_view bytes) const;

 private:
  std::filesystem::path path_;
};

}  // namespace support
