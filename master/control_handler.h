// ControlHandler: who answers the requests that the control socket has read, at once or later.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <variant>

namespace master {

struct ControlReply {
  int status;
  std::string body;  // JSON
  std::string allow = {};  // the methods a 405 names: "GET, HEAD"; empty = no Allow field
};

// {"error": text}, with what is not UTF-8 in `text` replaced.
ControlReply control_error(int status, std::string_view text);

// Names one request of one client, and never another one.
using ClientToken = std::uint64_t;

// The answer comes later, by ControlServer::reply(), at the latest after ControlServer::kWaitMax.
struct Deferred {};
using ControlOutcome = std::variant<ControlReply, Deferred>;

class ControlHandler {
 public:
  virtual ~ControlHandler() = default;
  // HEAD arrives as it is; its answer loses its body in the server. Of the server it may call reply() only.
  virtual ControlOutcome handle(std::string_view method, std::string_view path,
                                const std::map<std::string, std::string>& query, ClientToken client) = 0;
};

}  // namespace master
