// Service: files first, then the program that reads them.
#include "service.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "answer_format.h"
#include "common/unique_fd.h"

namespace lifecycle {
namespace {

std::string milliseconds_text(common::Duration duration) {
  return '"' + std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(duration).count()) + "ms\"";
}

// As an installer: whoever opens `path` sees the old file or the new one.
void replace_file(const std::string& path, const std::string& bytes) {
  std::ofstream(path + ".new", std::ios::binary) << bytes;
  std::filesystem::rename(path + ".new", path);
}

}  // namespace

Service::Service(ServiceOptions options) : options_(options) {
  directory_.write("executions", "");
  std::filesystem::resize_file(directory_.path("executions"), ledger::kIdsMax);  // a hole: only what is used costs
  slow_load(std::chrono::milliseconds(0));
  install('A');
  configure({});
  process_.emplace(support::SupervisorOptions{.arguments = {"--config", directory_.path("service.toml")},
                                              .app = directory_.path("app.so"),
                                              .defaults = support::Defaults::kControl});
}

Addresses Service::addresses() const {
  return {.tcp = process_->address(0), .unix_socket = "unix:" + directory_.path("http.sock")};
}

std::string Service::module_of(char letter) { return support::application(letter == 'A' ? "ledger_a" : "ledger_b"); }

void Service::install_module(const std::string& module) {
  replace_file(directory_.path("app.so"), support::read_text(module));
}

void Service::uninstall() { std::filesystem::remove(directory_.path("app.so")); }

void Service::configure(const Change& change) {
  replace_file(directory_.path("service.toml"), configuration(change.address) + change.lines);
}

void Service::slow_load(std::chrono::milliseconds delay) {
  replace_file(directory_.path("load_delay"), std::to_string(delay.count()));
}

std::string Service::configuration(const std::string& address) const {
  return "workers.count = " + std::to_string(options_.workers) +
         "\n"
         "timeouts.drain_idle = " +
         milliseconds_text(options_.grace) + "\nworkers.stop_timeout = " + milliseconds_text(options_.stop_timeout) +
         "\n"
         // What is killed for a test is no crash loop, and is to be back soon.
         "restart = { backoff_first = \"5ms\", backoff_max = \"50ms\", failures_max = 10000 }\n"
         "app = { executions = \"" +
         directory_.path("executions") + "\", load_delay = \"" + directory_.path("load_delay") +
         "\" }\n"
         "listen.bind = [\"127.0.0.1:0\", \"unix:" +
         directory_.path("http.sock") + "\"" + (address.empty() ? "" : ", \"" + address + '"') + "]\n";
}

std::vector<std::uint8_t> Service::executions(const std::vector<Attempt>& attempts) const {
  std::uint32_t end = 0;
  for (const Attempt& attempt : attempts) end = std::max(end, attempt.id + 1);
  std::vector<std::uint8_t> counts(end);
  const common::UniqueFd file(::open(directory_.path("executions").c_str(), O_RDONLY | O_CLOEXEC));
  for (std::size_t at = 0; at < counts.size();) {
    const ssize_t count = ::pread(file.get(), counts.data() + at, counts.size() - at, static_cast<off_t>(at));
    if (count <= 0) break;
    at += static_cast<std::size_t>(count);
  }
  return counts;
}

}  // namespace lifecycle
