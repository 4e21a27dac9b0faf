// The open-files rule: which descriptor limit to set, and how many connections fit into it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "common/config.h"

namespace master {

// CAP_SYS_RESOURCE, without which a hard limit can only be lowered.
enum class Privilege { kNone, kMayRaiseHard };

struct OpenFilesFacts {
  std::uint64_t soft = 0;        // as getrlimit(RLIMIT_NOFILE) says; RLIM_INFINITY is just a large number here
  std::uint64_t hard = 0;
  std::uint64_t nr_open = 0;     // fs.nr_open; 0 = unknown
  std::uint64_t configured = 0;  // limits.open_files; 0 = "max"
  Privilege privilege = Privilege::kNone;
};

struct OpenFilesPlan {
  std::uint64_t soft = 0;
  std::uint64_t hard = 0;
  std::optional<std::string> warning{};
};

// Soft goes up to hard; hard goes up to what is configured if we may. Neither goes beyond kOpenFilesCap, nor beyond
// fs.nr_open: setrlimit(2) fails with EPERM on a hard limit above it, even on one that is set already.
OpenFilesPlan decide_open_files(const OpenFilesFacts& facts);

// The reason why `workers` on `addresses` cannot be run under `soft`; nullopt = they can. The master holds a socket per
// worker and address, and for each worker its channel and its memory.
std::optional<std::string> refuse_open_files(std::uint64_t soft, std::uint64_t workers, std::uint64_t addresses);

struct ConnectionFacts {
  std::uint64_t open_files_soft = 0;  // of a worker
  std::uint64_t reserve = 0;  // limits.open_files_reserve: listeners, ring, channel, emergency descriptor
  std::uint32_t configured = 0;  // limits.connections; 0 = "auto"
};

// How the soft limit of one worker is divided: reserve + headroom + connections = open_files_soft, always.
struct ConnectionBudget {
  std::uint32_t connections = 1;  // per worker, at least 1
  std::uint64_t open_files_soft = 0;  // what was divided
  std::uint64_t reserve = 0;
  std::uint64_t headroom = 0;  // for the application's own descriptors
  std::optional<std::string> warning{};
};

// Auto = soft limit - reserve - head-room for the application's own descriptors, which is a quarter of the limit and
// at least 64. A quarter, because a worker full of connections and nothing else must stay below recycle.fds_used
// (0.8): load is not a leak. Limits too small for that still give an eighth to connections, and at least one; reserve
// and head-room then share what is left. More than fits, if configured, is not accepted: it would be paid for with
// EMFILE in the application; fewer leave it more room. Asked again whenever a worker's soft limit has changed.
ConnectionBudget decide_connections(const ConnectionFacts& facts);

// "704 connections = 1024 open files - 64 in reserve - 256 for the application"
std::string arithmetic_of(const ConnectionBudget& budget);

// The part of `soft` that is meant for the application's own descriptors.
std::uint64_t application_headroom(std::uint64_t soft);

}  // namespace master
