// LibcHooks: every way of opening a descriptor in a library is noted with its place, and forgotten when it is closed.
#include <dlfcn.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <csignal>
#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "common/inherited_fds.h"
#include "common/worker_memory.h"
#include "opener.h"
#include "worker/fd_trace.h"

namespace {

using common::FdNote;
using common::FdOwner;
using common::FdTrace;

struct Place {
  std::string module;
  std::string function;
};

// A return address lies behind the call, perhaps in the next function: look one byte before.
Place place_of(std::uint64_t return_address) {
  Dl_info info{};
  if (dladdr(reinterpret_cast<void*>(return_address - 1), &info) == 0) return {};
  const std::string path = info.dli_fname;
  return {path.substr(path.rfind('/') + 1), info.dli_sname == nullptr ? "" : info.dli_sname};
}

constexpr std::uint64_t kDescriptors = 4096;

class Hooks : public testing::TestWithParam<const char*> {
 protected:
  Hooks() : made_(common::WorkerMemory::create(kDescriptors).value()) {
    const std::string path = std::string(HOOKS_LIBRARIES) + "/" + GetParam();
    void* const opened = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (opened == nullptr) throw std::runtime_error(dlerror());
    library_ = reinterpret_cast<HookLibraryOf>(dlsym(opened, "hook_library"))();
    before_ = common::open_descriptors();
    begin(FdTrace::kAlways);
  }
  ~Hooks() override {
    worker::fd_trace_end();
    for (const int fd : common::open_descriptors()) {
      if (!std::ranges::binary_search(before_, fd)) close(fd);
    }
  }

  void begin(FdTrace mode) { worker::fd_trace_begin(made_.memory, mode); }
  const HookLibrary& library() const { return *library_; }
  common::WorkerMemory& memory() { return made_.memory; }
  // A sanitizer's runtime opens pipes through libc and closes them past it, whenever it likes.
  void forget_all() const { made_.memory.ledger().forget_range(0, UINT_MAX); }
  FdNote read(int fd) const { return made_.memory.ledger().read(fd); }

  void expect_opened_in(const char* function, int fd) const {
    const FdNote note = read(fd);
    EXPECT_EQ(note.owner, FdOwner::kApplication);
    ASSERT_FALSE(note.stack.empty());
    const Place place = place_of(note.stack[0]);
    EXPECT_EQ(place.module, GetParam());
    EXPECT_EQ(place.function, function);
  }

 private:
  common::WorkerMemory::Made made_;
  const HookLibrary* library_ = nullptr;
  std::vector<int> before_;
};

std::string name_of_build(const testing::TestParamInfo<const char*>& library) {
  const std::string name = library.param;
  return name.substr(6, name.find('.') - 6);
}
INSTANTIATE_TEST_SUITE_P(Built, Hooks, testing::Values("hooks_framed.so", "hooks_frameless.so", "hooks_fortified.so"),
                         name_of_build);

bool may_be_forbidden(int errnum) { return errnum == EPERM || errnum == ENOSYS || errnum == EACCES; }

TEST_P(Hooks, NoteEveryOpenerWithItsPlaceAndForgetWhatItsCloserCloses) {
  for (std::size_t i = 0; i < library().count; ++i) {
    const Opener& opener = library().openers[i];
    SCOPED_TRACE(std::string(opener.function) + " in " + opener.place);
    Opened opened{.fds = {-1, -1}, .handle = nullptr};
    const common::TimePoint before = common::Clock::now();
    const int errnum = opener.open(&opened);
    if (may_be_forbidden(errnum)) continue;
    ASSERT_EQ(errnum, 0);
    for (const int fd : opened.fds) {
      if (fd < 0) continue;
      expect_opened_in(opener.place, fd);
      const FdNote note = read(fd);
      EXPECT_EQ(note.since, common::FdSince::kServing);
      ASSERT_TRUE(note.opened_at);
      EXPECT_GT(*note.opened_at, before - std::chrono::milliseconds(100)) << "the clock is coarse";
      EXPECT_LE(*note.opened_at, common::Clock::now());
    }
    opener.close(&opened);
    for (const int fd : opened.fds) EXPECT_EQ(read(fd).owner, FdOwner::kUnknown) << "closed by " << opener.closing;
  }
}

std::vector<std::string> listed_hooks() {
  std::ifstream list(HOOKS_LIST);
  std::vector<std::string> names;
  for (std::string word; list >> word;) {
    if (word.ends_with(';') && word != "};") names.push_back(word.substr(0, word.size() - 1));
  }
  return names;
}

TEST_P(Hooks, AreAllTriedByThisTest) {
  std::set<std::string> tried = {"epoll_wait", "epoll_pwait", "epoll_pwait2"};
  for (std::size_t i = 0; i < library().count; ++i) {
    tried.insert(library().openers[i].function);
    tried.insert(library().openers[i].closing);
  }
  const std::vector<std::string> listed = listed_hooks();
  EXPECT_GT(listed.size(), 70U);
  EXPECT_THAT(std::set<std::string>(listed.begin(), listed.end()), testing::ContainerEq(tried));
}

TEST_P(Hooks, AreFoundByWhoeverLooksForTheFunction) {
  Dl_info program{};
  ASSERT_NE(dladdr(reinterpret_cast<void*>(&listed_hooks), &program), 0);
  for (const std::string& name : listed_hooks()) {
    void* const symbol = dlsym(RTLD_DEFAULT, name.c_str());
    Dl_info found{};
    ASSERT_NE(dladdr(symbol, &found), 0) << name;
    EXPECT_STREQ(found.dli_fname, program.dli_fname) << name;
  }
}

TEST_P(Hooks, DoNotNoteWhatTheProgramItselfOpens) {
  forget_all();
  const int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
  EXPECT_EQ(read(fd).owner, FdOwner::kUnknown);
  memory().ledger().note_server(fd, common::FdRole::kReserve, common::Clock::now());
  close(fd);
  EXPECT_EQ(read(fd).owner, FdOwner::kUnknown) << "but what it closes is forgotten";
}

TEST_P(Hooks, TellPathsToTheSameLineApart) {
  for (const int depth : {0, 1, 5, 1, 5, 0}) {
    const int fd = library().open_deep(depth);
    expect_opened_in("open_deep", fd);
    const std::vector<std::uint64_t> stack = read(fd).stack;
    int frames = 0;
    for (const std::uint64_t frame : stack) frames += place_of(frame).function == "open_deep" ? 1 : 0;
    EXPECT_EQ(frames, depth + 1);
  }
}

// Every opening goes through the same line of libstdc++.
TEST_P(Hooks, TellTwoLinesOfAFunctionApartBehindALibraryWithoutFramePointers) {
  std::vector<std::uint64_t> seen;
  for (const Line line : {Line::kFirst, Line::kSecond, Line::kFirst, Line::kSecond}) {
    const FdNote note = read(library().open_on_line(line));
    ASSERT_EQ(note.owner, FdOwner::kApplication);
    const auto frame =
        std::ranges::find_if(note.stack, [](auto address) { return place_of(address).function == "open_on_line"; });
    ASSERT_NE(frame, note.stack.end());
    seen.push_back(*frame);
  }
  EXPECT_NE(seen[0], seen[1]);
  EXPECT_EQ(seen[0], seen[2]);
  EXPECT_EQ(seen[1], seen[3]);
}

TEST_P(Hooks, NoteWhatThreadsOpenAtTheSameTime) {
  constexpr int kThreads = 4;
  constexpr int kTimes = 25'000;
  forget_all();
  const std::vector<int> before = common::open_descriptors();
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < kThreads; ++i) threads.emplace_back(library().churn, kTimes);
  }
  const std::vector<int> after = common::open_descriptors();
  EXPECT_EQ(after.size(), before.size() + kThreads * kTimes / 1000);
  const std::set<int> known(before.begin(), before.end());
  const std::set<int> open_now(after.begin(), after.end());
  for (int fd = 0; fd < static_cast<int>(kDescriptors); ++fd) {
    if (known.contains(fd)) continue;
    if (open_now.contains(fd)) {
      expect_opened_in("churn", fd);
    } else if (read(fd).owner != FdOwner::kUnknown) {
      EXPECT_NE(place_of(read(fd).stack.at(0)).function, "churn") << fd << " is closed, and not forgotten";
    }
  }
}

TEST_P(Hooks, LeaveTheLedgerAloneInAForkedChild) {
  forget_all();
  const int fd = library().open_deep(0);
  const pid_t child = fork();
  if (child == 0) _exit(library().open_and_close(fd));
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  expect_opened_in("open_deep", fd);
  EXPECT_EQ(read(fd + 1).owner, FdOwner::kUnknown);
}

TEST_P(Hooks, LeaveTheServersNotesAndAllRangesAloneInAVforkedChild) {
  const int server = open("/dev/null", O_RDONLY | O_CLOEXEC);
  memory().ledger().note_server(server, common::FdRole::kConnection, common::Clock::now());
  const int fd = library().open_deep(0);
  library().close_in_vfork(server);
  EXPECT_TRUE(memory().ledger().is_server(server));
  expect_opened_in("open_deep", fd);
}

TEST_P(Hooks, NoteTheDirectCallerOnAStackThatIsNotTheThreads) {
  expect_opened_in("open_for_other_stack", library().open_on_other_stack());
}

TEST_P(Hooks, NoteTheApplicationWhereItReplacesADescriptor) {
  const int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
  memory().ledger().note_server(fd, common::FdRole::kConnection, common::Clock::now());
  library().keep_marked(fd);
  EXPECT_TRUE(memory().ledger().is_server(fd)) << "close_range(2) only marked it";
  library().replace(fd);
  expect_opened_in("replace", fd);
}

TEST_P(Hooks, KeepErrno) { EXPECT_EQ(library().fail(), ENOENT); }

TEST_P(Hooks, StartAnewWithAnotherMemory) {
  const std::size_t frames = read(library().open_deep(3)).stack.size();
  forget_all();
  const auto other = common::WorkerMemory::create(kDescriptors).value();
  worker::fd_trace_begin(other.memory, FdTrace::kAlways);
  const int fd = library().open_deep(3);
  worker::fd_trace_end();
  EXPECT_EQ(other.memory.ledger().read(fd).stack.size(), frames);
  EXPECT_EQ(read(fd).owner, FdOwner::kUnknown);
}

TEST_P(Hooks, FollowTheSwitchInModeAuto) {
  memory().trace().store(common::TraceSwitch::kOff);
  begin(FdTrace::kAuto);
  forget_all();
  EXPECT_EQ(read(library().open_deep(0)).owner, FdOwner::kUnknown);
  memory().trace().store(common::TraceSwitch::kOn);
  const int fd = library().open_deep(0);
  expect_opened_in("open_deep", fd);
  memory().trace().store(common::TraceSwitch::kOff);
  library().open_and_close(fd);
  EXPECT_EQ(read(fd).owner, FdOwner::kUnknown) << "what is noted is forgotten also while nothing new is noted";
}

TEST_P(Hooks, NoteNothingInModeOff) {
  memory().trace().store(common::TraceSwitch::kOn);
  begin(FdTrace::kOff);
  forget_all();
  EXPECT_EQ(read(library().open_deep(0)).owner, FdOwner::kUnknown);
}

// A handler may interrupt anything, also a note.
const HookLibrary* library_for_handler = nullptr;
void open_in_handler(int) {
  const int saved = errno;
  library_for_handler->open_and_close(-1);
  errno = saved;
}

TEST_P(Hooks, HoldWhenASignalHandlerOpensAndCloses) {
  library_for_handler = &library();
  std::signal(SIGUSR1, open_in_handler);
  const pthread_t main_thread = pthread_self();
  std::atomic<bool> done = false;
  std::jthread sender([&] {
    while (!done) pthread_kill(main_thread, SIGUSR1);
  });
  library().churn(20'000);
  done = true;
  sender.join();
  std::signal(SIGUSR1, SIG_DFL);
  expect_opened_in("open_deep", library().open_deep(0));
}

TEST_P(Hooks, CountHowOftenAnEpollComesBackWithTheSameEvent) {
  const int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  epoll_event event{.events = EPOLLOUT, .data = {.u64 = 77}};
  ASSERT_EQ(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, ends[1], &event), 0);
  const common::PollWatch& watch = memory().polls();
  library().wait(epoll_fd, 9);
  EXPECT_EQ(watch.returns.load(), 9U);
  EXPECT_EQ(watch.same.load(), 9U);
  EXPECT_EQ(watch.data.load(), 77U);
  EXPECT_EQ(watch.events.load(), static_cast<std::uint32_t>(EPOLLOUT));
  EXPECT_EQ(watch.epoll_fd.load(), epoll_fd);
  event.data.u64 = 78;
  ASSERT_EQ(epoll_ctl(epoll_fd, EPOLL_CTL_MOD, ends[1], &event), 0);
  library().wait(epoll_fd, 1);
  EXPECT_EQ(watch.same.load(), 1U);
  EXPECT_EQ(watch.returns.load(), 10U);
  ASSERT_EQ(epoll_ctl(epoll_fd, EPOLL_CTL_DEL, ends[1], nullptr), 0);
  library().wait(epoll_fd, 5);
  EXPECT_EQ(watch.returns.load(), 10U) << "nothing was ready";
}

}  // namespace
