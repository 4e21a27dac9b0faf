// CounterPage: what is written is what is read, and nothing else is taken for it.
#include "master/counter_page.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <functional>
#include <string>

#include "master/stable_hash.h"

namespace {

using common::UniqueFd;
using master::CounterPage;
using master::ServiceTotals;
using ::testing::HasSubstr;

constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
constexpr std::size_t kHashAt = 16 + 8 * (4 + master::kRecycleReasons);
using Page = std::array<char, kHashAt + 8>;

ServiceTotals some() {
  ServiceTotals totals{.counters = {.restarts_crashed = 1, .restarts_killed = 2},
                       .served = {.requests = 3, .connections = 4}};
  std::uint64_t count = 5;
  for (std::uint64_t& recycled : totals.counters.recycled) recycled = count++;
  return totals;
}

UniqueFd copy_of(const CounterPage& page) { return UniqueFd(fcntl(page.fd(), F_DUPFD_CLOEXEC, 0)); }

UniqueFd memory(std::size_t bytes, int seals) {
  UniqueFd fd(memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  EXPECT_EQ(ftruncate(fd.get(), static_cast<off_t>(bytes)), 0);
  EXPECT_EQ(fcntl(fd.get(), F_ADD_SEALS, seals), 0);
  return fd;
}

std::string refusal(UniqueFd fd) {
  const auto page = CounterPage::attach(std::move(fd));
  return page ? "" : page.error().message;
}

// What a page says that was changed, with a check sum that is right.
std::string reading(const std::function<void(Page&)>& change) {
  const auto page = CounterPage::create();
  EXPECT_TRUE(page->write(some()).has_value());
  Page bytes;
  EXPECT_EQ(pread(page->fd(), bytes.data(), bytes.size(), 0), static_cast<ssize_t>(bytes.size()));
  change(bytes);
  const std::uint64_t hash = master::stable_hash({bytes.data(), kHashAt});
  std::memcpy(bytes.data() + kHashAt, &hash, sizeof hash);
  EXPECT_EQ(pwrite(page->fd(), bytes.data(), bytes.size(), 0), static_cast<ssize_t>(bytes.size()));
  const auto totals = page->read();
  return totals ? "" : totals.error().message;
}

TEST(CounterPage, ReadsWhatWasWrittenAlsoInAnotherProcess) {
  const auto page = CounterPage::create();
  ASSERT_TRUE(page.has_value()) << page.error().message;
  ASSERT_TRUE(page->write({}).has_value());
  ASSERT_TRUE(page->write(some()).has_value());
  const auto other = CounterPage::attach(copy_of(*page));
  ASSERT_TRUE(other.has_value()) << other.error().message;
  EXPECT_EQ(other->read().value(), some());
}

TEST(CounterPage, IsClosedOnExecAndHasASizeForEver) {
  const auto page = CounterPage::create();
  EXPECT_EQ(fcntl(page->fd(), F_GETFD), FD_CLOEXEC);
  EXPECT_NE(ftruncate(page->fd(), 0), 0);
  EXPECT_NE(ftruncate(page->fd(), CounterPage::kBytes + 1), 0);
  UniqueFd inherited = copy_of(*page);
  fcntl(inherited.get(), F_SETFD, 0);
  const auto other = CounterPage::attach(std::move(inherited));
  EXPECT_EQ(fcntl(other->fd(), F_GETFD), FD_CLOEXEC);
}

TEST(CounterPage, IsNothingElseThanASealedMemfdOfItsSize) {
  EXPECT_EQ(refusal(memory(CounterPage::kBytes, kSeals)), "");
  EXPECT_THAT(refusal(memory(CounterPage::kBytes - 1, kSeals)), HasSubstr("its size is 4095, expected 4096"));
  EXPECT_THAT(refusal(memory(CounterPage::kBytes + 1, kSeals)), HasSubstr("its size is 4097, expected 4096"));
  EXPECT_THAT(refusal(memory(CounterPage::kBytes, F_SEAL_GROW | F_SEAL_SEAL)), HasSubstr("sealed"));
  EXPECT_THAT(refusal(memory(CounterPage::kBytes, kSeals | F_SEAL_WRITE)), HasSubstr("cannot be written"));
  EXPECT_THAT(refusal(UniqueFd(open("/proc/self/exe", O_RDONLY | O_CLOEXEC))), HasSubstr("no memfd"));
  EXPECT_THAT(refusal(UniqueFd(open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600))), HasSubstr("no memfd"));
  EXPECT_THAT(refusal(UniqueFd(open("/dev/null", O_RDWR | O_CLOEXEC))), HasSubstr("no memfd"));
  EXPECT_THAT(refusal(UniqueFd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0))), HasSubstr("no memfd"));
  std::array<int, 2> pipe{};
  ASSERT_EQ(pipe2(pipe.data(), O_CLOEXEC), 0);
  const UniqueFd other_end(pipe[1]);
  EXPECT_THAT(refusal(UniqueFd(pipe[0])), HasSubstr("no memfd")) << "and nobody waits for it";
  EXPECT_THAT(refusal(UniqueFd()), HasSubstr("fstat"));
}

TEST(CounterPage, CannotBeReadOnlyByAnotherDescription) {
  const auto page = CounterPage::create();
  const std::string path = "/proc/self/fd/" + std::to_string(page->fd());
  EXPECT_THAT(refusal(UniqueFd(open(path.c_str(), O_RDONLY | O_CLOEXEC))), HasSubstr("cannot be written"));
}

TEST(CounterPage, SaysWhatIsWrongWithIt) {
  EXPECT_EQ(reading([](Page&) {}), "") << "the change is what is refused";
  EXPECT_THAT(CounterPage::create()->read().error().message, HasSubstr("does not hold counters"));
  EXPECT_THAT(reading([](Page& page) { page[0] ^= 1; }), HasSubstr("does not hold counters"));
  EXPECT_THAT(reading([](Page& page) { page[8] = 2; }), HasSubstr("its version is 2, expected 1"));
  EXPECT_THAT(reading([](Page& page) { page[12] = 1; }), HasSubstr("its layout has 1, expected 136"));
}

TEST(CounterPage, DoesNotBelieveADamagedNumber) {
  for (std::size_t at = 16; at < kHashAt + 8; ++at) {
    const auto page = CounterPage::create();
    ASSERT_TRUE(page->write(some()).has_value());
    char byte = 0;
    ASSERT_EQ(pread(page->fd(), &byte, 1, static_cast<off_t>(at)), 1);
    byte = static_cast<char>(byte ^ 4);
    ASSERT_EQ(pwrite(page->fd(), &byte, 1, static_cast<off_t>(at)), 1);
    const auto totals = page->read();
    ASSERT_FALSE(totals.has_value()) << at;
    EXPECT_THAT(totals.error().message, HasSubstr("damaged"));
  }
}

TEST(CounterPage, DoesNotBelieveANumberThatNobodyCountsTo) {
  for (std::size_t at = 16; at < kHashAt; at += 8) {
    const auto said = [at](std::uint64_t number) {
      return reading([&](Page& page) { std::memcpy(page.data() + at, &number, sizeof number); });
    };
    EXPECT_EQ(said(CounterPage::kCountMax), "");
    EXPECT_THAT(said(CounterPage::kCountMax + 1), HasSubstr("nobody counts to")) << at;
  }
}

}  // namespace
