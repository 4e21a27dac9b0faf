// Application: the loaded app.so, and the calls into it.
//
// OWNERSHIP: an Application is a handle that may be copied by moving only; the library stays mapped until the process
// ends, because what it left running (exit handlers, thread-local destructors) must never point to nothing.
// Exceptions that an application lets out against the rules are caught here: at start they are errors, later they are
// logged. A crash is not: it ends the process, which is why the template is one. One thread.
#pragma once

#include <supervisor/app.h>

#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"
#include "worker/host.h"
#include "worker/request_context.h"
#include "worker/task_list.h"

namespace worker {

class Application {
 public:
  // Maps the library, which runs its static constructors, and asks it for its description. `host` outlives the
  // Application. Every error is one line that names the file, the reason and the fix.
  static common::Result<Application> open(const std::string& path, Host& host);

  Application(Application&&) = default;
  Application& operator=(Application&&) = default;
  Application(const Application&) = delete;
  Application& operator=(const Application&) = delete;

  // In the template. Also refuses what would not survive a fork: threads that were not there before open().
  common::Result<void> load();
  // In a worker.
  common::Result<void> worker_start(const supervisor_worker_info& info);
  // Afterwards, until it says yes.
  common::Result<bool> worker_ready();
  void worker_stop() noexcept;
  // Afterwards the request has its answer: the application's, or a 500.
  void handle(RequestContext& request) noexcept;

  std::string_view name() const { return name_; }

 private:
  Application(std::string path, Host& host, std::vector<Task> tasks_before);

  common::Result<void> read_description(const supervisor_app& app);
  common::Error failure(std::string_view what, std::string_view reason_if_silent);

  std::string path_;
  Host* host_;
  std::vector<Task> tasks_before_;  // when open() began
  supervisor_app app_ = {};         // a copy: what this version knows, zero where the application's is shorter
  std::string name_;
};

}  // namespace worker
