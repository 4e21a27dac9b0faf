// WorkerTable: entries and their scoreboard records.
#include "master/worker_table.h"

#include <memory>
#include <utility>

#include "common/check.h"

namespace master {

WorkerTable::WorkerTable(common::Scoreboard& scoreboard) : scoreboard_(scoreboard) {
  for (std::uint32_t i = common::kRecordsMax; i > 0; --i) free_records_.push_back(i - 1);
}

WorkerEntry* WorkerTable::add(WorkerId id, SlotIndex slot, common::Channel channel,
                              const common::RecycleSettings& settings) {
  if (free_records_.empty()) return nullptr;
  WorkerEntry& entry = entries_[id];
  entry.id = id;
  entry.slot = slot;
  entry.record = free_records_.back();
  free_records_.pop_back();
  entry.channel = std::move(channel);
  entry.window = SampleWindow(settings);
  // Its last writer has been reaped, its next one is not forked yet.
  std::construct_at(&scoreboard_.record(entry.record));
  return &entry;
}

WorkerEntry& WorkerTable::resume(WorkerId id, std::uint32_t record, const common::RecycleSettings& settings) {
  CHECK(std::erase(free_records_, record) == 1);
  WorkerEntry& entry = entries_[id];
  entry.id = id;
  entry.record = record;
  entry.window = SampleWindow(settings);
  return entry;
}

void WorkerTable::remove(WorkerId id) {
  const auto found = entries_.find(id);
  if (found == entries_.end()) return;
  count(found->second);
  free_records_.push_back(found->second.record);
  entries_.erase(found);
}

WorkerEntry* WorkerTable::find(WorkerId id) {
  const auto found = entries_.find(id);
  return found == entries_.end() ? nullptr : &found->second;
}

const WorkerEntry* WorkerTable::find(WorkerId id) const {
  const auto found = entries_.find(id);
  return found == entries_.end() ? nullptr : &found->second;
}

WorkerEntry* WorkerTable::find_pid(pid_t pid) {
  for (auto& [id, entry] : entries_) {
    if (entry.pid == pid) return &entry;
  }
  return nullptr;
}

WorkerEntry* WorkerTable::find_alone(SlotIndex slot) {
  WorkerEntry* alone = nullptr;
  for (auto& [id, entry] : entries_) {
    if (entry.slot != slot) continue;
    if (alone != nullptr) return nullptr;
    alone = &entry;
  }
  return alone;
}

Served WorkerTable::shown(const WorkerEntry& entry) const {
  const common::WorkerGauges& its = gauges(entry);
  return {.requests = its.requests.load(std::memory_order_relaxed),
          .connections = its.accepted.load(std::memory_order_relaxed)};
}

void WorkerTable::count(WorkerEntry& entry) {
  const Served now = shown(entry);
  counted_ = counted_ + gained(entry.counted, now);
  entry.counted = now;
}

void WorkerTable::count_served() {
  for (auto& [id, entry] : entries_) count(entry);
}

Served WorkerTable::served() const {
  Served sum = counted_;
  for (const auto& [id, entry] : entries_) sum = sum + gained(entry.counted, shown(entry));
  return sum;
}

bool WorkerTable::is_stuck(const WorkerEntry& entry, common::TimePoint now, common::Duration patience) const {
  const std::uint64_t busy_since = gauges(entry).busy_since_ns.load(std::memory_order_relaxed);
  return busy_since != 0 && busy_since + static_cast<std::uint64_t>(patience.count()) < common::nanoseconds_of(now);
}

}  // namespace master
