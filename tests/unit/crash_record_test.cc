// CrashRecord: what a worker wrote is copied with its bounds, and put in words.
#include "master/crash_record.h"

#include <gtest/gtest.h>

#include <csignal>
#include <cstring>
#include <memory>
#include <string_view>

namespace {

using common::CrashBox;
using common::CrashStage;
using master::CrashRecord;
using master::describe_crash;

void set_path(common::CrashModule& module, std::string_view text) {
  for (std::size_t i = 0; i < text.size(); i += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, text.data() + i, std::min<std::size_t>(8, text.size() - i));
    module.path[i / 8].store(word);
  }
}

void set_module(CrashBox& box, std::uint32_t index, std::uint64_t begin, std::uint64_t end, std::string_view path) {
  box.modules[index].begin.store(begin);
  box.modules[index].end.store(end);
  set_path(box.modules[index], path);
  box.modules_count.store(std::max(box.modules_count.load(), index + 1));
}

struct CrashBoxTest : testing::Test {
  std::unique_ptr<CrashBox> box = std::make_unique<CrashBox>();
};

TEST_F(CrashBoxTest, IsReadOnlyOnceItIsWritten) {
  EXPECT_FALSE(master::read_crash(*box));
  box->stage.store(CrashStage::kBegun);
  EXPECT_FALSE(master::read_crash(*box));
  box->stage.store(static_cast<CrashStage>(77));
  EXPECT_FALSE(master::read_crash(*box));
  box->stage.store(CrashStage::kRecorded);
  EXPECT_TRUE(master::read_crash(*box));
}

TEST_F(CrashBoxTest, IsReadWithFramesAndModules) {
  box->stage.store(CrashStage::kRecorded);
  box->signal.store(SIGSEGV);
  box->depth.store(2);
  box->frames[0].store(0x1010);
  box->frames[1].store(0x99);
  set_module(*box, 0, 0x1000, 0x2000, "/srv/app.so");
  const auto record = master::read_crash(*box);
  ASSERT_TRUE(record);
  EXPECT_EQ(record->signal, SIGSEGV);
  ASSERT_EQ(record->frames.size(), 2U);
  EXPECT_EQ(master::plain_frame(*record, record->frames[0]), "app.so+0x10");
  EXPECT_EQ(master::plain_frame(*record, record->frames[1]), "0x99 (unknown module)");
  EXPECT_EQ(master::plain_frame(*record, 0x1fff), "app.so+0xfff");
  EXPECT_EQ(master::plain_frame(*record, 0x2000), "0x2000 (unknown module)");
}

TEST_F(CrashBoxTest, IsReadAsFarAsItGoesAndNoFurther) {
  box->stage.store(CrashStage::kRecorded);
  for (const std::uint32_t depth : {64U, 65U, UINT32_MAX}) {
    box->depth.store(depth);
    EXPECT_EQ(master::read_crash(*box)->frames.size(), 64U) << depth;
  }
  for (std::uint32_t i = 0; i < 16; ++i) set_module(*box, i, i * 0x1000, (i + 1) * 0x1000, "/a.so");
  for (const std::uint32_t count : {16U, 17U, UINT32_MAX}) {
    box->modules_count.store(count);
    EXPECT_EQ(master::read_crash(*box)->modules.size(), 16U) << count;
  }
}

TEST_F(CrashBoxTest, LeavesOutModulesThatCannotBe) {
  box->stage.store(CrashStage::kRecorded);
  set_module(*box, 0, 0x2000, 0x1000, "/backwards.so");
  set_module(*box, 1, 0x3000, 0x3000, "/empty.so");
  set_module(*box, 2, 0x5000, 0x7000, "/sound.so");
  set_module(*box, 3, 0x6fff, 0x8000, "/overlaps.so");
  set_module(*box, 4, 0x7000, 0x8000, "/beside\x1b[31m.so");
  const auto record = master::read_crash(*box);
  ASSERT_EQ(record->modules.size(), 2U);
  EXPECT_EQ(record->modules[0].path, "/sound.so");
  EXPECT_EQ(record->modules[1].path, "/beside?[31m.so");
}

TEST_F(CrashBoxTest, SurvivesRubbish) {
  std::memset(static_cast<void*>(box.get()), 0xff, sizeof *box);
  box->stage.store(CrashStage::kRecorded);
  const auto record = master::read_crash(*box);
  ASSERT_TRUE(record);
  EXPECT_EQ(record->frames.size(), 64U);
  EXPECT_TRUE(record->modules.empty());
  EXPECT_EQ(describe_crash(*record, 1), "signal -1 sent by process -1");
}

TEST(CrashRecord, SaysWhatTheKernelSaid) {
  EXPECT_EQ(describe_crash({.signal = SIGSEGV, .code = SEGV_MAPERR, .address = 0x40, .stack_pointer = 1 << 30}, 7),
            "SIGSEGV (SEGV_MAPERR) at address 0x40");
  EXPECT_EQ(describe_crash({.signal = SIGFPE, .code = FPE_INTDIV, .address = 0x40}, 7),
            "SIGFPE (FPE_INTDIV) at address 0x40");
  EXPECT_EQ(describe_crash({.signal = SIGBUS, .code = 99, .address = 0x40}, 7), "SIGBUS (code 99) at address 0x40");
  EXPECT_EQ(describe_crash({.signal = SIGSEGV, .code = SI_KERNEL}, 7),
            "SIGSEGV (SI_KERNEL) at an address that cannot be one");
}

TEST(CrashRecord, SaysWhoSentTheSignal) {
  EXPECT_EQ(describe_crash({.signal = SIGABRT, .code = SI_TKILL, .sender = 7}, 7),
            "SIGABRT raised by the worker itself");
  EXPECT_EQ(describe_crash({.signal = SIGSEGV, .code = SI_USER, .sender = 9}, 7), "SIGSEGV sent by process 9");
}

TEST(CrashRecord, KnowsAStackThatIsUsedUp) {
  constexpr std::uint64_t kPointer = 1 << 30;
  const auto is_told = [](std::uint64_t address, int signal = SIGSEGV) {
    const CrashRecord record{.signal = signal, .code = SEGV_MAPERR, .address = address, .stack_pointer = kPointer};
    return describe_crash(record, 7).find("the stack is used up") != std::string::npos;
  };
  EXPECT_TRUE(is_told(kPointer));
  EXPECT_TRUE(is_told(kPointer - 0xffff));
  EXPECT_FALSE(is_told(kPointer - 0x10000));
  EXPECT_TRUE(is_told(kPointer + 0xffff));
  EXPECT_FALSE(is_told(kPointer + 0x10000));
  EXPECT_FALSE(is_told(kPointer, SIGBUS));
}

}  // namespace
