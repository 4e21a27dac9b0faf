// Foundation: what a master stands on, opened anew or taken over from the image that was upgraded.
#pragma once

#include <optional>
#include <vector>

#include "common/config.h"
#include "common/result.h"
#include "common/scoreboard.h"
#include "common/worker_memory.h"
#include "master/control_path.h"
#include "master/control_socket.h"
#include "master/counter_store.h"
#include "master/handover.h"
#include "master/inherited_sockets.h"
#include "master/listeners.h"
#include "master/open_files_rule.h"
#include "master/reload_desk.h"
#include "master/socket_store.h"

namespace master {

struct Predecessor {
  Handover handover;
  std::vector<common::WorkerMemory> memories;  // of handover.workers[i]; none = it has to go
};

struct Foundation {
  GenerationParts first;
  OpenFilesPlan open_files;
  common::Scoreboard scoreboard;
  Listeners listeners;
  StoredSockets stored;  // what the service manager holds for us, as far as is known
  KeptCounters counters;
  ControlSocket control;
  std::optional<Predecessor> predecessor;  // none = nothing runs yet
};

// Start-up only: sets limits and masks signals of this process, opens everything in the order in which it can fail
// most usefully, and blocks as long as a predecessor holds an address. Nothing stays open after an error.
// `counters` are passed through.
common::Result<Foundation> lay_foundation(common::Config config, const Environment& environment,
                                          InheritedSockets sockets, KeptCounters counters);

enum class Purpose { kCheck, kServe };

// From the memfd `handover`, and the descriptors it names. After an error the caller has to leave: which of them are
// still open is not told. So has one that only checks; with _exit(2), for socket files belong to whoever serves them.
common::Result<Foundation> take_over(int handover, Purpose purpose);

}  // namespace master
