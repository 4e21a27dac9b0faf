// SocketStore: keeps the service manager's copies of our listening sockets in step with what we listen on.
//
// A master that is killed or restarted then finds its sockets again, with everybody who waits in them. Activated
// sockets are not stored: whoever passed them has them anyway.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "master/listeners.h"
#include "master/systemd.h"

namespace master {

// What to send, the removals first: a socket that is stored under another name is not stored a second time. Pure.
struct StoreChange {
  std::vector<std::string> drop;
  std::vector<std::string> store;
};
using StoredSockets = std::map<std::string, std::uint64_t>;  // name -> SO_COOKIE
StoreChange compare_stores(const StoredSockets& now, const StoredSockets& wanted);

class SocketStore {
 public:
  // `stored`: what there is from an earlier run, as far as is known: the manager ignores what it has already.
  // OWNERSHIP: `systemd` outlives the store.
  SocketStore(Systemd& systemd, StoredSockets stored);

  // Not while the service stops: what is stored then is for the next start. Cheap when nothing has changed. What the
  // manager has no room for is sent with the next call.
  void follow(const Listeners& listeners);
  const StoredSockets& stored() const { return stored_; }  // as far as is known

 private:
  void go_on_later() { revision_ = 0; }

  Systemd& systemd_;
  StoredSockets stored_;
  std::uint64_t revision_ = 0;  // of the listeners, as followed last
};

}  // namespace master
