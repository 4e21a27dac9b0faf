// Inspection: the report on real processes, as users get it.
#include "master/inspection.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <string>
#include <vector>

#include "common/clock.h"
#include "descriptor_target.h"
#include "support/deadline.h"
#include "support/environment.h"
#include "support/temporary_directory.h"

namespace {

using common::FdLedger;
using common::Json;
using common::TimePoint;
using master::InspectionOrder;
using std::chrono::seconds;

const TimePoint kNow = TimePoint(seconds(100'000));
constexpr std::size_t kDescriptors = 4096;

// A ledger that the test writes in the place of the worker.
struct OwnLedger {
  std::vector<common::FdEntry> entries{kDescriptors};
  std::vector<common::FdStack> stacks{64};
  FdLedger ledger{entries, stacks};
};

class Peer {
 public:
  Peer() {
    listener_.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    address_.sin_family = AF_INET;
    address_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address_;
    EXPECT_EQ(::bind(listener_.get(), get(), size), 0);
    EXPECT_EQ(::listen(listener_.get(), 64), 0);
    EXPECT_EQ(::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address_), &size), 0);
  }
  // For the target: a connection that it keeps and this side closes.
  int connection() const {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (::connect(fd, get(), sizeof address_) != 0) return -1;
    return ::close(::accept(listener_.get(), nullptr, nullptr)) == 0 ? fd : -1;
  }
  std::string text() const { return "127.0.0.1:" + std::to_string(ntohs(address_.sin_port)); }

 private:
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&address_); }

  common::UniqueFd listener_;
  sockaddr_in address_{};
};

Json inspect_one(const InspectionOrder& order) {
  const Json reports = master::inspect(std::span(&order, 1), kNow);
  EXPECT_EQ(reports.size(), 1U);
  return reports.at(0);
}

const Json* find(const Json& list, const char* member, const Json& value) {
  for (const Json& entry : list) {
    if (entry.at(member) == value) return &entry;
  }
  ADD_FAILURE() << "no " << member << " " << value << " in " << list.dump(1);
  return nullptr;
}

std::vector<int> some_of(const char* kind, const Json& report) {
  std::vector<int> fds;
  for (const Json& entry : report.at("descriptors")) {
    if (entry.at("kind") == kind) fds.push_back(entry.at("fd").get<int>());
  }
  return fds;
}

// An address inside a function of a library, to stand for the caller of open().
std::uint64_t address_in_library() {
  void* const library = ::dlopen(support::application("symbols_target").c_str(), RTLD_NOW | RTLD_LOCAL);
  EXPECT_NE(library, nullptr) << ::dlerror();
  auto* const function = reinterpret_cast<std::uint64_t (*)()>(::dlsym(library, "target_connect"));
  return function();  // stays loaded
}

TEST(Inspection, ExplainsALeakOfConnections) {
  const std::uint64_t caller = address_in_library();
  OwnLedger own;
  Peer peer;
  const DescriptorTarget target([&] {
    for (int i = 0; i < 20; ++i) {
      if (peer.connection() < 0) return -1;
    }
    return 0;
  });
  ASSERT_EQ(target.told(), 0);
  InspectionOrder order{.pid = target.pid(), .slot = 3, .generation = 2, .ledger = own.ledger};
  const std::uint64_t frames[] = {caller, caller};
  const std::uint32_t stack = own.ledger.add_stack(1, frames);
  std::vector<int> leaked;
  ASSERT_TRUE(support::wait_until([&] {
    leaked.clear();
    const Json report = inspect_one(order);
    for (const Json& entry : report.at("descriptors")) {
      if (entry.value("state", "") == "CLOSE_WAIT") leaked.push_back(entry.at("fd"));
    }
    return leaked.size() == 20;
  }));
  for (std::size_t i = 0; i < leaked.size(); ++i) {
    own.ledger.note_application(leaked[i], common::nanoseconds_of(kNow - seconds(793 + i)), stack);
  }
  own.ledger.note_server(2, common::FdRole::kChannel, kNow);
  order.owned = 7;  // of another moment: what is listed counts
  order.baseline = 4;
  const Json report = inspect_one(order);
  EXPECT_EQ(report.at("slot"), 3);
  EXPECT_EQ(report.at("pid"), target.pid());
  EXPECT_EQ(report.at("generation"), 2);
  EXPECT_EQ(report.at("complaints"), Json::array());
  EXPECT_EQ(report.at("stack"), Json::array());
  EXPECT_EQ(report.at("spinning"), nullptr);
  const std::uint64_t total = report.at("descriptors").size();
  EXPECT_EQ(report.at("fds"), (Json{{"total", total}, {"owned", 1}, {"baseline", 4}, {"leaked", total - 5}}));
  const Json& worst = report.at("groups").at(0);
  EXPECT_EQ(worst.at("count"), 20);
  EXPECT_EQ(worst.at("owner"), "application");
  EXPECT_EQ(worst.at("since"), "serving");
  EXPECT_EQ(worst.at("kind"), "tcp");
  EXPECT_EQ(worst.at("state"), "CLOSE_WAIT");
  EXPECT_EQ(worst.at("peer"), peer.text());
  EXPECT_EQ(worst.at("oldest_s"), 812.0);
  EXPECT_EQ(worst.at("fds"), Json(std::vector(leaked.begin(), leaked.begin() + 16)));
  const Json& place = worst.at("opened_at");
  EXPECT_EQ(place.at("module"), "symbols_target.so");
  EXPECT_EQ(place.at("function"), "target::Pool::connect");
  EXPECT_EQ(place.at("file"), "symbols_target.cc");
  EXPECT_EQ(worst.at("stack").size(), 2U);
  EXPECT_EQ(worst.at("text"), "20 × TCP CLOSE_WAIT to " + peer.text() + ", oldest 812 s, opened at " +
                                  place.at("text").get<std::string>());
  const Json* single = find(report.at("descriptors"), "fd", leaked[0]);
  ASSERT_NE(single, nullptr);
  EXPECT_EQ(single->at("age_s"), 793.0);
  EXPECT_EQ(single->at("opened_at"), place.at("text"));
}

TEST(Inspection, TellsTheServersDescriptorsFromTheApplications) {
  OwnLedger own;
  const DescriptorTarget target([] { return ::eventfd(0, EFD_CLOEXEC); });
  own.ledger.note_server(target.told(), common::FdRole::kSignals, kNow);
  const Json report = inspect_one({.pid = target.pid(), .ledger = own.ledger});
  const Json* group = find(report.at("groups"), "kind", "eventfd");
  ASSERT_NE(group, nullptr);
  EXPECT_EQ(group->at("owner"), "server");
  EXPECT_EQ(group->at("role"), "signals");
  EXPECT_EQ(group->at("text"), "1 × signal descriptor, eventfd");
  EXPECT_EQ(report.at("groups").back(), *group);
  // Without a baseline the worker has not begun to serve: nothing has leaked.
  EXPECT_EQ(report.at("fds").at("leaked"), 0);
}

TEST(Inspection, NamesTheDescriptorOnWhichALoopSpins) {
  Peer peer;
  const DescriptorTarget target([&] {
    const int fd = peer.connection();
    const int epoll = ::epoll_create1(EPOLL_CLOEXEC);
    for (int i = 0; i < 2; ++i) {
      epoll_event event{};
      event.events = EPOLLIN | EPOLLRDHUP;
      event.data.u64 = 0x1e;
      if (::epoll_ctl(epoll, EPOLL_CTL_ADD, i == 0 ? ::eventfd(0, EFD_CLOEXEC) : fd, &event) != 0) return -1;
    }
    epoll_event event{};
    return ::epoll_wait(epoll, &event, 1, -1) == 1 ? epoll : -1;  // the end of the connection has come
  });
  const int epoll = target.told();
  InspectionOrder order{.pid = target.pid()};
  order.busy_poll = {.epoll_fd = epoll, .data = 0x1e, .events = EPOLLIN | EPOLLRDHUP};
  const Json report = inspect_one(order);
  const std::vector<int> sockets = some_of("tcp", report);
  const int guilty = sockets.back();
  EXPECT_EQ(
      report.at("spinning"),
      (Json{{"epoll_fd", epoll},
            {"fd", guilty},
            {"text", "epoll " + std::to_string(epoll) + " returns at once for ever: descriptor " +
                         std::to_string(guilty) + ", TCP CLOSE_WAIT to " + peer.text() + ", EPOLLIN EPOLLRDHUP"}}));
  const Json* group = find(report.at("groups"), "kind", "epoll");
  ASSERT_NE(group, nullptr);
  EXPECT_EQ(group->at("watches").size(), 2U);
  EXPECT_EQ(group->at("text"),
            "1 × epoll watching 2 descriptors, 1 of them TCP CLOSE_WAIT, opened at: unknown (before tracing began)");
  order.busy_poll->data = 7;
  EXPECT_EQ(inspect_one(order).at("spinning"),
            (Json{{"epoll_fd", epoll},
                  {"fd", nullptr},
                  {"text", "epoll " + std::to_string(epoll) +
                               " returns at once for ever: a descriptor watched with data 0x7, EPOLLIN EPOLLRDHUP"}}));
}

TEST(Inspection, ShowsTheStackOfTheMainThread) {
  const std::uint64_t caller = address_in_library();
  const DescriptorTarget target([] { return 0; });
  InspectionOrder order{.pid = target.pid()};
  order.stack = {caller, caller, 1};
  const Json report = inspect_one(order);
  ASSERT_EQ(report.at("stack").size(), 3U);
  EXPECT_EQ(report.at("stack").at(1).get<std::string>().find("symbols_target.so!target::Pool::connect+"), 0U);
  EXPECT_EQ(report.at("stack").at(2), "0x1");
}

TEST(Inspection, ReportsOnTheOthersWhenOneHasGone) {
  DescriptorTarget gone([] { return 0; });
  gone.reap();
  const DescriptorTarget there([] { return 0; });
  const InspectionOrder orders[] = {{.pid = gone.pid(), .slot = 0}, {.pid = there.pid(), .slot = 1}};
  const Json reports = master::inspect(orders, kNow);
  ASSERT_EQ(reports.size(), 2U);
  EXPECT_EQ(
      reports[0],
      (Json{{"slot", 0}, {"pid", gone.pid()}, {"error", "process " + std::to_string(gone.pid()) + " has ended"}}));
  EXPECT_EQ(reports[1].at("slot"), 1);
  EXPECT_FALSE(reports[1].contains("error"));
}

TEST(Inspection, IsNotMisledByTheNameOfAFile) {
  const support::TemporaryDirectory directory;
  const std::string path = directory.write("a\xff\n\x1b[2J", "x");
  const DescriptorTarget target([&] { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC); });
  const Json report = inspect_one({.pid = target.pid()});
  const Json* file = find(report.at("descriptors"), "fd", target.told());
  ASSERT_NE(file, nullptr);
  EXPECT_EQ(file->at("path"), path);
  const std::string text = file->at("text");
  EXPECT_EQ(text.find_first_of("\n\x1b"), std::string::npos) << text;
  EXPECT_NO_THROW(static_cast<void>(report.dump(-1, ' ', false, Json::error_handler_t::replace)));
}

TEST(Inspection, IgnoresAddressesThatAWorkerMadeUp) {
  OwnLedger own;
  const DescriptorTarget target([] { return ::eventfd(0, EFD_CLOEXEC); });
  const std::uint64_t frames[] = {0, 1, ~std::uint64_t{0}, std::uint64_t{1} << 63};
  own.ledger.note_application(target.told(), ~std::uint64_t{0}, own.ledger.add_stack(9, frames));
  InspectionOrder order{.pid = target.pid(), .ledger = own.ledger};
  order.stack = {~std::uint64_t{0}, 0};
  order.busy_poll = {.epoll_fd = -1, .data = 1, .events = 0};
  const Json report = inspect_one(order);
  const Json* group = find(report.at("groups"), "kind", "eventfd");
  ASSERT_NE(group, nullptr);
  EXPECT_EQ(group->at("opened_at").at("text"), "0x0");
  EXPECT_EQ(report.at("stack").size(), 2U);
}

// One more than are listed one by one; groups count them all.
TEST(Inspection, ListsALimitedNumberOfDescriptors) {
  constexpr std::size_t kCount = master::kDescriptorsMax + 1;
  const DescriptorTarget target([] {
    const rlimit limit{.rlim_cur = kCount, .rlim_max = kCount};
    if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) return EPERM;
    int ends[2];
    if (::pipe(ends) != 0) return errno;
    while (::dup(ends[0]) >= 0) {
    }
    return 0;
  });
  if (target.told() == EPERM) GTEST_SKIP() << "the hard limit of open files is too low";
  const Json report = inspect_one({.pid = target.pid()});
  EXPECT_EQ(report.at("fds").at("total"), kCount);
  EXPECT_EQ(report.at("descriptors").size(), master::kDescriptorsMax);
  EXPECT_EQ(report.at("descriptors_left_out"), 1);
  EXPECT_GT(report.at("groups").at(0).at("count"), master::kDescriptorsMax - 100);
  EXPECT_FALSE(report.contains("groups_left_out"));
}

TEST(Inspection, ListsALimitedNumberOfGroups) {
  const DescriptorTarget target([] {
    for (std::size_t i = 0; i <= master::kGroupsMax; ++i) {
      std::string name;  // of letters alone: numbers would make one group of all
      for (std::size_t rest = i; name.size() < 4; rest /= 16) name += static_cast<char>('g' + rest % 16);
      if (::memfd_create(name.c_str(), MFD_CLOEXEC) < 0) return -1;
    }
    return 0;
  });
  ASSERT_EQ(target.told(), 0) << "the limit of open files is too low";
  const Json report = inspect_one({.pid = target.pid()});
  EXPECT_EQ(report.at("groups").size(), master::kGroupsMax);
  EXPECT_GE(report.at("groups_left_out"), 1);
}

}  // namespace
