// CrashRecord: what a dead worker wrote in its crash box, copied and made harmless; and its words. Pure.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/crash_box.h"
#include "master/code_module.h"

namespace master {

struct CrashRecord {
  int signal = 0;
  int code = 0;
  pid_t sender = 0;           // if it was sent
  pid_t thread = 0;           // the main thread's is the process's
  std::uint64_t address = 0;  // if it was a fault
  std::uint64_t stack_pointer = 0;
  std::vector<std::uint64_t> frames;  // at most kCrashFramesMax; the first is the instruction that failed
  std::vector<CodeModule> modules;    // at most kCrashModulesMax; their order and addresses are the worker's word
};

// nullopt: it wrote none. The worker could write whatever it liked: counts are cut, texts are of printable ASCII, and
// a module that ends before it begins, or that a module before it overlaps, is left out.
std::optional<CrashRecord> read_crash(const common::CrashBox& box);

// "SIGSEGV", "signal 99"
std::string signal_name(int signal);

// "SIGSEGV (SEGV_MAPERR) at address 0x40", "... near the stack pointer: the stack is used up", "SIGABRT raised by the
// worker itself", "SIGSEGV sent by process 4711". `pid` is the worker's.
std::string describe_crash(const CrashRecord& record, pid_t pid);

// As text without a look at any file: "torture.so+0x1139", "0x7f0012345678 (unknown module)".
std::string plain_frame(const CrashRecord& record, std::uint64_t address);

}  // namespace master
