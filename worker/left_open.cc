// LeftOpen: a list of /proc/self/fd, counted by what the links say.
#include "worker/left_open.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <climits>
#include <map>
#include <utility>
#include <vector>

#include "common/inherited_fds.h"

namespace worker {
namespace {

constexpr std::size_t kKindsMax = 8;  // more are summed up as "other"

// "socket:[4711]" and "pipe:[4711]" lose their number, which says nothing to anybody.
std::string kind_of(int fd) {
  std::array<char, PATH_MAX> target{};
  const std::string link = "/proc/self/fd/" + std::to_string(fd);
  const ssize_t length = readlink(link.c_str(), target.data(), target.size());
  if (length <= 0) return {};
  const std::string text(target.data(), static_cast<std::size_t>(length));
  if (text.starts_with("socket:") || text.starts_with("pipe:")) return text.substr(0, text.find(':'));
  return text;
}

}  // namespace

LeftOpen find_left_open(const common::FdLedger& ledger) {
  std::map<std::string, std::uint32_t> kinds;
  LeftOpen found;
  for (const int fd : common::open_descriptors()) {
    const common::FdNote note = ledger.read(fd);
    if (note.owner == common::FdOwner::kServer || note.since == common::FdSince::kStart) continue;
    std::string kind = kind_of(fd);
    if (kind.empty()) continue;  // the descriptor the list itself was read from
    ++found.count;
    ++kinds[std::move(kind)];
  }
  std::vector<std::pair<std::uint32_t, std::string>> by_count;
  by_count.reserve(kinds.size());
  for (const auto& [kind, count] : kinds) by_count.emplace_back(count, kind);
  std::ranges::sort(by_count, [](const auto& a, const auto& b) { return a.first > b.first; });
  std::uint32_t named = 0;
  for (std::size_t i = 0; i < std::min(by_count.size(), kKindsMax); ++i) {
    named += by_count[i].first;
    found.text += (i == 0 ? "" : ", ") + std::to_string(by_count[i].first) + " x " + by_count[i].second;
  }
  if (named < found.count) found.text += ", " + std::to_string(found.count - named) + " x other";
  return found;
}

}  // namespace worker
