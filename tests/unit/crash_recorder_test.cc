// CrashRecorder: real processes die in many ways; each leaves a record, and the exit status it would have had anyway.
#include "worker/crash_recorder.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <thread>

#include "master/crash_record.h"
#include "support/deadline.h"
#include "support/environment.h"
#include "worker/call_stack.h"

namespace {

using common::CrashStage;
using common::WorkerMemory;
using master::CrashRecord;

struct Death {
  pid_t pid = 0;
  int wait_status = 0;
  std::optional<CrashRecord> record{};

  int signal() const { return WIFSIGNALED(wait_status) ? WTERMSIG(wait_status) : 0; }
};

enum class Walks { kPlain, kGuarded };  // kGuarded: as in a worker, where traces survive broken stacks

// Runs `before`, then records crashes, then runs `way`, which should end the child.
template <typename Before, typename Way>
Death die(Before before, Way way, Walks walks = Walks::kGuarded) {
  const auto made = WorkerMemory::create(16).value();
  Death death;
  death.pid = fork();
  if (death.pid == 0) {
    const rlimit no_core{.rlim_cur = 0, .rlim_max = 0};
    setrlimit(RLIMIT_CORE, &no_core);
    // A sanitizer may have them; what a worker finds is the default.
    for (const int signal : {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT}) std::signal(signal, SIG_DFL);
    before();
    worker::record_crashes(made.memory);
    if (walks == Walks::kGuarded) worker::survive_broken_stacks();
    way();
    _exit(99);
  }
  EXPECT_EQ(waitpid(death.pid, &death.wait_status, 0), death.pid);
  death.record = master::read_crash(made.memory.crash());
  return death;
}

template <typename Way>
Death die(Way way) {
  return die([] {}, way);
}

volatile int* volatile nowhere = reinterpret_cast<volatile int*>(64);
[[gnu::noinline]] void write_nowhere() { *nowhere = 1; }
constexpr std::uint64_t kFunctionBytes = 64;

template <typename Function>
bool is_in(Function* function, std::uint64_t address) {
  return address - reinterpret_cast<std::uint64_t>(function) < kFunctionBytes;
}

TEST(CrashRecorder, RecordsAFaultAndLeavesTheSignal) {
  for (const Walks walks : {Walks::kPlain, Walks::kGuarded}) {
    const Death death = die([] {}, write_nowhere, walks);
    EXPECT_EQ(death.signal(), SIGSEGV);
    ASSERT_TRUE(death.record);
    EXPECT_EQ(death.record->signal, SIGSEGV);
    EXPECT_EQ(death.record->code, SEGV_MAPERR);
    EXPECT_EQ(death.record->address, 64U);
    EXPECT_EQ(death.record->thread, death.pid);
    ASSERT_GE(death.record->frames.size(), 2U);
    EXPECT_TRUE(is_in(&write_nowhere, death.record->frames[0])) << "the handler's own frames are left out";
    EXPECT_FALSE(is_in(&write_nowhere, death.record->frames[1]));
  }
}

TEST(CrashRecorder, RecordsTheModulesOfTheStack) {
  const Death death = die(write_nowhere);
  ASSERT_TRUE(death.record);
  ASSERT_FALSE(death.record->modules.empty());
  const master::CodeModule& program = death.record->modules.front();
  EXPECT_EQ(program.path, "");
  EXPECT_TRUE(program.contains(death.record->frames[0]));
  EXPECT_TRUE(master::open_module(program)) << "it is this program's own file";
}

TEST(CrashRecorder, RecordsEverySignalOfAProgramThatFails) {
  for (const int signal : {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT}) {
    const Death death = die([signal] { raise(signal); });
    EXPECT_EQ(death.signal(), signal);
    ASSERT_TRUE(death.record) << signal;
    EXPECT_EQ(death.record->signal, signal);
    EXPECT_EQ(death.record->sender, death.pid);
    EXPECT_LE(death.record->code, 0);
  }
}

void abort_at_once() { std::abort(); }
[[gnu::noinline]] void throw_something() { throw 7; }
void let_an_exception_out() noexcept { throw_something(); }

TEST(CrashRecorder, RecordsAnAbortAndAnExceptionThatNobodyCatches) {
  for (void (*const way)() : std::array<void (*)(), 2>{&abort_at_once, &let_an_exception_out}) {
    const Death death = die(way);
    EXPECT_EQ(death.signal(), SIGABRT);
    ASSERT_TRUE(death.record);
    EXPECT_EQ(master::describe_crash(*death.record, death.pid), "SIGABRT raised by the worker itself");
    EXPECT_GE(death.record->frames.size(), 4U);
  }
}

TEST(CrashRecorder, SaysWhoSentIt) {
  const Death death = die([] {
    const pid_t child = getpid();
    if (fork() == 0) {
      kill(child, SIGSEGV);
      _exit(0);
    }
    while (true) pause();
  });
  EXPECT_EQ(death.signal(), SIGSEGV);
  ASSERT_TRUE(death.record);
  EXPECT_EQ(death.record->code, SI_USER);
  EXPECT_NE(death.record->sender, death.pid);
  EXPECT_GT(death.record->sender, 0);
}

[[gnu::noinline]] int use_up_the_stack(volatile const int* above) {
  volatile int room[64];
  room[0] = *above + 1;
  return room[0] == 0 ? 0 : use_up_the_stack(room) + room[0];
}

TEST(CrashRecorder, RecordsAStackThatIsUsedUp) {
#if defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "ThreadSanitizer's own frames do not end there";
#endif
  const Death death = die([] {
    const int top = 0;
    use_up_the_stack(&top);
  });
  EXPECT_EQ(death.signal(), SIGSEGV);
  ASSERT_TRUE(death.record);
  EXPECT_EQ(death.record->frames.size(), common::kCrashFramesMax);
  EXPECT_NE(master::describe_crash(*death.record, death.pid).find("the stack is used up"), std::string::npos);
}

void (*volatile forgotten)() = nullptr;
[[gnu::noinline]] void call_nowhere() {
  forgotten();
  forgotten();
}

TEST(CrashRecorder, FindsTheCallerOfWhatIsNoCode) {
  const Death death = die(call_nowhere);
  EXPECT_EQ(death.signal(), SIGSEGV);
  ASSERT_TRUE(death.record);
  ASSERT_GE(death.record->frames.size(), 3U);
  EXPECT_EQ(death.record->frames[0], 0U);
  EXPECT_TRUE(is_in(&call_nowhere, death.record->frames[1]));
}

#if defined(__x86_64__)
[[gnu::noinline]] void crash_on_a_fibre() {
  write_nowhere();
  std::abort();
}

TEST(CrashRecorder, KeepsTheFramesBeforeTheEndOfAStackMadeByHand) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "sanitizers have their own jumps and walks";
#endif
  const Death death = die([] {
    asm volatile(
        "andq $-16, %%rsp\n"
        "pushq %0\n"
        "jmp *%1\n"
        :
        : "r"(std::uintptr_t{0x7fff00000000}), "r"(&crash_on_a_fibre)
        : "memory");
  });
  EXPECT_EQ(death.signal(), SIGSEGV);
  ASSERT_TRUE(death.record);
  ASSERT_GE(death.record->frames.size(), 2U);
  EXPECT_TRUE(is_in(&crash_on_a_fibre, death.record->frames[1]));
}

// Neither code nor stack: what is left is the fault itself.
[[gnu::noinline]] void lose_the_stack() {
  asm volatile(
      "movq $64, %rsp\n"
      "jmp *%rsp\n");
}

TEST(CrashRecorder, RecordsWhatIsLeftWhenTheStackIsGone) {
  const Death death = die(lose_the_stack);
  EXPECT_EQ(death.signal(), SIGSEGV);
  ASSERT_TRUE(death.record);
  EXPECT_EQ(death.record->frames, std::vector<std::uint64_t>{64});
  EXPECT_EQ(death.record->stack_pointer, 64U);
}
#endif

// Handlers that hand a signal on leave no trace in the stack.
TEST(CrashRecorder, SeesASignalThatWasSentWhereItCame) {
  const auto way = [] { raise(SIGSEGV); };
  const Death plain = die([] {}, way, Walks::kPlain);
  const Death guarded = die([] {}, way, Walks::kGuarded);
  ASSERT_TRUE(plain.record && guarded.record);
  EXPECT_EQ(guarded.record->frames.size(), plain.record->frames.size());
  EXPECT_EQ(guarded.record->frames.at(0), plain.record->frames.at(0));
}

TEST(CrashRecorder, LeavesASignalThatTheApplicationCaughtBefore) {
  const auto leave = [](int) { _exit(42); };
  const Death death = die([&] { std::signal(SIGSEGV, leave); }, write_nowhere);
  EXPECT_TRUE(WIFEXITED(death.wait_status) && WEXITSTATUS(death.wait_status) == 42) << death.wait_status;
  EXPECT_FALSE(death.record);
  const Death ignoring = die([] { std::signal(SIGFPE, SIG_IGN); }, [] { raise(SIGFPE); });
  EXPECT_TRUE(WIFEXITED(ignoring.wait_status) && WEXITSTATUS(ignoring.wait_status) == 99) << ignoring.wait_status;
}

TEST(CrashRecorder, GivesWayToAHandlerThatComesLater) {
  const Death death = die([] {
    std::signal(SIGSEGV, [](int) { _exit(42); });
    write_nowhere();
  });
  EXPECT_TRUE(WIFEXITED(death.wait_status) && WEXITSTATUS(death.wait_status) == 42) << death.wait_status;
  EXPECT_FALSE(death.record);
}

struct sigaction before_ours{};
void hand_on(int signal, siginfo_t* info, void* context) { before_ours.sa_sigaction(signal, info, context); }

TEST(CrashRecorder, RecordsWhatALaterHandlerHandsOn) {
  const Death death = die([] {
    struct sigaction action{};
    action.sa_sigaction = hand_on;
    action.sa_flags = SA_SIGINFO;
    sigaction(SIGSEGV, &action, &before_ours);
    write_nowhere();
  });
  EXPECT_EQ(death.signal(), SIGSEGV);
  ASSERT_TRUE(death.record);
  EXPECT_TRUE(is_in(&write_nowhere, death.record->frames.at(0)));
}

TEST(CrashRecorder, RecordsACrashOfAnotherThread) {
  const Death death = die([] { std::thread(write_nowhere).join(); });
  EXPECT_EQ(death.signal(), SIGSEGV);
  ASSERT_TRUE(death.record);
  EXPECT_NE(death.record->thread, death.pid);
  EXPECT_TRUE(is_in(&write_nowhere, death.record->frames.at(0)));
}

TEST(CrashRecorder, RecordsOneOfManyThreadsThatCrashAtOnce) {
  for (int round = 0; round < 20; ++round) {
    const Death death = die([] {
      std::array<std::thread, 4> threads;
      for (std::thread& thread : threads) thread = std::thread(write_nowhere);
      for (std::thread& thread : threads) thread.join();
    });
    ASSERT_EQ(death.signal(), SIGSEGV);
    ASSERT_TRUE(death.record);
    EXPECT_GE(death.record->frames.size(), 2U);
    EXPECT_TRUE(is_in(&write_nowhere, death.record->frames.at(0)));
  }
}

TEST(CrashRecorder, RecordsNothingOfAChildOfTheApplication) {
  const Death death = die([] {
    const pid_t child = fork();
    if (child == 0) write_nowhere();
    int status = 0;
    waitpid(child, &status, 0);
    _exit(WIFSIGNALED(status) ? WTERMSIG(status) : 98);
  });
  EXPECT_TRUE(WIFEXITED(death.wait_status) && WEXITSTATUS(death.wait_status) == SIGSEGV) << death.wait_status;
  EXPECT_FALSE(death.record);
}

// The walk would need more than there is.
TEST(CrashRecorder, TellsTheFaultAloneOnASmallSignalStackOfTheApplications) {
  const Death death = die([] {
    constexpr std::size_t kSmall = 16 * 1024;
    auto* const room =
        static_cast<std::byte*>(mmap(nullptr, 2 * kSmall, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    mprotect(room, kSmall, PROT_NONE);
    stack_t stack{};
    stack.ss_sp = room + kSmall;
    stack.ss_size = kSmall;
    sigaltstack(&stack, nullptr);
    write_nowhere();
  });
  EXPECT_EQ(death.signal(), SIGSEGV);
  ASSERT_TRUE(death.record);
  EXPECT_EQ(death.record->frames.size(), 1U);
  EXPECT_FALSE(death.record->modules.empty());
}

TEST(CrashRecorder, LeavesNothingWithoutACrash) {
  const Death death = die([] {});
  EXPECT_TRUE(WIFEXITED(death.wait_status) && WEXITSTATUS(death.wait_status) == 99) << death.wait_status;
  EXPECT_FALSE(death.record);
}

}  // namespace
