// supervisor/app.hpp: applications in C++20. A thin layer on <supervisor/app.h>, whose conventions hold here too.
//
//   struct Hello : supervisor::HttpApp {
//     supervisor::Response handle(const supervisor::Request&) override { return {200, "hello\n"}; }
//   };
//   SUPERVISOR_APP(Hello)
//
// One object of the class is made, by its default constructor, before load(); it is shared copy-on-write by all workers
// and never destroyed: clean up in worker_stop(). Nothing of it may start threads or open connections before
// worker_start().
//
// Exceptions: from the constructor, load(), worker_start() or worker_ready() they become the reason why the start
// failed; from handle() they are logged and the client gets a 500; from worker_stop() they are logged.
#pragma once

#include <supervisor/app.h>
#include <supervisor/config.hpp>
#include <supervisor/log.hpp>
#include <supervisor/request.hpp>
#include <supervisor/response.hpp>

#include <cstdint>
#include <cstdio>
#include <exception>
#include <type_traits>

namespace supervisor {

struct WorkerInfo {
  std::uint32_t slot;  // 0 to workers-1; a replacement has the slot of its predecessor, both may live at once
  std::uint32_t generation;  // of the application: 1 at start
};

class HttpApp {
 public:
  HttpApp() = default;
  HttpApp(const HttpApp&) = delete;
  HttpApp& operator=(const HttpApp&) = delete;
  virtual ~HttpApp() = default;

  virtual void load(const Config&) {}  // once, before any worker exists
  virtual void worker_start(const WorkerInfo&) {}  // in each worker, before its first request
  virtual bool worker_ready() { return true; }  // asked again every few milliseconds until it is
  virtual void worker_stop() {}  // in a worker that leaves in order, after its last request
  virtual Response handle(const Request& request) = 0;  // inline: short, never blocks
};

namespace [[gnu::visibility("hidden")]] detail {

// Runs `step`; hands what it throws to `report` as text. True when nothing was thrown.
template <typename Step, typename Report>
bool guarded(Step step, Report report) noexcept {
  try {
    step();
    return true;
  } catch (const std::exception& error) {
    report(error.what());
  } catch (...) {
    report("an exception that is not a std::exception");
  }
  return false;
}

inline void report_failure(const char* reason) { host->fail(to_str(reason)); }
inline void report_to_log(const char* callback, const char* reason) {
  char line[512];  // not a std::string: what was thrown may be std::bad_alloc
  std::snprintf(line, sizeof line, "exception in %s: %s", callback, reason);
  log(LogLevel::kError, line);
}

// The callbacks of `supervisor_app`; `self` is the HttpApp.
inline int load(void* self) noexcept {
  return guarded([&] { static_cast<HttpApp*>(self)->load(Config(host)); }, report_failure) ? 0 : 1;
}
inline int worker_start(void* self, const supervisor_worker_info* info) noexcept {
  const auto step = [&] { static_cast<HttpApp*>(self)->worker_start({info->slot, info->generation}); };
  return guarded(step, report_failure) ? 0 : 1;
}
inline int worker_ready(void* self) noexcept {
  constexpr int kFailed = -1;
  bool is_ready = false;
  const auto step = [&] { is_ready = static_cast<HttpApp*>(self)->worker_ready(); };
  return guarded(step, report_failure) ? is_ready : kFailed;
}
inline void worker_stop(void* self) noexcept {
  guarded([&] { static_cast<HttpApp*>(self)->worker_stop(); },
          [](const char* reason) { report_to_log("worker_stop()", reason); });
}
inline void handle(void* self, supervisor_request* raw) noexcept {
  const auto step = [&] {
    const Request request(host, raw);
    send(raw, static_cast<HttpApp*>(self)->handle(request));
  };
  guarded(step, [&](const char* reason) {
    report_to_log("handle()", reason);
    const supervisor_response answer = {sizeof answer, 500, nullptr, 0, SUPERVISOR_STR("Internal Server Error\n")};
    host->respond(raw, &answer);
  });
}

template <typename App>
const supervisor_app* application(const supervisor_host* table, const char* name) noexcept {
  static_assert(std::is_base_of_v<HttpApp, App>, "SUPERVISOR_APP needs a class derived from supervisor::HttpApp");
  host = table;
  static HttpApp* app = nullptr;  // static: a host that asks twice gets the same application
  const auto make = [] {
    if (app == nullptr) app = new App;
  };
  if (!guarded(make, report_failure)) return nullptr;
  static supervisor_app description = {};  // static: the host keeps a pointer for the life of the process
  description = {sizeof description,
                 SUPERVISOR_ABI_VERSION,
                 SUPERVISOR_APP_HTTP,
                 SUPERVISOR_HANDLER_INLINE,
                 name,
                 app,
                 load,
                 worker_start,
                 worker_stop,
                 handle,
                 worker_ready};
  return &description;
}

}  // namespace detail
}  // namespace supervisor

// Once per app.so, at namespace scope, outside any namespace.
#define SUPERVISOR_APP(Type)                                                                               \
  extern "C" SUPERVISOR_EXPORT const supervisor_app* supervisor_application(const supervisor_host* host) { \
    return ::supervisor::detail::application<Type>(host, #Type);                                           \
  }
