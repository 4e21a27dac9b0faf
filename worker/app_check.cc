// AppCheck: fork, open, load, tell.
#include "worker/app_check.h"

#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>

#include "common/channel.h"
#include "worker/application.h"
#include "worker/host.h"

namespace worker {
namespace {

common::Result<std::string> load_as(const common::Config& config, const common::Privileges& privileges, Host& host) {
  if (auto dropped = common::drop_privileges(privileges, common::Dumpable::kYes); !dropped) {
    return std::unexpected(dropped.error());
  }
  auto application = Application::open(config.app_path, host);
  if (!application) return std::unexpected(application.error());
  if (auto loaded = application->load(); !loaded) return std::unexpected(loaded.error());
  return std::string(application->name());
}

[[noreturn]] void load_and_tell(const common::Config& config, const common::Privileges& privileges,
                                const common::Channel& channel) {
  common::Message message;
  Host host(config);
  common::Result<std::string> name = load_as(config, privileges, host);
  message.type = name ? common::MessageType::kLoaded : common::MessageType::kFailed;
  message.set_text(name ? *name : name.error().message);
  const bool told = channel.send(message).has_value();
  std::fflush(nullptr);
  _exit(told ? 0 : 1);
}

}  // namespace

common::Result<std::string> check_application(const common::Config& config, const common::Privileges& privileges) {
  auto pair = common::Channel::create_pair();
  if (!pair) return std::unexpected(pair.error());
  const pid_t child = fork();
  if (child < 0) return common::fail_errno("fork", errno);
  if (child == 0) load_and_tell(config, privileges, pair->second);
  pair->second = common::Channel();
  auto received = pair->first.receive(common::Channel::Wait::kYes);
  int wait_status = 0;
  while (waitpid(child, &wait_status, 0) < 0 && errno == EINTR) {
  }
  if (!received) return std::unexpected(received.error());
  const auto* told = std::get_if<common::Received>(&*received);
  if (told == nullptr) {
    const char* signal_name = WIFSIGNALED(wait_status) ? sigabbrev_np(WTERMSIG(wait_status)) : nullptr;
    const std::string end = signal_name != nullptr ? "was killed by SIG" + std::string(signal_name)
                            : WIFSIGNALED(wait_status)
                                ? "was killed by signal " + std::to_string(WTERMSIG(wait_status))
                                : "exited with status " + std::to_string(WEXITSTATUS(wait_status));
    return common::fail(config.app_path + ": the process " + end +
                        " while it loaded the application; run it in a "
                        "debugger: gdb --args supervisor check " +
                        config.app_path);
  }
  const std::string text(told->message.text_view());
  if (told->message.type == common::MessageType::kFailed) return common::fail(text);
  return text;
}

}  // namespace worker
