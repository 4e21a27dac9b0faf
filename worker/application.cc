// Application: the door to dlfcn.
#include "worker/application.h"

#include <dlfcn.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <exception>
#include <filesystem>
#include <utility>

#include "common/log.h"
#include "worker/shared_object.h"

namespace worker {
namespace {

using EntryPoint = const supervisor_app* (*)(const supervisor_host*);

// Version 1 as it was published. Later members are looked at only if the application has them.
constexpr std::size_t kSizeOfVersion1 = offsetof(supervisor_app, handle) + sizeof(supervisor_app::handle);

// Runs foreign code. Returns the text of the exception it let out, "" if none. Not noexcept: the unwinder must see a
// handler here.
template <typename Call>
std::string exception_of(Call call) {
  try {
    call();
    return {};
  } catch (const std::exception& error) {
    return std::string("exception ") + error.what();
  } catch (...) {
    return "exception of a type not derived from std::exception";
  }
}

std::string last_linker_error() {
  const char* const text = dlerror();
  return text == nullptr ? "unknown error of the dynamic linker" : text;
}

std::unexpected<common::Error> cannot_map(const std::string& path, const std::string& reason) {
  if (reason.find("undefined symbol") != std::string::npos) {
    return common::fail("application " + path + ": undefined symbol: " + reason +
                        "; link it with the library that defines this symbol");
  }
  if (reason.find("cannot open shared object file") != std::string::npos) {
    return common::fail("application " + path + ": a library it needs is missing: " + reason +
                        "; install it, or see ldd " + path);
  }
  return common::fail("application " + path + ": cannot be loaded: " + reason + "; see ldd " + path);
}

common::Result<void> check_version(const std::string& path, const supervisor_app& app) {
  if (!SUPERVISOR_HAS(supervisor_app, &app, abi_version)) {
    return common::fail("application " + path + ": supervisor_app.size is " + std::to_string(app.size) +
                        " bytes; set it to sizeof(supervisor_app)");
  }
  const std::string versions = "application " + path + ": built for interface version " +
                               std::to_string(app.abi_version) + ", this supervisor offers " +
                               std::to_string(SUPERVISOR_ABI_VERSION);
  if (app.abi_version > SUPERVISOR_ABI_VERSION) {
    return common::fail(versions + "; use a newer supervisor, or build the application with this one's headers");
  }
  if (app.abi_version < SUPERVISOR_ABI_VERSION) {
    return common::fail(versions + "; build the application with this supervisor's headers");
  }
  if (app.size < kSizeOfVersion1) {
    return common::fail("application " + path + ": supervisor_app.size is " + std::to_string(app.size) + " bytes, " +
                        std::to_string(kSizeOfVersion1) + " needed; set it to sizeof(supervisor_app)");
  }
  return {};
}

std::string text_of(const std::vector<Task>& tasks) {
  constexpr std::size_t kNamedMax = 5;
  std::string text;
  for (std::size_t i = 0; i < std::min(tasks.size(), kNamedMax); ++i) {
    text += (i == 0 ? "\"" : ", \"") + tasks[i].name + "\" (tid " + std::to_string(tasks[i].tid) + ")";
  }
  if (tasks.size() > kNamedMax) text += ", ...";
  return text;
}

}  // namespace

Application::Application(std::string path, Host& host, std::vector<Task> tasks_before)
    : path_(std::move(path)), host_(&host), tasks_before_(std::move(tasks_before)) {}

common::Result<Application> Application::open(const std::string& path, Host& host) {
  // Without a slash dlopen would search the system's library path instead of the working directory.
  std::error_code error;
  const std::string absolute = std::filesystem::absolute(path, error);
  if (error) return common::fail_errno("application " + path, error.value());
  if (auto examined = examine_shared_object(absolute); !examined) return std::unexpected(examined.error());

  Application application(absolute, host, list_tasks());
  host.take_failure();
  void* library = nullptr;
  std::string reason = exception_of([&] { library = dlopen(absolute.c_str(), RTLD_NOW | RTLD_LOCAL); });
  if (!reason.empty()) return common::fail("application " + absolute + ": " + reason + " in a static constructor");
  if (library == nullptr) return cannot_map(absolute, last_linker_error());

  void* const symbol = dlsym(library, SUPERVISOR_APP_SYMBOL);
  if (symbol == nullptr) {
    return common::fail("application " + absolute +
                        ": exports no symbol " SUPERVISOR_APP_SYMBOL
                        "; write SUPERVISOR_APP(YourClass), or SUPERVISOR_EXPORT before its definition");
  }
  const supervisor_app* app = nullptr;
  reason = exception_of([&] { app = reinterpret_cast<EntryPoint>(symbol)(&host.table()); });
  if (!reason.empty() || app == nullptr) {
    if (reason.empty()) reason = "it returned NULL without giving a reason";
    return std::unexpected(application.failure(SUPERVISOR_APP_SYMBOL " failed", reason));
  }
  if (auto read = application.read_description(*app); !read) return std::unexpected(read.error());
  return application;
}

common::Result<void> Application::read_description(const supervisor_app& app) {
  if (auto checked = check_version(path_, app); !checked) return checked;
  std::memcpy(&app_, &app, std::min(app.size, sizeof app_));
  if (app_.kind != SUPERVISOR_APP_HTTP) {
    return common::fail("application " + path_ + ": kind " + std::to_string(app_.kind) +
                        " is not supported by this version; set SUPERVISOR_APP_HTTP");
  }
  if (app_.handler != SUPERVISOR_HANDLER_INLINE) {
    return common::fail("application " + path_ + ": handler " + std::to_string(app_.handler) +
                        " is not supported by this version; set SUPERVISOR_HANDLER_INLINE");
  }
  if (app_.handle == nullptr) {
    return common::fail("application " + path_ + ": supervisor_app.handle is NULL; set it to a function");
  }
  name_ = app_.name != nullptr ? app_.name : std::filesystem::path(path_).stem().string();
  return {};
}

// What the application said by fail() comes first: it knows best.
common::Error Application::failure(std::string_view what, std::string_view reason_if_silent) {
  const std::string said = host_->take_failure();
  std::string message = "application " + path_ + ": ";
  message += what;
  message += ": ";
  message += said.empty() ? reason_if_silent : said;
  return {std::move(message)};
}

common::Result<void> Application::load() {
  if (app_.load != nullptr) {
    host_->take_failure();
    int code = 0;
    std::string reason = exception_of([&] { code = app_.load(app_.self); });
    if (!reason.empty() || code != 0) {
      if (reason.empty()) reason = "it returned " + std::to_string(code) + " without giving a reason";
      return std::unexpected(failure("load failed", reason));
    }
  }
  const std::vector<Task> left = tasks_left_behind(tasks_before_);
  if (left.empty()) return {};
  return common::fail("application " + path_ + ": " + std::to_string(left.size()) + " thread(s) alive after load: " +
                      text_of(left) + "; threads do not survive the fork of workers: start them in worker_start");
}

common::Result<void> Application::worker_start(const supervisor_worker_info& info) {
  if (app_.worker_start == nullptr) return {};
  host_->take_failure();
  int code = 0;
  std::string reason = exception_of([&] { code = app_.worker_start(app_.self, &info); });
  if (reason.empty() && code == 0) return {};
  if (reason.empty()) reason = "it returned " + std::to_string(code) + " without giving a reason";
  return std::unexpected(failure("worker_start failed", reason));
}

common::Result<bool> Application::worker_ready() {
  if (app_.worker_ready == nullptr) return true;
  host_->take_failure();
  int code = 0;
  std::string reason = exception_of([&] { code = app_.worker_ready(app_.self); });
  if (reason.empty() && (code == 0 || code == 1)) return code == 1;
  if (reason.empty()) reason = "it returned " + std::to_string(code) + " without giving a reason";
  return std::unexpected(failure("worker_ready failed", reason));
}

void Application::worker_stop() noexcept {
  if (app_.worker_stop == nullptr) return;
  const std::string reason = exception_of([&] { app_.worker_stop(app_.self); });
  if (!reason.empty())
    common::log(common::LogLevel::kError, common::LogEvent::kAppStopFailed,
                "worker_stop of the application failed: " + reason);
}

void Application::handle(RequestContext& request) noexcept {
  const std::string reason = exception_of([&] { app_.handle(app_.self, &request); });
  if (!reason.empty()) {
    common::log(common::LogLevel::kError, common::LogEvent::kAppHandlerFailed,
                "the application's handler failed: " + reason);
  }
  if (request.answered()) return;
  const supervisor_response response = {.size = sizeof response,
                                        .status = 500,
                                        .headers = nullptr,
                                        .headers_len = 0,
                                        .body = SUPERVISOR_STR("Internal Server Error\n")};
  request.respond(response);
  if (reason.empty())
    common::log(common::LogLevel::kWarn, common::LogEvent::kAppHandlerFailed,
                "the application returned without an answer: sent a 500");
}

}  // namespace worker
