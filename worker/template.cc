// Template: load once, then fork twice for each worker, so that it becomes the master's child.
#include "worker/template.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <optional>

#include "common/inherited_fds.h"
#include "common/log.h"
#include "common/process_title.h"
#include "worker/application.h"
#include "worker/host.h"
#include "worker/imported_symbols.h"
#include "worker/ring.h"
#include "worker/worker.h"

namespace worker {
namespace {

// For the TERM handler, which can reach nothing else; written before it is installed.
const TemplateLaunch* launch_for_handler = nullptr;
pid_t template_pid = 0;  // the handler is inherited by what the template forks

// Async-signal-safe: stat(2), unlink(2), _exit(2). What a dead master cannot remove any more is removed here.
[[noreturn]] void leave_orphaned() {
  for (const common::OwnedPath& path : launch_for_handler->paths) common::remove_owned_path(path);
  _exit(0);
}

// From the master, or from the kernel when the master has died. A service manager sends TERM to every process of a unit
// that it stops (systemd.kill(5), KillMode=control-group); whether anybody is still to be forked, the master knows. It
// sends QUIT, too: its TERM is lost while the manager's is still pending (signal(7)).
void on_end(int, siginfo_t* info, void*) {
  if (getpid() == template_pid && getppid() != launch_for_handler->master) leave_orphaned();
  if (info->si_pid == launch_for_handler->master) _exit(0);
}

void set_signals(const TemplateLaunch& launch) {
  launch_for_handler = &launch;
  template_pid = getpid();
  struct sigaction action{};
  sigemptyset(&action.sa_mask);
  action.sa_handler = SIG_IGN;
  for (const int ignored : {SIGINT, SIGHUP, SIGPIPE, SIGUSR1, SIGUSR2, SIGTTIN, SIGTTOU, SIGWINCH}) {
    sigaction(ignored, &action, nullptr);
  }
  action.sa_handler = SIG_DFL;
  sigaction(SIGCHLD, &action, nullptr);
  action.sa_sigaction = on_end;
  action.sa_flags = SA_SIGINFO | SA_RESTART;
  for (const int heeded : {SIGTERM, SIGQUIT}) sigaction(heeded, &action, nullptr);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (getppid() != launch.master) leave_orphaned();
}

class TemplateProcess {
 public:
  explicit TemplateProcess(TemplateLaunch launch) : launch_(std::move(launch)), host_(launch_.config) {}
  [[noreturn]] void run();

 private:
  void drop_privileges();
  void load();
  void look_for_select();
  void say(const common::Message& message);
  [[noreturn]] void fail(common::Stage stage, const common::Error& error);
  void fork_worker(common::Received order);
  [[noreturn]] void become_worker(common::Received order);

  TemplateLaunch launch_;
  Host host_;
  std::optional<Application> application_;
  ConnectionFds connection_fds_ = ConnectionFds::kAsTheyCome;
};

void TemplateProcess::run() {
  const std::string name = "template g" + std::to_string(launch_.generation);
  common::process_title_set("supervisor: " + name);
  common::log_identity({.kind = common::ProcessKind::kTemplate, .slot = {}, .generation = launch_.generation});
  std::vector<int> keep = launch_.inherited_fds;
  keep.push_back(launch_.channel.fd());
  std::ranges::sort(keep);
  common::close_all_except(keep);
  common::log_open();  // once for all workers, and before the application takes the number
  drop_privileges();
  set_signals(launch_);  // after the change of user, which takes back PR_SET_PDEATHSIG
  load();
  while (true) {
    auto received = launch_.channel.receive(common::Channel::Wait::kYes);
    if (!received) {
      common::log(common::LogLevel::kError, common::LogEvent::kTemplateLost,
                  "the template lost its orders: " + received.error().message);
      _exit(1);
    }
    auto* order = std::get_if<common::Received>(&*received);
    // The channel closes a moment before the kernel gives us another parent: getppid(2) would not tell yet.
    if (order == nullptr) leave_orphaned();
    if (order->message.type == common::MessageType::kForkWorker) fork_worker(std::move(*order));
  }
}

// What was possible for root need not be for the user: whether rings are (kernel.io_uring_disabled = 1) is told here
// once, instead of by every worker.
void TemplateProcess::drop_privileges() {
  if (auto dropped = common::drop_privileges(launch_.privileges, common::Dumpable::kYes); !dropped) {
    fail(common::Stage::kSetUp, dropped.error());
  }
  if (!launch_.privileges.identity) return;
  if (auto usable = probe_ring(); !usable) fail(common::Stage::kRing, usable.error());
}

void TemplateProcess::load() {
  auto application = Application::open(launch_.config.app_path, host_);
  if (!application) fail(common::Stage::kOpenApp, application.error());
  application_.emplace(std::move(*application));
  if (auto loaded = application_->load(); !loaded) fail(common::Stage::kLoadApp, loaded.error());
  look_for_select();
  std::fflush(nullptr);  // else every worker would print what load() left in a buffer
  common::Message message;
  message.type = common::MessageType::kLoaded;
  message.set_text(application_->name());
  say(message);
}

// fd_set ends at 1023, and FD_SET past it destroys the stack (select(2)): such an application gets the low numbers.
void TemplateProcess::look_for_select() {
  static constexpr std::array<std::string_view, 4> kSelect = {"select", "pselect", "__fdelt_chk", "__fdelt_warn"};
  const std::vector<std::string> users = modules_importing(kSelect);
  if (users.empty()) return;
  connection_fds_ = ConnectionFds::kHigh;
  std::string names;
  for (const std::string& user : users) names += (names.empty() ? "" : ", ") + user;
  common::log(common::LogLevel::kWarn, common::LogEvent::kAppUsesSelect,
              "the application uses select, which cannot handle descriptors above 1023: client connections are moved "
              "above, at the cost of three system calls each; poll or epoll instead of select would be free",
              {{"modules", names}});
}

void TemplateProcess::say(const common::Message& message) {
  const auto sent = launch_.channel.send(message);
  if (sent) return;
  if (sent.error().errnum == EPIPE || sent.error().errnum == ECONNRESET) leave_orphaned();
  _exit(1);  // the master lives and does not read: it starts another template
}

void TemplateProcess::fail(common::Stage stage, const common::Error& error) {
  common::Message message;
  message.type = common::MessageType::kFailed;
  message.stage = stage;
  message.errnum = error.errnum;
  message.set_text(error.message);
  say(message);
  std::fflush(nullptr);
  _exit(1);
}

// Forked twice: when the process between has exited, the worker belongs to the nearest subreaper, the master.
void TemplateProcess::fork_worker(common::Received order) {
  common::Message answer;
  answer.type = common::MessageType::kForkFailed;
  answer.worker = order.message.worker;
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) < 0) {
    answer.errnum = errno;
    return say(answer);
  }
  common::UniqueFd read_end(ends[0]);
  common::UniqueFd write_end(ends[1]);
  const pid_t between = fork();
  if (between == 0) {
    const pid_t worker = fork();
    if (worker == 0) {
      read_end.reset();
      write_end.reset();
      become_worker(std::move(order));
    }
    const std::int32_t told = worker > 0 ? worker : -errno;
    _exit(write(write_end.get(), &told, sizeof told) == sizeof told ? 0 : 1);
  }
  if (between < 0) {
    answer.errnum = errno;
    return say(answer);
  }
  write_end.reset();
  std::int32_t told = -EIO;  // kept if the process between is killed before it can tell
  while (read(read_end.get(), &told, sizeof told) < 0 && errno == EINTR) {
  }
  // ECHILD is fine: the application may have chosen to ignore SIGCHLD.
  while (waitpid(between, nullptr, 0) < 0 && errno == EINTR) {
  }
  if (told > 0) {
    answer.type = common::MessageType::kForked;
    answer.pid = told;
  } else {
    answer.errnum = -told;
  }
  say(answer);
}

void TemplateProcess::become_worker(common::Received order) {
  launch_.channel = common::Channel();
  if (order.fds.size() != 2) _exit(1);
  run_worker({.channel = common::Channel(std::move(order.fds[0])),
              .memory = std::move(order.fds[1]),
              .config = launch_.config,
              .record = launch_.scoreboard.record(order.message.record),
              .application = *application_,
              .host = host_,
              .slot = order.message.slot,
              .generation = order.message.generation,
              .connections_max = launch_.connections_max,
              .connection_fds = connection_fds_,
              .master = launch_.master});
}

}  // namespace

void run_template(TemplateLaunch launch) {
  // Never destroyed: the process ends inside.
  auto* process = new TemplateProcess(std::move(launch));
  process->run();
}

}  // namespace worker
