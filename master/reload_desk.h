// ReloadDesk: one reload at a time, and the clients that wait for its end.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/clock.h"
#include "common/config.h"
#include "common/json.h"
#include "common/privileges.h"
#include "master/control_handler.h"
#include "master/open_files_rule.h"
#include "master/worker_id.h"

namespace master {

// What a generation runs with.
struct GenerationParts {
  common::Config config;    // workers.count is a number
  ConnectionBudget budget;  // per worker
  common::Privileges privileges{};
};

// The last moments of a reload: it is done when nobody who connects from now on meets the old application.
struct Settling {
  Generation generation;
  common::TimePoint until;
};

// Reloads that are asked for while one is under way become one more, which begins after it: the configuration may have
// changed since the first was read.
class ReloadDesk {
 public:
  // By a client that waits for the answer, or by a signal.
  void ask(std::optional<ClientToken> client);

  bool is_due() const { return asked_ && !under_way_; }
  // The one that is due begins; whoever asked for it waits for end() from now.
  void begin();
  bool is_under_way() const { return under_way_; }
  std::uint64_t begun() const { return begun_; }  // ever
  // Of the one that is under way, once its configuration is valid.
  void prepare(Generation generation, GenerationParts parts);
  const std::optional<std::pair<Generation, GenerationParts>>& prepared() const { return prepared_; }
  // Returns who is to be told. `error` empty = it is done.
  std::vector<ClientToken> end(const std::string& error);

  const std::string& last_error() const { return last_error_; }  // "" = there is none
  void resume(std::string last_error) { last_error_ = std::move(last_error); }

  // {"state": "ok" | "running" | "failed", "last_error": text or null}
  common::Json to_json() const;

 private:
  bool asked_ = false;
  bool under_way_ = false;
  std::uint64_t begun_ = 0;
  std::vector<ClientToken> asking_;   // for the next one
  std::vector<ClientToken> waiting_;  // for the one under way
  std::optional<std::pair<Generation, GenerationParts>> prepared_;
  std::string last_error_;
};

// Of a service that goes on without it, or that stops.
enum class Refusal { kServing, kStopping };
// 200; or, with an error, 409 and 410.
ControlReply reload_reply(Generation generation, const std::string& error, Refusal refusal);

}  // namespace master
