// CodeModule: finding the file again that was mapped.
#include "master/code_module.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>

#include "common/crash_box.h"
#include "common/format.h"

namespace master {
namespace {

constexpr const char* kOwnProgram = "/proc/self/exe";

}  // namespace

std::string CodeModule::name() const {
  return path.empty() ? std::string("supervisor") : path.substr(path.rfind('/') + 1);
}

common::UniqueFd open_module(const CodeModule& module) {
  // O_PATH opens nothing: not what blocks, and not what acts when it is opened (/dev/watchdog).
  const common::UniqueFd found(open(module.path.empty() ? kOwnProgram : module.path.c_str(), O_PATH | O_CLOEXEC));
  struct stat status = {};
  if (!found || fstat(found.get(), &status) < 0 || !S_ISREG(status.st_mode)) return {};
  common::UniqueFd file(open(common::format("/proc/self/fd/{}", found.get()).c_str(), O_RDONLY | O_CLOEXEC));
  std::array<std::uint64_t, common::kIdentityBytes / sizeof(std::uint64_t)> beginning{};
  if (!file || pread(file.get(), beginning.data(), sizeof beginning, 0) < 0) return {};
  if (common::identity_of(beginning) != module.identity) return {};
  return file;
}

}  // namespace master
