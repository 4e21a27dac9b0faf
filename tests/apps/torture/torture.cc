// torture: an application whose routes misbehave on demand.
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <new>
#include <stdexcept>
#include <string>
#include <string_view>
#include <supervisor/app.hpp>
#include <thread>
#include <vector>

#include "crash.h"
#include "descriptors.h"
#include "inspect.h"
#include "parameters.h"

namespace torture {
namespace {

using supervisor::Request;
using supervisor::Response;

constexpr std::uint64_t kMillisecondsMax = 3'600'000;  // an hour
constexpr std::uint64_t kMebibytesMax = 65'536;

struct Torture : supervisor::HttpApp {
  void load(const supervisor::Config&) override;
  Response handle(const Request& request) override;

  Response sleep(const Request& request);
  Response alloc(const Request& request);

  std::vector<std::vector<char>> kept;
  std::atomic<std::uint64_t>* cancelled = nullptr;  // in memory that all workers of this generation share
};

struct Route {
  std::string_view path;
  Response (*answer)(Torture&, const Request&);
};

Response burn(const Request& request) {
  const std::uint64_t milliseconds = number_parameter(request, "ms", 0, kMillisecondsMax);
  const auto cpu_ms = [] {
    timespec time = {};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<std::uint64_t>(time.tv_sec) * 1000 + static_cast<std::uint64_t>(time.tv_nsec) / 1'000'000;
  };
  const std::uint64_t end = cpu_ms() + milliseconds;
  while (cpu_ms() < end) {
  }
  return {200, "burned " + std::to_string(milliseconds) + " ms\n"};
}

Response file(const Request& request) {
  const std::string path = text_parameter(request, "path");
  std::error_code error;
  std::ifstream stream(path, std::ios::binary);
  // Not regular: a directory, or a device that might never end.
  if (!stream || !std::filesystem::is_regular_file(path, error)) return {404, path + ": no such readable file\n"};
  return {200, std::string(std::istreambuf_iterator<char>(stream), {})};
}

Response spin_for_ever(Torture&, const Request&) { spin(); }

Response crash_as_asked(Torture&, const Request& request) { crash(text_parameter(request, "how")); }

Response not_inline(Torture&, const Request& request) {
  return {501, std::string(request.path()) + " needs a handler of another kind than inline: not in this version\n"};
}

constexpr auto kRoutes = std::to_array<Route>({
    {"/hello", [](Torture&, const Request&) { return Response{200, "hello\n"}; }},
    {"/pid", [](Torture&, const Request&) { return Response{200, std::to_string(getpid()) + "\n"}; }},
    {"/inspect",
     [](Torture&, const Request& request) {
       return Response{200, inspect(request), {{"Content-Type", "application/json"}}};
     }},
    {"/sleep", [](Torture& app, const Request& request) { return app.sleep(request); }},
    {"/burn", [](Torture&, const Request& request) { return burn(request); }},
    {"/leak",
     [](Torture&, const Request& request) {
       return leak(text_parameter(request, "kind"), number_parameter(request, "count", 1, kLeakMax));
     }},
    {"/leak-sometimes",
     [](Torture&, const Request& request) {
       return leak_sometimes(text_parameter(request, "kind"), number_parameter(request, "every", 1, kLeakMax));
     }},
    {"/leak-peer",
     [](Torture&, const Request& request) {
       return leak_peer(static_cast<std::uint16_t>(number_parameter(request, "port", 1, 65535)));
     }},
    {"/files",
     [](Torture&, const Request& request) { return open_files(number_parameter(request, "count", 1, kLeakMax)); }},
    {"/burst",
     [](Torture&, const Request& request) {
       return burst(number_parameter(request, "count", 1, kLeakMax),
                    number_parameter(request, "ms", 0, kMillisecondsMax));
     }},
    {"/spin", spin_for_ever},
    {"/spin-thread", [](Torture&, const Request&) { return spin_thread(); }},
    {"/crash", crash_as_asked},
    {"/alloc", [](Torture& app, const Request& request) { return app.alloc(request); }},
    {"/file", [](Torture&, const Request& request) { return file(request); }},
    {"/cancelled",
     [](Torture& app, const Request&) { return Response{200, std::to_string(app.cancelled->load()) + "\n"}; }},
    {"/wait", not_inline},
    {"/stream", not_inline},
});

void Torture::load(const supervisor::Config&) {
  // Shared, not copy-on-write: any worker can then say what another one observed.
  void* const page = mmap(nullptr, sizeof *cancelled, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) throw std::runtime_error("mmap of the shared counter failed");
  cancelled = new (page) std::atomic<std::uint64_t>(0);
}

Response Torture::handle(const Request& request) {
  for (const Route& route : kRoutes) {
    if (route.path != request.path()) continue;
    try {
      return route.answer(*this, request);
    } catch (const BadParameter& bad) {
      return {400, std::string(bad.what()) + "\n"};
    }
  }
  return {404, "no such route\n"};
}

Response Torture::sleep(const Request& request) {
  const std::uint64_t milliseconds = number_parameter(request, "ms", 0, kMillisecondsMax);
  std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
  if (request.cancelled()) cancelled->fetch_add(1);
  return {200, "slept " + std::to_string(milliseconds) + " ms\n"};
}

Response Torture::alloc(const Request& request) {
  const std::uint64_t mebibytes = number_parameter(request, "mb", 1, kMebibytesMax);
  kept.emplace_back(mebibytes * 1024 * 1024, 'x');  // writing is what makes the pages real
  return {200, "allocated " + std::to_string(mebibytes) + " MiB\n"};
}

}  // namespace
}  // namespace torture

SUPERVISOR_APP(torture::Torture)
