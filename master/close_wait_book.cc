// CloseWaitBook: entries that live as long as the kernel lists them.
#include "master/close_wait_book.h"

#include <algorithm>

namespace master {

void CloseWaitBook::note(std::span<const std::uint64_t> listed, common::TimePoint now) {
  ++look_;
  for (const std::uint64_t inode : listed) {
    if (inode == 0) continue;  // no process holds it
    const auto known = sockets_.find(inode);
    if (known == sockets_.end()) {
      if (sockets_.size() >= kCloseWaitMax) continue;
      sockets_[inode] = {.look = look_, .socket = {.inode = inode, .since = now}};
      continue;
    }
    Entry& entry = known->second;
    if (entry.state == State::kNew && entry.look != look_) entry.state = State::kWaiting;
    entry.look = look_;
  }
  std::erase_if(sockets_, [&](const auto& item) { return item.second.look != look_; });
}

bool CloseWaitBook::wants_search() const {
  return std::any_of(sockets_.begin(), sockets_.end(),
                     [](const auto& item) { return item.second.state == State::kWaiting; });
}

void CloseWaitBook::begin_search() {
  for (auto& [inode, entry] : sockets_) {
    if (entry.state == State::kWaiting) entry.state = State::kSought;
  }
}

bool CloseWaitBook::is_sought(std::uint64_t inode) const {
  const auto known = sockets_.find(inode);
  return known != sockets_.end() && known->second.state == State::kSought;
}

void CloseWaitBook::found(WorkerId holder, int fd, std::uint64_t inode, SocketOwner owner) {
  const auto known = sockets_.find(inode);
  if (known == sockets_.end() || known->second.state != State::kSought) return;
  Entry& entry = known->second;
  if (entry.socket.fd >= 0 && entry.holder != holder) {
    entry.state = State::kExempt;
    return;
  }
  entry.holder = holder;
  entry.socket.fd = fd;
  if (owner == SocketOwner::kServer) entry.state = State::kExempt;
}

void CloseWaitBook::end_search() {
  for (auto& [inode, entry] : sockets_) {
    if (entry.state != State::kSought) continue;
    entry.state = entry.socket.fd >= 0 ? State::kApplication : State::kUnheld;
  }
}

void CloseWaitBook::seek_unheld() {
  for (auto& [inode, entry] : sockets_) {
    if (entry.state == State::kUnheld) entry.state = State::kWaiting;
  }
}

std::map<WorkerId, std::vector<CloseWaitSocket>> CloseWaitBook::by_worker(
    const std::function<bool(WorkerId, int fd)>& is_its_own) {
  std::map<WorkerId, std::vector<CloseWaitSocket>> lists;
  for (auto& [inode, entry] : sockets_) {
    if (entry.state != State::kApplication) continue;
    if (is_its_own(entry.holder, entry.socket.fd)) {
      lists[entry.holder].push_back(entry.socket);
    } else {
      entry.state = State::kExempt;
    }
  }
  for (auto& [worker, sockets] : lists) std::ranges::sort(sockets, {}, &CloseWaitSocket::since);
  return lists;
}

CloseWaitCount count_close_wait(const std::vector<CloseWaitSocket>* sockets, common::Duration age_min,
                                common::TimePoint now) {
  if (sockets == nullptr || sockets->empty()) return {};
  const auto aged = std::ranges::count_if(*sockets, [&](const CloseWaitSocket& s) { return now - s.since >= age_min; });
  return {.now = sockets->size(), .aged = static_cast<std::uint64_t>(aged), .oldest = now - sockets->front().since};
}

}  // namespace master
