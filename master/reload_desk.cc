// ReloadDesk: bookkeeping of who asked, and the words of the answer.
#include "master/reload_desk.h"

namespace master {

void ReloadDesk::ask(std::optional<ClientToken> client) {
  asked_ = true;
  if (client) asking_.push_back(*client);
}

void ReloadDesk::begin() {
  ++begun_;
  asked_ = false;
  under_way_ = true;
  waiting_ = std::exchange(asking_, {});
}

void ReloadDesk::prepare(Generation generation, GenerationParts parts) {
  prepared_.emplace(generation, std::move(parts));
}

std::vector<ClientToken> ReloadDesk::end(const std::string& error) {
  under_way_ = false;
  prepared_.reset();
  last_error_ = error;
  return std::exchange(waiting_, {});
}

common::Json ReloadDesk::to_json() const {
  const std::string_view state = under_way_ ? "running" : last_error_.empty() ? "ok" : "failed";
  return {{"state", state}, {"last_error", last_error_.empty() ? common::Json(nullptr) : common::Json(last_error_)}};
}

ControlReply reload_reply(Generation generation, const std::string& error, Refusal refusal) {
  constexpr int kConflict = 409;
  constexpr int kGone = 410;  // not 503, by which the control socket says that it is busy
  if (!error.empty()) {
    return control_error(refusal == Refusal::kStopping ? kGone : kConflict,
                         "reload refused, everything stays as it was: " + error);
  }
  return {200, common::Json{{"reload", "done"}, {"generation", generation}}.dump() + "\n"};
}

}  // namespace master
