// Host: the functions of the table. None of them lets an exception out: the caller may be C.
#include "worker/host.h"

#include <algorithm>
#include <utility>

#include "common/check.h"
#include "common/log.h"
#include "worker/request_context.h"

namespace worker {
namespace {

// Besides the log, the one mutable global: fail(), setting() and settings_toml() are plain C functions without an
// argument that could carry their context. Written by Host's constructor and destructor only.
Host* g_host = nullptr;

std::string_view to_view(supervisor_str text) { return {text.data, text.data == nullptr ? 0 : text.len}; }
supervisor_str to_str(std::string_view text) { return {text.data(), text.size()}; }

// A level of a later version is taken for information rather than lost.
common::LogLevel level_of(std::uint32_t level) {
  if (level == SUPERVISOR_LOG_DEBUG) return common::LogLevel::kDebug;
  if (level == SUPERVISOR_LOG_WARN) return common::LogLevel::kWarn;
  if (level == SUPERVISOR_LOG_ERROR) return common::LogLevel::kError;
  return common::LogLevel::kInfo;
}

void log(std::uint32_t level, supervisor_str message) noexcept {
  common::log(level_of(level), common::LogEvent::kAppLog, to_view(message));
}

const supervisor_request_info* request_info(const supervisor_request* request) noexcept {
  return request == nullptr ? nullptr : &request->info();
}

int respond(supervisor_request* request, const supervisor_response* response) noexcept {
  if (request == nullptr || response == nullptr) return -1;
  return request->respond(*response) ? 0 : -1;
}

int cancelled(const supervisor_request* request) noexcept { return request != nullptr && request->cancelled() ? 1 : 0; }

}  // namespace

Host::Host(const common::Config& config) : settings_(config.app), toml_(config.app_toml) {
  CHECK(g_host == nullptr);
  std::ranges::sort(settings_, {}, &common::AppSetting::key);
  g_host = this;
}

Host::~Host() { g_host = nullptr; }

const supervisor_host& Host::table() const {
  static constexpr supervisor_host kTable = {.size = sizeof(supervisor_host),
                                             .abi_version = SUPERVISOR_ABI_VERSION,
                                             .log = worker::log,
                                             .fail = &Host::fail,
                                             .setting = &Host::setting,
                                             .settings_toml = &Host::settings_toml,
                                             .request_info = request_info,
                                             .respond = respond,
                                             .cancelled = cancelled};
  return kTable;
}

std::string Host::take_failure() { return std::exchange(failure_, {}); }

void Host::fail(supervisor_str reason) noexcept { g_host->failure_ = to_view(reason); }

int Host::setting(supervisor_str key, supervisor_str* value) noexcept {
  const auto& settings = g_host->settings_;
  const auto found = std::ranges::lower_bound(settings, to_view(key), {}, &common::AppSetting::key);
  if (found == settings.end() || found->key != to_view(key)) return 0;
  if (value != nullptr) *value = to_str(found->value);
  return 1;
}

supervisor_str Host::settings_toml() noexcept { return to_str(g_host->toml_); }

}  // namespace worker
