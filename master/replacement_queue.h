// ReplacementQueue: the planned replacements, those waiting for their turn and those under way.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>

#include "master/recycle_reason.h"
#include "master/worker_id.h"

namespace master {

// Every kind of planned replacement goes through this one queue, so that jitter is not all that keeps workers from
// leaving at the same time. A slot is in it at most once, waiting or under way.
class ReplacementQueue {
 public:
  enum class Pushed { kQueued, kAlreadyThere };

  // At least one may be under way, whatever `under_way_max` says: a queue that never moves helps nobody.
  explicit ReplacementQueue(std::uint32_t under_way_max) { limit(under_way_max); }
  void limit(std::uint32_t under_way_max) { under_way_max_ = under_way_max == 0 ? 1 : under_way_max; }

  // The first reason wins: it is the one that is counted and logged.
  Pushed push(SlotIndex slot, RecycleReason reason);

  // Puts the first waiting slot for which `may_begin` holds under way; others keep their place.
  std::optional<SlotIndex> begin_next(const std::function<bool(SlotIndex)>& may_begin);

  // Back to the front of the queue: it was begun and could not go on, through no fault of the slot.
  void postpone(SlotIndex slot);

  // Takes the slot out, wherever it is: done, abandoned, or made pointless by the death of its worker.
  std::optional<RecycleReason> remove(SlotIndex slot);

  std::optional<RecycleReason> reason_of(SlotIndex slot) const;
  std::size_t waiting() const { return waiting_.size(); }
  std::size_t under_way() const { return under_way_.size(); }

 private:
  struct Entry {
    SlotIndex slot = 0;
    RecycleReason reason = RecycleReason::kManual;
  };

  std::uint32_t under_way_max_ = 1;
  std::deque<Entry> waiting_;
  std::map<SlotIndex, RecycleReason> under_way_;
};

}  // namespace master
