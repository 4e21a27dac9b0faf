// Systemd: what the service manager hands over at the start, and hears later (sd_listen_fds(3), sd_notify(3)).
//
// Everything here does nothing where no service manager listens, and nothing waits. Words that cannot be delivered are
// logged, and lost: the service does not depend on them.
#pragma once

#include <sys/socket.h>

#include <optional>
#include <string>
#include <vector>

#include "common/clock.h"
#include "common/result.h"
#include "common/unique_fd.h"

namespace master {

struct PassedSocket {
  common::UniqueFd fd;  // close-on-exec
  std::string name;  // of LISTEN_FDNAMES, "unknown" without one
};

enum class Told {
  kYes,  // or lost for good
  kNotYet,  // the manager has too much to read: say it again later
};

class Systemd {
 public:
  Systemd();
  Systemd(const Systemd&) = delete;
  Systemd& operator=(const Systemd&) = delete;

  // Once, before anything else is opened; the LISTEN_ variables are removed, whoever they were meant for. None when
  // they name another process.
  common::Result<std::vector<PassedSocket>> receive_sockets();

  bool listens() const { return static_cast<bool>(socket_); }  // NOTIFY_SOCKET is set
  std::optional<common::Duration> watchdog() const;  // how long it waits for WATCHDOG=1; none = it does not
  Told tell(const std::string& words);  // lines of NAME=VALUE

  // Keeps a copy of the socket, under this name, for whoever is started next (the unit's FileDescriptorStoreMax=).
  Told store(int fd, const std::string& name);
  Told drop(const std::string& name);

  // For a process that runs the application: it must not speak for the service. The master keeps the variables, because
  // a binary that it executes in its own place needs them.
  static void hide();

 private:
  Told send(const std::string& words, int fd);

  common::UniqueFd socket_;
  sockaddr_storage address_{};
  socklen_t address_length_ = 0;
  bool is_deaf_ = false;  // which has been logged
};

}  // namespace master
