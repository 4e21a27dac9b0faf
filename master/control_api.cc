// ControlApi: routes and their arguments.
#include "master/control_api.h"

#include <charconv>
#include <optional>

#include "common/config.h"

namespace master {
namespace {

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

}  // namespace

ControlReply ControlApi::handle(std::string_view method, std::string_view path,
                                const std::map<std::string, std::string>& query) {
  const bool get = method == "GET" || method == "HEAD";
  const bool post = method == "POST";
  if (path == "/status") {
    return get ? ControlReply{200,
                              view_.status(common::Clock::now()).dump(-1, ' ', false, Json::error_handler_t::replace) +
                                  "\n"}
               : wrong_method("/status", "GET, HEAD");
  }
  if (path == "/recycle") return post ? recycle(query) : wrong_method("/recycle", "POST");
  if (path == "/scale") return post ? scale(query) : wrong_method("/scale", "POST");
  if (path == "/stop") return post ? stop(query) : wrong_method("/stop", "POST");
  return control_error(404, "no such path; there are GET /status, POST /recycle, POST /scale and POST /stop");
}

ControlReply ControlApi::recycle(const std::map<std::string, std::string>& query) {
  const auto slot = number(query, "slot");
  if (!slot) return control_error(400, "slot: a number is needed, as in /recycle?slot=0");
  if (!orders_.recycle(*slot))
    return control_error(409, "slot " + std::to_string(*slot) + ": no worker serves there now");
  return {202, Json{{"recycle", "queued"}, {"slot", *slot}}.dump() + "\n"};
}

ControlReply ControlApi::scale(const std::map<std::string, std::string>& query) {
  const auto workers = number(query, "workers");
  if (!workers || *workers < 1 || *workers > common::kWorkersMax) {
    return control_error(400, "workers: a number from 1 to " + std::to_string(common::kWorkersMax) +
                                  " is needed, as in /scale?workers=4");
  }
  orders_.scale(*workers);
  return {202, Json{{"workers", *workers}}.dump() + "\n"};
}

ControlReply ControlApi::stop(const std::map<std::string, std::string>& query) {
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

}  // namespace master
