// Process title: rewriting the argument area that /proc/PID/cmdline shows.
#include "common/process_title.h"

#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <string>

namespace common {
namespace {

// Written once by process_title_start; empty = titles are not possible.
char* area = nullptr;
std::size_t area_bytes = 0;       // arguments and environment
std::size_t arguments_bytes = 0;  // cleared at each change; the environment only as far as a long title needs it

// Where the environment lives afterwards. Never freed; named here so that a leak checker finds what unsetenv(3) drops.
char** environment = nullptr;
char* environment_texts = nullptr;

}  // namespace

void process_title_start(int argc, char** argv) {
  if (argc < 1) return;
  // Arguments and environment lie one behind the other (Linux, fs/exec.c): find where that run of strings ends.
  char* end = argv[0];
  for (int i = 0; i < argc && argv[i] == end; ++i) end += std::strlen(argv[i]) + 1;
  arguments_bytes = static_cast<std::size_t>(end - argv[0]);
  std::size_t count = 0;
  for (; environ[count] != nullptr; ++count) {
    if (environ[count] == end) end += std::strlen(environ[count]) + 1;
  }
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < count; ++i) bytes += std::strlen(environ[i]) + 1;
  environment = new char*[count + 1];
  environment_texts = new char[bytes];
  char* text = environment_texts;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t length = std::strlen(environ[i]) + 1;
    environment[i] = static_cast<char*>(std::memcpy(text, environ[i], length));
    text += length;
  }
  environment[count] = nullptr;
  environ = environment;
  area = argv[0];
  area_bytes = static_cast<std::size_t>(end - argv[0]);
}

void process_title_set(std::string_view title) {
  constexpr std::string_view kPrefix = "supervisor: ";
  const std::string_view name = title.starts_with(kPrefix) ? title.substr(kPrefix.size()) : title;
  prctl(PR_SET_NAME, std::string(name.substr(0, 15)).c_str());
  if (area_bytes == 0) return;
  const std::size_t length = std::min(title.size(), area_bytes - 1);
  std::memcpy(area, title.data(), length);
  std::memset(area + length, 0, std::max(arguments_bytes, length + 1) - length);
  // Where the arguments end in something else than a NUL, /proc/PID/cmdline is one string up to the first NUL
  // (Linux, fs/proc/base.c); else it would be the whole area with all its NULs.
  if (length + 1 < arguments_bytes) area[arguments_bytes - 1] = '.';
}

}  // namespace common
