// AskAnswerer: a process that spins says where it is, closes what it is told to, and refuses what is the server's.
#include "worker/ask_answerer.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "common/channel.h"
#include "common/messages.h"
#include "support/deadline.h"

namespace {

using common::Ask;
using common::FdRole;
using common::WorkerMemory;

std::atomic<bool> never{false};

// Not inlined and with a known size: an address inside is recognised by its distance.
[[gnu::noinline]] void spin_for_ever() {
  while (!never.load(std::memory_order_relaxed)) {
  }
  never.store(false);
}
constexpr std::uint64_t kSpinBytes = 128;

bool is_in_spin(std::uint64_t address) {
  return address - reinterpret_cast<std::uint64_t>(&spin_for_ever) < kSpinBytes;
}

enum class Signal { kOpen, kBlocked };

// A child that installs an answerer, says so, and spins.
class Spinner {
 public:
  explicit Spinner(Signal signal = Signal::kOpen) : made_(WorkerMemory::create(64).value()) {
    auto [ours, theirs] = common::Channel::create_pair().value();
    channel_ = std::move(ours);
    EXPECT_EQ(pipe2(pipe_, O_CLOEXEC), 0);
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets_), 0);
    child_ = fork();
    if (child_ == 0) run(theirs, signal);
    EXPECT_TRUE(heard());  // it is installed
  }
  ~Spinner() {
    kill(child_, SIGKILL);
    EXPECT_EQ(waitpid(child_, &status_, 0), child_);
    EXPECT_TRUE(WIFSIGNALED(status_) && WTERMSIG(status_) == SIGKILL) << "it ended by itself: " << status_;
    for (const int fd : {pipe_[0], pipe_[1], sockets_[0], sockets_[1]}) close(fd);
  }
  Spinner(const Spinner&) = delete;
  Spinner& operator=(const Spinner&) = delete;

  void ask(Ask what, int fd = -1) {
    common::AskBox& box = made_.memory.ask();
    box.ask.store(what);
    box.fd.store(fd);
    box.question.fetch_add(1, std::memory_order_release);
    kill(child_, common::ask_signal());
  }
  // The errnum of the answer.
  std::optional<int> answer() {
    if (!heard()) return std::nullopt;
    EXPECT_EQ(made_.memory.ask().answered.load(std::memory_order_acquire), made_.memory.ask().question.load());
    return made_.memory.ask().errnum.load();
  }
  bool heard() {
    pollfd waiting{.fd = channel_.fd(), .events = POLLIN, .revents = 0};
    if (poll(&waiting, 1, support::Deadline().poll_milliseconds()) != 1) return false;
    const auto received = channel_.receive(common::Channel::Wait::kNo);
    const auto* const message = received ? std::get_if<common::Received>(&*received) : nullptr;
    return message != nullptr && message->message.type == common::MessageType::kAsked;
  }
  bool is_silent() const {
    pollfd waiting{.fd = channel_.fd(), .events = POLLIN, .revents = 0};
    return poll(&waiting, 1, 100) == 0;
  }

  const WorkerMemory& memory() const { return made_.memory; }
  int pipe_end() const { return pipe_[0]; }
  int socket_end() const { return sockets_[0]; }
  // Whether our end sees that the child has closed its copy; ours must have gone first.
  int far_socket_end() const { return sockets_[1]; }
  void signal() { kill(child_, common::ask_signal()); }

 private:
  [[noreturn]] void run(common::Channel& theirs, Signal signal) {
    sigset_t asked;
    sigemptyset(&asked);
    sigaddset(&asked, common::ask_signal());
    pthread_sigmask(SIG_BLOCK, &asked, nullptr);
    auto answerer = worker::AskAnswerer::install(made_.memory, theirs.fd());
    if (!answerer) _exit(1);
    if (signal == Signal::kBlocked) pthread_sigmask(SIG_BLOCK, &asked, nullptr);
    common::Message installed;
    installed.type = common::MessageType::kAsked;
    if (!theirs.send(installed)) _exit(1);
    errno = 0;
    spin_for_ever();
    _exit(1);
  }

  WorkerMemory::Made made_;
  common::Channel channel_;
  int pipe_[2] = {-1, -1};
  int sockets_[2] = {-1, -1};
  pid_t child_ = -1;
  int status_ = 0;
};

TEST(AskAnswerer, TellsTheStackOfAThreadThatSpins) {
#if defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "ThreadSanitizer calls handlers later, from a place of its own";
#endif
  Spinner spinner;
  const common::AskBox& box = spinner.memory().ask();
  const auto innermost = [&] {
    spinner.ask(Ask::kStack);
    EXPECT_EQ(spinner.answer(), 0);
    return box.frames[0].load();
  };
  // It may be on its way there.
  ASSERT_TRUE(support::wait_until([&] { return is_in_spin(innermost()); })) << "the handler's own frames are left out";
  EXPECT_GE(box.depth.load(), 2U);
  EXPECT_LE(box.depth.load(), common::kAskFramesMax);
  EXPECT_FALSE(is_in_spin(box.frames[1].load()));
  EXPECT_TRUE(is_in_spin(innermost())) << "and it goes on where it was";
}

TEST(AskAnswerer, ClosesADescriptorAndForgetsIt) {
  Spinner spinner;
  spinner.memory().ledger().note_application(spinner.pipe_end(), 1, common::kNoStack);
  spinner.ask(Ask::kCloseFd, spinner.pipe_end());
  EXPECT_EQ(spinner.answer(), 0);
  EXPECT_EQ(spinner.memory().ledger().read(spinner.pipe_end()).owner, common::FdOwner::kUnknown);
  spinner.ask(Ask::kCloseFd, spinner.pipe_end());
  EXPECT_EQ(spinner.answer(), EBADF) << "it is closed";
}

TEST(AskAnswerer, ShutsASocketDownAndLeavesItOpen) {
  Spinner spinner;
  spinner.ask(Ask::kShutdownFd, spinner.socket_end());
  EXPECT_EQ(spinner.answer(), 0);
  char byte = 0;
  EXPECT_EQ(recv(spinner.far_socket_end(), &byte, 1, 0), 0) << "the peer reads the end";
  spinner.ask(Ask::kShutdownFd, spinner.pipe_end());
  EXPECT_EQ(spinner.answer(), ENOTSOCK);
}

TEST(AskAnswerer, RefusesWhatIsTheServers) {
  Spinner spinner;
  spinner.memory().ledger().note_server(spinner.socket_end(), FdRole::kConnection, common::Clock::now());
  for (const Ask ask : {Ask::kCloseFd, Ask::kShutdownFd}) {
    spinner.ask(ask, spinner.socket_end());
    EXPECT_EQ(spinner.answer(), EPERM);
  }
  EXPECT_TRUE(spinner.memory().ledger().is_server(spinner.socket_end()));
}

TEST(AskAnswerer, RefusesWhatIsNotOpen) {
  Spinner spinner;
  for (const int fd : {-1, 63, 64, 1'000'000}) {
    spinner.ask(Ask::kCloseFd, fd);
    EXPECT_EQ(spinner.answer(), EBADF) << fd;
  }
}

TEST(AskAnswerer, RefusesAQuestionItDoesNotKnow) {
  Spinner spinner;
  spinner.ask(static_cast<Ask>(99));
  EXPECT_EQ(spinner.answer(), EINVAL);
}

TEST(AskAnswerer, IsSilentWhenNothingNewWasAsked) {
  Spinner spinner;
  spinner.ask(Ask::kStack);
  ASSERT_EQ(spinner.answer(), 0);
  spinner.signal();
  EXPECT_TRUE(spinner.is_silent());
}

TEST(AskAnswerer, CannotReachAThreadThatBlocksTheSignal) {
  Spinner spinner(Signal::kBlocked);
  spinner.ask(Ask::kStack);
  EXPECT_TRUE(spinner.is_silent());
}

TEST(AskAnswerer, KeepsErrnoAndIsIgnoredOnceItIsGone) {
  auto made = WorkerMemory::create(16).value();
  auto [ours, theirs] = common::Channel::create_pair().value();
  stack_t before{};
  sigaltstack(nullptr, &before);
  {
    auto answerer = worker::AskAnswerer::install(made.memory, theirs.fd());
    ASSERT_TRUE(answerer);
    made.memory.ask().ask.store(Ask::kCloseFd);
    made.memory.ask().fd.store(-1);
    made.memory.ask().question.store(1);
    errno = 77;
    raise(common::ask_signal());
    EXPECT_EQ(errno, 77);
    EXPECT_EQ(made.memory.ask().answered.load(), 1U);
  }
  raise(common::ask_signal());
  signal(common::ask_signal(), SIG_DFL);
  sigaltstack(&before, nullptr);
}

}  // namespace
