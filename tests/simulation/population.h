// Population: what lives in the simulated world: worker processes, templates, sockets of slots.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "master/supervision.h"

namespace master {

// The bound on generations that drain beside the active one.
inline constexpr std::size_t kDrainingGenerationsMax = 2;

enum class Life { kQueued, kForked, kReady };  // kQueued: as far as the master was told, the template has not got to it
enum class Because { kReplaced, kAny };  // why a worker drains: scaling down waits for nobody
enum class Told { kNothing, kDrain, kClose, kKill };

struct Process {
  WorkerId id = kNoWorker;
  SlotIndex slot = 0;
  Generation generation = kFirstGeneration;
  Life life = Life::kQueued;
  Told told = Told::kNothing;
  bool hangs = false;  // never gets ready
  bool doomed = false;  // dies before it is ready
  bool stubborn = false;  // heeds nothing but SIGKILL
  bool unkillable = false;  // not even that
  bool scaled_away = false;  // told to drain because its slot is not wanted
  bool recycle_asked = false;
  bool recycle_queued = false;  // and the master said that it will be done
  common::TimePoint ready_at{};
  common::TimePoint told_at{};
  common::TimePoint patience_from{};  // nobody may lose patience with it before, and nobody may have any left after
  common::TimePoint patience_to = common::TimePoint::max();

  bool accepts() const { return life == Life::kReady && told == Told::kNothing; }
  bool awaited() const { return life != Life::kReady && told == Told::kNothing; }
  bool is_given_up(common::TimePoint now) const { return told == Told::kKill && now >= told_at + kKillPatience; }
};

struct Template {
  Generation generation = kFirstGeneration;
  bool loaded = false;
  bool doomed = false;  // load() fails
  bool hangs = false;  // load() takes for ever, or until calm in the active generation
  bool silent = false;  // never forks
  bool unkillable = false;  // stuck in the kernel
  int told = 0;  // the signal
  common::TimePoint started_at{};
  common::TimePoint told_at{};

  bool forks() const { return loaded && told == 0; }
};

enum class SlotSockets { kOpening, kOpen, kRetired };

struct SocketSet {
  SlotSockets state = SlotSockets::kOpening;
  common::TimePoint retired_at{};
};

// What is wrong with the application of a generation, in percent.
struct Quality {
  std::uint32_t loads_fail = 0;
  std::uint32_t loads_hang = 0;
  std::uint32_t silent = 0;
  std::uint32_t starts_fail = 0;
  std::uint32_t starts_hang = 0;
  std::uint32_t good_starts = 0;  // so many starts succeed first, whatever stands above
};

// The world's own book of a reload that was accepted and is not answered yet.
struct PendingReload {
  Generation generation;
  SupervisionSettings settings;
  common::TimePoint loaded_by{};
  bool proven = false;  // one of its workers was ready
};

// The last start that failed in a slot, and all that a crash loop may be made of: not those of a generation on trial.
struct SlotHistory {
  std::optional<common::TimePoint> failed_at{};
  Generation failed_generation = 0;
  std::vector<common::TimePoint> failures{};
};

// What a life was made of.
struct Tally {
  std::uint64_t steps = 0;
  std::uint64_t handed_over = 0;
  std::uint64_t committed = 0;
  std::uint64_t refused = 0;  // reloads
  std::uint64_t upgraded = 0;
};

}  // namespace master
