// Handover: what crosses from one image of the master to the next when it is upgraded in place.
//
// The image that leaves writes it into a sealed memfd, makes every descriptor it names survive execve(2), and executes
// the program: the same process, the same children. Numbers of descriptors mean the same on both sides. Versioned as a
// whole: a program refuses what it cannot read completely, in the check that precedes the upgrade.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/config.h"
#include "common/json.h"
#include "common/owned_path.h"
#include "common/result.h"
#include "common/unique_fd.h"
#include "master/served.h"
#include "master/supervision_state.h"
#include "master/worker_id.h"

namespace master {

// To be raised with every change of what is written. Layouts that processes of both images share (messages,
// scoreboard) are compared by themselves.
inline constexpr int kHandoverVersion = 3;
inline constexpr std::size_t kHandoverBytesMax = std::size_t{64} << 20;

// In the environment, "PID:FD": who is meant, and where the memfd is.
inline constexpr const char* kHandoverVariable = "SUPERVISOR_HANDOVER";

struct HandedWorker {
  ServingWorker serving;
  std::uint32_t record = 0;  // in the scoreboard
  int channel = -1;
  int memory = -1;
  bool owns_slot = false;
  Served counted = {};  // of its gauges, in Handover::served
};

struct HandedTemplate {
  pid_t pid = 0;
  int channel = -1;
};

struct HandedListener {
  std::string asked;    // as the settings say it
  std::string address;  // as bound
  std::vector<int> sockets;
  std::optional<common::OwnedPath> path;
  std::size_t activated = 0;          // the first ones: passed to us by whoever bound them
  std::vector<std::string> names = {};  // under which they were passed
  std::uint32_t slots = 0;            // with a socket of their own
  bool is_shared = false;             // all sockets by all slots
  bool is_in_order = true;            // the kernel's index of a socket is its slot
};

struct Handover {
  std::string app_path;
  std::string config;  // TOML, with every key; the numbers of workers are resolved
  std::uint64_t open_files_soft = 0;
  std::uint64_t open_files_hard = 0;
  common::TimePoint started_at{};
  std::uint32_t upgrades = 0;               // this one included
  Generation last_generation = kFirstGeneration;
  SupervisionState supervision;             // without its workers
  std::vector<HandedWorker> workers;
  std::optional<HandedTemplate> its_template;
  int scoreboard = -1;
  std::uint32_t slots = 0;
  std::vector<HandedListener> listeners;    // in the order of the settings
  int control = -1;
  common::OwnedPath control_path;
  std::vector<int> control_clients;         // whose next request has not been read
  std::vector<int> inherited;               // the application's, from whoever started us; sorted
  std::vector<std::pair<std::string, std::uint64_t>>
      stored;  // by the service manager: names and SO_COOKIEs, also what is to go
  int counter_page = -1;                    // that the service manager holds; -1 = none
  Served served;
  std::string reload_error;                 // of the last one, "" = none
  common::Json recycles;                    // as in `status`
  common::Json crashes;

  std::vector<int> descriptors() const;  // all that have to survive, sorted, the inherited ones excepted
};

std::string encode(const Handover& handover);
// The error says what is missing, or which version came.
common::Result<Handover> decode(std::string_view text);

// A sealed memfd, close-on-exec, and back.
common::Result<common::UniqueFd> write_handover(const Handover& handover);
common::Result<Handover> read_handover(int fd);

}  // namespace master
