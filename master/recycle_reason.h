// RecycleReason: why a worker that is alive gets replaced; the names are those of `status`.
#pragma once

#include <cstddef>
#include <string_view>

namespace master {

enum class RecycleReason { kFdsLeaked, kFdsUsed, kCloseWait, kRequests, kAge, kRss, kHang, kSpin, kManual, kReload };

inline constexpr std::size_t kRecycleReasons = 10;

constexpr std::size_t index_of(RecycleReason reason) { return static_cast<std::size_t>(reason); }

constexpr std::string_view name_of(RecycleReason reason) {
  switch (reason) {
    case RecycleReason::kFdsLeaked: return "fds_leaked";
    case RecycleReason::kFdsUsed: return "fds_used";
    case RecycleReason::kCloseWait: return "close_wait";
    case RecycleReason::kRequests: return "requests";
    case RecycleReason::kAge: return "age";
    case RecycleReason::kRss: return "rss";
    case RecycleReason::kHang: return "hang";
    case RecycleReason::kSpin: return "spin";
    case RecycleReason::kManual: return "manual";
    case RecycleReason::kReload: return "reload";
  }
  return "";
}

static_assert(index_of(RecycleReason::kReload) + 1 == kRecycleReasons);

}  // namespace master
