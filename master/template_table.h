// TemplateTable: the executor's side of every template: its pid, its channel and what it said last.
#pragma once

#include <sys/types.h>

#include <map>
#include <optional>

#include "common/channel.h"
#include "master/exit_status.h"
#include "master/supervision_event.h"
#include "master/worker_id.h"

namespace master {

struct TemplateEntry {
  Generation generation = kFirstGeneration;
  pid_t pid = 0;
  common::Channel channel;  // none once it is broken or closed: its end is told by waitpid(2)
  TemplatePhase phase = TemplatePhase::kLoading;
  std::optional<LastWords> last_words{};
};

// At most one process per generation; an entry lives as long as its process.
class TemplateTable {
 public:
  TemplateEntry& add(Generation generation, pid_t pid, common::Channel channel) {
    return entries_[generation] = {.generation = generation, .pid = pid, .channel = std::move(channel)};
  }
  void remove(Generation generation) { entries_.erase(generation); }

  TemplateEntry* find(Generation generation) {
    const auto found = entries_.find(generation);
    return found == entries_.end() ? nullptr : &found->second;
  }
  TemplateEntry* find_pid(pid_t pid) {
    for (auto& [generation, entry] : entries_) {
      if (entry.pid == pid) return &entry;
    }
    return nullptr;
  }

  auto begin() const { return entries_.begin(); }
  auto end() const { return entries_.end(); }

 private:
  std::map<Generation, TemplateEntry> entries_;
};

}  // namespace master
