// WorkerMemory: what one mapping writes the other reads; what is not ours is refused in words.
#include "common/worker_memory.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/config.h"

namespace {

using common::FdRole;
using common::UniqueFd;
using common::WorkerMemory;
using testing::HasSubstr;

UniqueFd duplicate(const UniqueFd& fd) { return UniqueFd(fcntl(fd.get(), F_DUPFD_CLOEXEC, 0)); }

std::uint64_t resident_bytes(const UniqueFd& fd) {
  struct stat status = {};
  EXPECT_EQ(fstat(fd.get(), &status), 0);
  return static_cast<std::uint64_t>(status.st_blocks) * 512;
}

UniqueFd memory_file(std::size_t bytes, int seals = F_SEAL_SHRINK | F_SEAL_GROW) {
  UniqueFd fd(memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  EXPECT_EQ(ftruncate(fd.get(), static_cast<off_t>(bytes)), 0);
  EXPECT_EQ(fcntl(fd.get(), F_ADD_SEALS, seals), 0);  // 0 adds none
  return fd;
}

std::size_t size_for(std::uint64_t descriptors) {
  struct stat status = {};
  EXPECT_EQ(fstat(WorkerMemory::create(descriptors)->fd.get(), &status), 0);
  return static_cast<std::size_t>(status.st_size);
}

TEST(WorkerMemory, IsReadInOneMappingAsItWasWrittenInTheOther) {
  auto made = WorkerMemory::create(100).value();
  const WorkerMemory worker = WorkerMemory::attach(std::move(made.fd)).value();
  worker.ledger().note_server(99, FdRole::kListener, common::Clock::now());
  worker.polls().returns.store(5);
  made.memory.ask().question.store(7);
  made.memory.trace().store(common::TraceSwitch::kOn);
  worker.request().begin("GET", "/a");
  worker.crash().depth.store(9);
  EXPECT_TRUE(made.memory.ledger().is_server(99));
  EXPECT_EQ(made.memory.polls().returns.load(), 5U);
  EXPECT_EQ(worker.ask().question.load(), 7U);
  EXPECT_EQ(worker.trace().load(), common::TraceSwitch::kOn);
  EXPECT_EQ(made.memory.request().read(), "GET /a");
  EXPECT_EQ(made.memory.crash().depth.load(), 9U);
}

TEST(WorkerMemory, HasRoomForTheDescriptorsAskedForAndNoMore) {
  for (const std::uint64_t descriptors : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{1000}}) {
    auto made = WorkerMemory::create(descriptors).value();
    EXPECT_EQ(made.memory.ledger().descriptors(), descriptors);
    EXPECT_EQ(WorkerMemory::attach(std::move(made.fd))->ledger().descriptors(), descriptors);
  }
  EXPECT_EQ(WorkerMemory::create(UINT64_MAX)->memory.ledger().descriptors(), common::kOpenFilesCap);
}

TEST(WorkerMemory, CostsOnlyThePagesThatAreTouched) {
  const auto made = WorkerMemory::create(common::kOpenFilesCap).value();
  made.memory.ledger().note_server(1'000'000, FdRole::kRing, common::Clock::now());
  made.memory.ledger().forget_range(0, UINT32_MAX - 1);
  EXPECT_LT(resident_bytes(made.fd), 64U * 1024);
}

TEST(WorkerMemory, ForgetsARangeOfManyPagesWithBothItsEnds) {
  const auto made = WorkerMemory::create(4096).value();
  const common::FdLedger ledger = made.memory.ledger();
  for (int fd = 0; fd < 4096; ++fd) ledger.note_server(fd, FdRole::kConnection, common::Clock::now());
  ledger.forget_range(100, 3999);
  for (int fd = 0; fd < 4096; ++fd) ASSERT_EQ(ledger.is_server(fd), fd < 100 || fd > 3999) << fd;
  ledger.forget_range(0, UINT32_MAX);
  for (int fd = 0; fd < 4096; ++fd) ASSERT_FALSE(ledger.is_server(fd)) << fd;
}

TEST(WorkerMemory, BeginsEmptyAndSwitchedOff) {
  const auto made = WorkerMemory::create(10).value();
  EXPECT_EQ(made.memory.trace().load(), common::TraceSwitch::kOff);
  EXPECT_EQ(made.memory.ledger().read(0).owner, common::FdOwner::kUnknown);
  EXPECT_EQ(made.memory.ask().question.load(), 0U);
  EXPECT_EQ(made.memory.request().read(), std::nullopt);
  EXPECT_EQ(made.memory.crash().stage.load(), common::CrashStage::kNone);
}

TEST(WorkerMemory, WithoutMemoryHasALedgerOfNoDescriptors) {
  const WorkerMemory none;
  EXPECT_FALSE(none);
  EXPECT_EQ(none.ledger().descriptors(), 0U);
}

TEST(WorkerMemory, CannotBeMadeSmallerByTheOtherProcess) {
  const auto made = WorkerMemory::create(10).value();
  EXPECT_NE(ftruncate(made.fd.get(), 0), 0);
}

TEST(WorkerMemory, RefusesAFileOfAnotherSize) {
  const std::size_t right = size_for(10);
  for (const std::size_t wrong : {std::size_t{0}, std::size_t{4096}, right + 1, right + 8}) {
    const auto attached = WorkerMemory::attach(memory_file(wrong));
    ASSERT_FALSE(attached) << wrong;
    EXPECT_THAT(attached.error().message, HasSubstr("worker memory: " + std::to_string(wrong) + " bytes, expected"));
  }
}

TEST(WorkerMemory, RefusesAFileWithRoomForMoreThanTheCap) {
  const std::size_t largest = size_for(common::kOpenFilesCap);
  const auto attached = WorkerMemory::attach(memory_file(largest + 16));
  ASSERT_FALSE(attached);
  EXPECT_THAT(attached.error().message, HasSubstr("bytes, expected"));
}

TEST(WorkerMemory, RefusesAnotherVersion) {
  const auto attached = WorkerMemory::attach(memory_file(size_for(10)));
  ASSERT_FALSE(attached);
  EXPECT_EQ(attached.error().message,
            "worker memory: layout version 0, expected 2; master and worker must be the same program");
}

TEST(WorkerMemory, RefusesAFileThatCouldShrinkUnderTheMaster) {
  const auto attached = WorkerMemory::attach(memory_file(size_for(10), 0));
  ASSERT_FALSE(attached);
  EXPECT_THAT(attached.error().message, HasSubstr("not sealed against shrinking"));
}

TEST(WorkerMemory, RefusesWhatIsNoFile) {
  EXPECT_FALSE(WorkerMemory::attach(UniqueFd()));
  EXPECT_FALSE(WorkerMemory::attach(UniqueFd(open("/dev/null", O_RDWR | O_CLOEXEC))));
}

TEST(WorkerMemory, LeavesNoDescriptorAndNoMappingBehind) {
  auto made = WorkerMemory::create(10).value();
  const int next = duplicate(made.fd).get();
  WorkerMemory moved = WorkerMemory::attach(duplicate(made.fd)).value();
  moved = WorkerMemory::attach(duplicate(made.fd)).value();
  moved = WorkerMemory();
  EXPECT_FALSE(moved);
  EXPECT_EQ(duplicate(made.fd).get(), next);
}

}  // namespace
