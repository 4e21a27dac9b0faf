// CrashRecord: a checked copy, and a table of what the kernel calls its reasons.
#include "master/crash_record.h"

#include <algorithm>
#include <csignal>
#include <cstring>

#include "common/format.h"

namespace master {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

// A fault so near to the stack pointer is one of the stack: it has no room below, or a function's frame reaches so far.
constexpr std::uint64_t kNearStack = std::uint64_t{64} * 1024;

std::string path_of(const common::CrashModule& module) {
  std::array<std::uint64_t, common::kModulePathMax / sizeof(std::uint64_t)> words;
  for (std::size_t i = 0; i < words.size(); ++i) words[i] = module.path[i].load(kRelaxed);
  const char* const text = reinterpret_cast<const char*>(words.data());
  std::string path(text, strnlen(text, sizeof words));
  std::ranges::replace_if(path, [](char c) { return c < 0x20 || c >= 0x7f; }, '?');
  return path;
}

std::vector<CodeModule> modules_of(const common::CrashBox& box) {
  const auto count = std::min<std::size_t>(box.modules_count.load(std::memory_order_acquire), common::kCrashModulesMax);
  std::vector<CodeModule> modules;
  for (std::size_t i = 0; i < count; ++i) {
    CodeModule module{.begin = box.modules[i].begin.load(kRelaxed),
                      .end = box.modules[i].end.load(kRelaxed),
                      .identity = box.modules[i].identity.load(kRelaxed),
                      .path = path_of(box.modules[i])};
    const auto overlaps = [&](const CodeModule& other) { return module.begin < other.end && other.begin < module.end; };
    if (module.begin < module.end && std::ranges::none_of(modules, overlaps)) modules.push_back(std::move(module));
  }
  return modules;
}

struct CodeName {
  int signal;
  int code;
  std::string_view name;
};

// sigaction(2)
constexpr CodeName kCodeNames[] = {
    {SIGSEGV, SEGV_MAPERR, "SEGV_MAPERR"},    {SIGSEGV, SEGV_ACCERR, "SEGV_ACCERR"},
    {SIGSEGV, SEGV_BNDERR, "SEGV_BNDERR"},    {SIGSEGV, SEGV_PKUERR, "SEGV_PKUERR"},
    {SIGBUS, BUS_ADRALN, "BUS_ADRALN"},       {SIGBUS, BUS_ADRERR, "BUS_ADRERR"},
    {SIGBUS, BUS_OBJERR, "BUS_OBJERR"},       {SIGBUS, BUS_MCEERR_AR, "BUS_MCEERR_AR"},
    {SIGBUS, BUS_MCEERR_AO, "BUS_MCEERR_AO"}, {SIGILL, ILL_ILLOPC, "ILL_ILLOPC"},
    {SIGILL, ILL_ILLOPN, "ILL_ILLOPN"},       {SIGILL, ILL_ILLADR, "ILL_ILLADR"},
    {SIGILL, ILL_ILLTRP, "ILL_ILLTRP"},       {SIGILL, ILL_PRVOPC, "ILL_PRVOPC"},
    {SIGILL, ILL_PRVREG, "ILL_PRVREG"},       {SIGILL, ILL_COPROC, "ILL_COPROC"},
    {SIGILL, ILL_BADSTK, "ILL_BADSTK"},       {SIGFPE, FPE_INTDIV, "FPE_INTDIV"},
    {SIGFPE, FPE_INTOVF, "FPE_INTOVF"},       {SIGFPE, FPE_FLTDIV, "FPE_FLTDIV"},
    {SIGFPE, FPE_FLTOVF, "FPE_FLTOVF"},       {SIGFPE, FPE_FLTUND, "FPE_FLTUND"},
    {SIGFPE, FPE_FLTRES, "FPE_FLTRES"},       {SIGFPE, FPE_FLTINV, "FPE_FLTINV"},
    {SIGFPE, FPE_FLTSUB, "FPE_FLTSUB"},
};

std::string code_name(int signal, int code) {
  if (code == SI_KERNEL) return "SI_KERNEL";
  for (const CodeName& each : kCodeNames) {
    if (each.signal == signal && each.code == code) return std::string(each.name);
  }
  return common::format("code {}", code);
}

bool is_of_the_stack(const CrashRecord& record) {
  const std::uint64_t below = record.stack_pointer - record.address;
  const std::uint64_t above = record.address - record.stack_pointer;
  return record.signal == SIGSEGV && record.code != SI_KERNEL && std::min(below, above) < kNearStack;
}

}  // namespace

std::optional<CrashRecord> read_crash(const common::CrashBox& box) {
  if (box.stage.load(std::memory_order_acquire) != common::CrashStage::kRecorded) return std::nullopt;
  CrashRecord record{.signal = box.signal.load(kRelaxed),
                     .code = box.code.load(kRelaxed),
                     .sender = box.sender.load(kRelaxed),
                     .thread = box.thread.load(kRelaxed),
                     .address = box.address.load(kRelaxed),
                     .stack_pointer = box.stack_pointer.load(kRelaxed),
                     .frames = {},
                     .modules = modules_of(box)};
  const auto depth = std::min<std::size_t>(box.depth.load(kRelaxed), common::kCrashFramesMax);
  for (std::size_t i = 0; i < depth; ++i) record.frames.push_back(box.frames[i].load(kRelaxed));
  return record;
}

std::string signal_name(int signal) {
  const char* const name = sigabbrev_np(signal);
  return name != nullptr ? "SIG" + std::string(name) : common::format("signal {}", signal);
}

std::string describe_crash(const CrashRecord& record, pid_t pid) {
  const std::string name = signal_name(record.signal);
  if (record.code <= 0) {
    if (record.sender == pid) return name + " raised by the worker itself";
    return common::format("{} sent by process {}", name, record.sender);
  }
  const std::string reason = common::format("{} ({})", name, code_name(record.signal, record.code));
  // x86 tells no address where it is not canonical: 64 bits that are no pointer at all.
  if (record.code == SI_KERNEL) return reason + " at an address that cannot be one";
  const std::string where = common::format("{} at address 0x{:x}", reason, record.address);
  return is_of_the_stack(record) ? where + ", near the stack pointer: the stack is used up" : where;
}

std::string plain_frame(const CrashRecord& record, std::uint64_t address) {
  for (const CodeModule& module : record.modules) {
    if (module.contains(address)) return common::format("{}+0x{:x}", module.name(), address - module.begin);
  }
  return common::format("0x{:x} (unknown module)", address);
}

}  // namespace master
