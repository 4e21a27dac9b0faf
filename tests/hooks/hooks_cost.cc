// What tracing costs: CPU nanoseconds of a pair of open(2) and close(2) in a library, in each mode, in turns.
//
// usage: hooks_cost [ROUNDS]. "off" is the hook with nothing behind it: the program has no other way to call libc. The
// least of all rounds is what the code costs; the median is what it cost on this machine with all that ran beside it.
#include <dlfcn.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>
#include <vector>

#include "common/worker_memory.h"
#include "opener.h"
#include "worker/fd_trace.h"

namespace {

constexpr int kPairs = 20'000;
constexpr int kDepth = 10;  // calls between the opening one and main(), as deep as a handler's

double cpu_ns() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

struct Mode {
  const char* name;
  common::FdTrace trace;
  std::vector<double> ns{};
};

double run(const HookLibrary& library) {
  const double begin = cpu_ns();
  for (int i = 0; i < kPairs; ++i) library.open_close_deep(kDepth);
  return (cpu_ns() - begin) / kPairs;
}

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

void measure(const char* name, int rounds) {
  void* const opened = dlopen((std::string(HOOKS_LIBRARIES) + "/" + name).c_str(), RTLD_NOW | RTLD_LOCAL);
  if (opened == nullptr) return void(std::fprintf(stderr, "%s\n", dlerror()));
  const HookLibrary& library = *reinterpret_cast<HookLibraryOf>(dlsym(opened, "hook_library"))();
  const auto made = common::WorkerMemory::create(1024).value();
  std::vector<Mode> modes = {{"off", common::FdTrace::kOff},
                             {"auto, not suspected", common::FdTrace::kAuto},
                             {"always", common::FdTrace::kAlways}};
  for (int round = 0; round < rounds; ++round) {
    for (Mode& mode : modes) {
      made.memory.trace().store(common::TraceSwitch::kOff);
      worker::fd_trace_begin(made.memory, mode.trace);
      mode.ns.push_back(run(library));
    }
  }
  worker::fd_trace_end();
  for (const Mode& mode : modes) {
    const double least = std::ranges::min(mode.ns);
    std::printf("%-20s %-20s least %7.1f ns, %+6.1f to off; median %7.1f ns, %+6.1f\n", name, mode.name, least,
                least - std::ranges::min(modes[0].ns), median(mode.ns), median(mode.ns) - median(modes[0].ns));
  }
}

}  // namespace

int main(int count, char** arguments) {
  const int rounds = count > 1 ? std::max(1, std::atoi(arguments[1])) : 101;
  for (const char* library : {"hooks_framed.so", "hooks_frameless.so"}) measure(library, rounds);
}
