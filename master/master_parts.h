// MasterParts: what the composition root gives to the master.
#pragma once

#include <expected>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "common/channel.h"
#include "common/config.h"
#include "common/scoreboard.h"
#include "master/control_socket.h"
#include "master/counter_page.h"
#include "master/foundation.h"
#include "master/listeners.h"
#include "master/open_files_rule.h"
#include "master/program_image.h"
#include "master/reload_desk.h"
#include "master/service_teller.h"
#include "master/worker_id.h"

namespace master {

// Becomes the template process; called in a forked child, never returns. The composition root supplies it, so that
// this room knows nothing of workers.
using TemplateMain = std::function<void(common::Channel channel, Generation generation, const GenerationParts& parts)>;

// Reads the configuration again; all its mistakes, or all there is to know of it.
using ConfigLoader = std::function<std::expected<common::Config, std::vector<std::string>>()>;

// OWNERSHIP: the references outlive the master.
struct MasterParts {
  GenerationParts first;
  common::Scoreboard& scoreboard;
  Listeners& listeners;
  ControlSocket& control;
  ServiceTeller& service;
  ServiceTotals totals;  // that earlier masters have counted
  OpenFilesPlan open_files;
  TemplateMain template_main;
  ConfigLoader load_config;
  ProgramImage program;
  std::vector<int> inherited;              // what the program was started with: the application's; sorted
  std::optional<Predecessor> predecessor;  // none = nothing runs yet
};

}  // namespace master
