// SocketStore: the difference, and its sending.
#include "master/socket_store.h"

#include <utility>

#include "master/inherited_sockets.h"

namespace master {

StoreChange compare_stores(const StoredSockets& now, const StoredSockets& wanted) {
  StoreChange change;
  for (const auto& [name, cookie] : now) {
    const auto found = wanted.find(name);
    if (found == wanted.end() || found->second != cookie) change.drop.push_back(name);
  }
  for (const auto& [name, cookie] : wanted) {
    const auto found = now.find(name);
    if (found == now.end() || found->second != cookie) change.store.push_back(name);
  }
  return change;
}

SocketStore::SocketStore(Systemd& systemd, StoredSockets stored) : systemd_(systemd), stored_(std::move(stored)) {}

void SocketStore::follow(const Listeners& listeners) {
  if (!systemd_.listens() || listeners.revision() == revision_) return;
  revision_ = listeners.revision();
  StoredSockets wanted;
  std::map<std::string, int> fds;
  for (const auto& [name, fd] : listeners.storable()) {
    wanted.emplace(name, cookie_of(fd));
    fds.emplace(name, fd);
  }
  const StoreChange change = compare_stores(stored_, wanted);
  for (const std::string& name : change.drop) {
    if (systemd_.drop(name) == Told::kNotYet) return go_on_later();
    stored_.erase(name);
  }
  for (const std::string& name : change.store) {
    if (systemd_.store(fds.at(name), name) == Told::kNotYet) return go_on_later();
    stored_[name] = wanted.at(name);
  }
}

}  // namespace master
