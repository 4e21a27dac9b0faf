// ControlApi: routes and their arguments.
#include "master/control_api.h"

#include <charconv>
#include <limits>
#include <optional>
#include <variant>

#include "common/config.h"
#include "master/fd_replies.h"

namespace master {
namespace {

constexpr std::uint32_t kFdMax = std::numeric_limits<int>::max();

ControlReply wrong_method(const std::string& path, const std::string& allowed) {
  ControlReply reply = control_error(405, path + " needs " + allowed);
  reply.allow = allowed;
  return reply;
}

std::optional<std::uint32_t> number(const std::map<std::string, std::string>& query, const std::string& key) {
  const auto found = query.find(key);
  if (found == query.end()) return std::nullopt;
  const std::string& text = found->second;
  std::uint32_t value = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// The mistake: "fd "x": must be a number, as in /close-fd?slot=0&fd=30".
std::string need_number(const std::map<std::string, std::string>& query, const std::string& key,
                        const std::string& example) {
  const auto found = query.find(key);
  if (found == query.end()) return key + ": a number is needed, as in " + example;
  return key + " \"" + found->second + "\": must be a number, as in " + example;
}

}  // namespace

ControlOutcome ControlApi::handle(std::string_view method, std::string_view path, const Query& query,
                                  ClientToken client) {
  const bool get = method == "GET" || method == "HEAD";
  const bool post = method == "POST";
  if (path == "/status") {
    if (!get) return wrong_method("/status", "GET, HEAD");
    const Json status = view_.status(common::Clock::now());
    return ControlReply{200, status.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n"};
  }
  if (path == "/fds") return get ? fds(query, client) : wrong_method("/fds", "GET, HEAD");
  if (path == "/recycle") return post ? recycle(query) : wrong_method("/recycle", "POST");
  if (path == "/scale") return post ? scale(query) : wrong_method("/scale", "POST");
  if (path == "/stop") return post ? stop(query) : wrong_method("/stop", "POST");
  if (path == "/reload") return post ? orders_.reload(client) : wrong_method("/reload", "POST");
  if (path == "/close-fd") return post ? close_fd(query, client) : wrong_method("/close-fd", "POST");
  return control_error(404,
                       "no such path; there are GET /status, GET /fds, POST /recycle, POST /scale, POST /stop, "
                       "POST /reload and POST /close-fd");
}

ControlReply ControlApi::recycle(const Query& query) {
  const auto slot = number(query, "slot");
  if (!slot) return control_error(400, need_number(query, "slot", "/recycle?slot=0"));
  if (!orders_.recycle(*slot)) return no_worker_reply(*slot, *slot + 1);
  return {202, Json{{"recycle", "queued"}, {"slot", *slot}}.dump() + "\n"};
}

ControlReply ControlApi::scale(const Query& query) {
  const auto workers = number(query, "workers");
  if (!workers || *workers < 1 || *workers > common::kWorkersMax) {
    return control_error(400, "workers: a number from 1 to " + std::to_string(common::kWorkersMax) +
                                  " is needed, as in /scale?workers=4");
  }
  const common::Result<std::uint32_t> becomes = orders_.scale(*workers);
  if (!becomes) return control_error(409, becomes.error().message);
  return {202, Json{{"workers", *becomes}}.dump() + "\n"};
}

ControlReply ControlApi::stop(const Query& query) {
  const auto how = query.find("how");
  if (how == query.end() || how->second == "graceful") {
    orders_.stop(StopKind::kGraceful);
  } else if (how->second == "quick") {
    orders_.stop(StopKind::kQuick);
  } else {
    return control_error(400, "how: graceful or quick");
  }
  return {202, Json{{"stop", "begun"}}.dump() + "\n"};
}

ControlOutcome ControlApi::fds(const Query& query, ClientToken client) {
  const auto slot = number(query, "slot");
  if (!slot && query.contains("slot")) return control_error(400, need_number(query, "slot", "/fds?slot=0"));
  return orders_.inspect(slot, client);
}

// All of it is judged, so that two mistakes need no two tries.
ControlOutcome ControlApi::close_fd(const Query& query, ClientToken client) {
  std::string mistakes;
  const auto mistake = [&](const std::string& text) { mistakes += (mistakes.empty() ? "" : "; ") + text; };
  const auto slot = number(query, "slot");
  if (!slot) mistake(need_number(query, "slot", "/close-fd?slot=0&fd=30"));
  const auto fd = number(query, "fd");
  if (!fd || *fd > kFdMax) mistake(need_number(query, "fd", "/close-fd?slot=0&fd=30"));
  const auto named = query.find("how");
  const auto how = named == query.end() ? std::optional(CloseHow::kClose) : parse_close_how(named->second);
  if (!how) mistake("how \"" + named->second + "\": must be close or shutdown");
  if (!mistakes.empty()) return control_error(400, mistakes);
  return orders_.close_fd(*slot, static_cast<int>(*fd), *how, client);
}

}  // namespace master
