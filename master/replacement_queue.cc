// ReplacementQueue: first come, first served, with a cap on what is under way.
#include "master/replacement_queue.h"

#include <algorithm>

#include "common/check.h"

namespace master {

ReplacementQueue::Pushed ReplacementQueue::push(SlotIndex slot, RecycleReason reason) {
  if (reason_of(slot)) return Pushed::kAlreadyThere;
  waiting_.push_back({slot, reason});
  return Pushed::kQueued;
}

std::optional<SlotIndex> ReplacementQueue::begin_next(const std::function<bool(SlotIndex)>& may_begin) {
  if (under_way_.size() >= under_way_max_) return std::nullopt;
  const auto next = std::ranges::find_if(waiting_, [&](const Entry& entry) { return may_begin(entry.slot); });
  if (next == waiting_.end()) return std::nullopt;
  const Entry entry = *next;
  waiting_.erase(next);
  under_way_.emplace(entry.slot, entry.reason);
  return entry.slot;
}

void ReplacementQueue::postpone(SlotIndex slot) {
  const auto entry = under_way_.find(slot);
  CHECK(entry != under_way_.end());
  waiting_.push_front({slot, entry->second});
  under_way_.erase(entry);
}

std::optional<RecycleReason> ReplacementQueue::remove(SlotIndex slot) {
  const std::optional<RecycleReason> reason = reason_of(slot);
  under_way_.erase(slot);
  std::erase_if(waiting_, [slot](const Entry& entry) { return entry.slot == slot; });
  return reason;
}

std::optional<RecycleReason> ReplacementQueue::reason_of(SlotIndex slot) const {
  if (const auto entry = under_way_.find(slot); entry != under_way_.end()) return entry->second;
  const auto entry = std::ranges::find(waiting_, slot, &Entry::slot);
  if (entry == waiting_.end()) return std::nullopt;
  return entry->reason;
}

}  // namespace master
