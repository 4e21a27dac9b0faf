// Environment: reads the variables and the compile definitions that steer a test run.
#include "support/environment.h"

#include <sys/resource.h>

#include <algorithm>
#include <cstdlib>

namespace support {
namespace {

constexpr double kSanitizedScale = 3;
constexpr int kSanitizedShare = 4;

double scale() {
  if (const char* text = std::getenv("SUPERVISOR_TEST_SCALE")) return std::max(std::atof(text), 0.1);
  return is_sanitized() ? kSanitizedScale : 1;
}

}  // namespace

std::filesystem::path binary_directory() {
  if (const char* text = std::getenv("SUPERVISOR_BINARY_DIR")) return text;
#ifdef SUPERVISOR_BINARY_DIR
  return SUPERVISOR_BINARY_DIR;
#else
  return std::filesystem::current_path();
#endif
}

std::string program() { return binary_directory() / "supervisor"; }

std::string application(std::string_view name) { return binary_directory() / (std::string(name) + ".so"); }

bool is_long() { return std::getenv("SUPERVISOR_TEST_LONG") != nullptr; }

bool is_sanitized() {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  return true;
#else
  return false;
#endif
}

int effort(int normal, int thorough) {
  if (is_long()) return thorough;
  return is_sanitized() ? std::max(normal / kSanitizedShare, 1) : normal;
}

common::Duration patience(common::Duration normal) {
  return std::chrono::duration_cast<common::Duration>(normal * scale());
}

std::uint64_t raise_open_files() {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_cur;
}

}  // namespace support
