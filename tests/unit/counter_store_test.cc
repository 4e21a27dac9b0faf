// CounterStore: what a start finds in the store, and what it leaves there.
#include "master/counter_store.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "support/activator.h"

namespace {

using common::UniqueFd;
using master::CounterPage;
using master::CounterStore;
using master::KeptCounters;
using master::PassedSocket;
using master::ServiceTotals;
using master::Systemd;
using std::chrono::milliseconds;
using std::chrono::seconds;
using InStore = KeptCounters::InStore;
using Hurry = CounterStore::Hurry;

constexpr common::TimePoint kStart{std::chrono::hours(1)};
const std::string kName(master::kCountersName);

ServiceTotals served(std::uint64_t requests) { return {.served = {.requests = requests, .connections = 1}}; }
ServiceTotals crashed(std::uint64_t times) { return {.counters = {.restarts_crashed = times}}; }

PassedSocket page_of(const ServiceTotals& totals) {
  const auto page = CounterPage::create();
  EXPECT_TRUE(page->write(totals).has_value());
  return {.fd = UniqueFd(fcntl(page->fd(), F_DUPFD_CLOEXEC, 0)), .name = kName};
}

PassedSocket stranger(const std::string& name) {
  return {.fd = UniqueFd(open("/dev/null", O_RDWR | O_CLOEXEC)), .name = name};
}

template <typename... Passed>
std::vector<PassedSocket> passed(Passed... each) {
  std::vector<PassedSocket> list;
  (list.push_back(std::move(each)), ...);
  return list;
}

class CounterStores : public testing::Test {
 protected:
  CounterStores() {
    const std::string variable = activator_.options().variables.at(0);
    setenv("NOTIFY_SOCKET", variable.substr(variable.find('=') + 1).c_str(), 1);
    systemd_.emplace();
    unsetenv("NOTIFY_SOCKET");
  }
  // What the manager holds.
  std::optional<ServiceTotals> held() {
    UniqueFd fd = activator_.stored_copy(kName);
    if (!fd) return std::nullopt;
    const auto page = CounterPage::attach(std::move(fd));
    const auto totals = page ? page->read() : std::unexpected(page.error());
    return totals ? std::optional(*totals) : std::nullopt;
  }
  bool comes_to_hold(const ServiceTotals& totals) {
    return support::wait_until([&] { return held() == totals; });
  }

  support::Activator activator_;
  std::optional<Systemd> systemd_;
};

TEST(TakeCounters, FindsThemByNameAndLeavesTheOthers) {
  auto list = passed(stranger("listen,0,127.0.0.1=80,,"), page_of(served(7)), stranger("web"));
  const KeptCounters kept = take_counters(list);
  EXPECT_EQ(kept.totals, served(7));
  EXPECT_EQ(kept.in_store, InStore::kPage);
  ASSERT_EQ(list.size(), 2U);
  EXPECT_EQ(list[0].name, "listen,0,127.0.0.1=80,,");
  EXPECT_EQ(list[1].name, "web");
}

TEST(TakeCounters, BeginsAtNothingWhereThereIsNothing) {
  auto list = passed(stranger("web"));
  const KeptCounters kept = take_counters(list);
  EXPECT_EQ(kept.totals, ServiceTotals());
  EXPECT_EQ(kept.in_store, InStore::kNothing);
  EXPECT_FALSE(kept.page);
}

TEST(TakeCounters, IgnoresAStrangerOfTheirName) {
  auto list = passed(stranger(kName));
  const KeptCounters kept = take_counters(list);
  EXPECT_TRUE(list.empty());
  EXPECT_EQ(kept.totals, ServiceTotals());
  EXPECT_EQ(kept.in_store, InStore::kOther);
  EXPECT_FALSE(kept.page);
}

TEST(TakeCounters, UsesTheFirstThatCanBeUsedAndHasTheRestReplaced) {
  auto list = passed(stranger(kName), page_of(served(7)), page_of(served(9)));
  const KeptCounters kept = take_counters(list);
  EXPECT_EQ(kept.totals, served(7));
  EXPECT_TRUE(kept.page);
  EXPECT_EQ(kept.in_store, InStore::kOther);
}

TEST_F(CounterStores, StoresOnceAndWritesIntoWhatIsStored) {
  CounterStore store(*systemd_, {});
  EXPECT_EQ(store.fd(), -1);
  store.follow(served(1), kStart);
  EXPECT_GE(store.fd(), 0);
  EXPECT_TRUE(comes_to_hold(served(1)));
  store.follow(served(2), kStart + seconds(1));
  EXPECT_TRUE(comes_to_hold(served(2)));
  EXPECT_EQ(activator_.count("FDSTORE=1"), 1U);
  EXPECT_EQ(activator_.count("FDSTOREREMOVE=1"), 0U);
}

TEST_F(CounterStores, WritesRequestsEachSecondAndAllElseAtOnce) {
  CounterStore store(*systemd_, {});
  EXPECT_EQ(store.next_deadline(), std::nullopt);
  store.follow(served(1), kStart);
  ASSERT_TRUE(comes_to_hold(served(1)));
  EXPECT_EQ(store.next_deadline(), kStart + seconds(1));
  store.follow(served(2), kStart + milliseconds(999));
  EXPECT_EQ(held(), served(1));
  store.follow(served(2), kStart + milliseconds(999), Hurry::kLastTime);
  EXPECT_EQ(held(), served(2));
  store.follow(served(3), kStart + milliseconds(1999));
  EXPECT_EQ(held(), served(3));
  store.follow(crashed(1), kStart + milliseconds(2000));
  EXPECT_EQ(held(), crashed(1));
}

TEST_F(CounterStores, GoesOnInThePageOfTheMasterBefore) {
  auto list = passed(page_of(served(7)));
  activator_.put(kName, list[0].fd.get());
  CounterStore store(*systemd_, take_counters(list));
  store.follow(served(8), kStart);
  EXPECT_EQ(held(), served(8));
  EXPECT_EQ(activator_.count("FDSTORE=1"), 0U) << "it is there";
}

TEST_F(CounterStores, ReplacesWhatItCannotUse) {
  auto list = passed(stranger(kName));
  activator_.put(kName, list[0].fd.get());
  CounterStore store(*systemd_, take_counters(list));
  store.follow(served(1), kStart);
  EXPECT_TRUE(comes_to_hold(served(1)));
  EXPECT_EQ(activator_.count("FDSTOREREMOVE=1"), 1U);
}

TEST_F(CounterStores, GoesOnFromWhatTheImageBeforeHasTold) {
  CounterStore before(*systemd_, {});
  before.follow(served(1), kStart);
  ASSERT_TRUE(comes_to_hold(served(1)));
  KeptCounters handed = master::resume_counters(UniqueFd(fcntl(before.fd(), F_DUPFD_CLOEXEC, 0)), served(5));
  EXPECT_EQ(handed.totals, served(5)) << "what is stored is older";
  CounterStore store(*systemd_, std::move(handed));
  store.follow(served(6), kStart);
  EXPECT_EQ(held(), served(6));
  EXPECT_EQ(activator_.count("FDSTORE=1"), 1U);
}

TEST_F(CounterStores, StoresAnewWhatTheImageBeforeDidNotHave) {
  KeptCounters handed = master::resume_counters(UniqueFd(), served(5));
  EXPECT_EQ(handed.totals, served(5));
  CounterStore store(*systemd_, std::move(handed));
  store.follow(served(6), kStart);
  EXPECT_TRUE(comes_to_hold(served(6)));
}

TEST(CounterStore, DoesNothingWhereNobodyListens) {
  unsetenv("NOTIFY_SOCKET");
  Systemd nobody;
  CounterStore store(nobody, {});
  store.follow(served(1), kStart);
  EXPECT_EQ(store.fd(), -1);
  EXPECT_EQ(store.next_deadline(), std::nullopt);
}

}  // namespace
