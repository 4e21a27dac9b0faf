// ControlHandler: the form of a refusal.
#include "master/control_handler.h"

#include "common/json.h"

namespace master {

ControlReply control_error(int status, std::string_view text) {
  const common::Json body{{"error", text}};
  return {.status = status, .body = body.dump(-1, ' ', false, common::Json::error_handler_t::replace) + "\n"};
}

}  // namespace master
