// ledger: an application whose answers say who gave them, and that counts how often each request was executed.
//
// Built twice, with another LEDGER_LETTER each: "A" in ledger_a.so, "B" in ledger_b.so.
// Settings: app.executions, a file of ledger::kIdsMax bytes, one for each id, in which all workers of all generations
// count; app.load_delay, a file with the number of milliseconds that load() takes (none = 0).
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <fstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <supervisor/app.hpp>
#include <thread>

#include "answer_format.h"

namespace {

using supervisor::Request;
using supervisor::Response;

std::uint32_t number(const Request& request, std::string_view name, std::uint32_t max) {
  const std::string text = request.query(name).value_or("0");
  std::uint32_t value = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || rest != end || value > max) throw std::runtime_error(std::string(name) + "=" + text);
  return value;
}

struct Ledger : supervisor::HttpApp {
  void load(const supervisor::Config& config) override {
    if (const auto path = config.get<std::string>("executions")) map_executions(*path);
    unsigned milliseconds = 0;
    std::ifstream(config.get("load_delay", "")) >> milliseconds;
    std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
  }

  void worker_start(const supervisor::WorkerInfo& info) override {
    identity = std::string(" " LEDGER_LETTER " ") + std::to_string(getpid()) + " " + std::to_string(info.generation) +
               " " + std::to_string(info.slot) + " ";
  }

  Response handle(const Request& request) override {
    if (request.path() != "/ledger") return {404, "no such route\n"};
    const std::uint32_t id = number(request, "id", ledger::kIdsMax - 1);
    const std::uint32_t size = number(request, "size", ledger::kFillerMax);
    if (executions != nullptr) std::atomic_ref(executions[id]).fetch_add(1, std::memory_order_relaxed);
    const std::uint32_t hold = number(request, "ms", ledger::kHoldMsMax);
    if (hold > 0) std::this_thread::sleep_for(std::chrono::milliseconds(hold));
    Response response{200, "ledger " + std::to_string(id) + identity + std::to_string(request.body().size()) + " " +
                               std::to_string(ledger::checksum(request.body())) + "\n"};
    response.body.reserve(response.body.size() + size);
    ledger::append_filler(response.body, id, size);
    return response;
  }

  void map_executions(const std::string& path) {
    const int fd = open(path.c_str(), O_RDWR | O_CLOEXEC);
    struct stat file = {};
    if (fd < 0 || fstat(fd, &file) != 0 || file.st_size < ledger::kIdsMax) {
      throw std::runtime_error("app.executions = " + path + ": must be a file of " + std::to_string(ledger::kIdsMax) +
                               " bytes");
    }
    void* const memory = mmap(nullptr, ledger::kIdsMax, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (memory == MAP_FAILED) throw std::runtime_error("app.executions = " + path + ": cannot be mapped");
    executions = static_cast<std::uint8_t*>(memory);
  }

  std::uint8_t* executions = nullptr;
  std::string identity;
};

}  // namespace

SUPERVISOR_APP(Ledger)
