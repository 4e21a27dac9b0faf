// Activator: a service manager in small: it passes listening sockets to the server, keeps the descriptors that the
// server stores, and hears what it says (the protocols of sd_listen_fds(3) and sd_notify(3)).
//
// It keeps its copies whatever becomes of the server, so a test can kill one and start the next with the same sockets.
// Whatever asks it first reads all that was sent until then: what a server has said before its end is heard.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "common/clock.h"
#include "common/unique_fd.h"
#include "support/supervisor_process.h"
#include "support/temporary_directory.h"

namespace support {

enum class ReusePort { kNo, kYes };

// A listening socket, not of the server. `address` as HttpClient::connect() takes it; port 0 = any free one.
common::UniqueFd listening_socket(const std::string& address, ReusePort reuse = ReusePort::kNo);
std::string address_of(int socket);

class Activator {
 public:
  enum class Notify { kNo, kYes };  // whether it listens to the server and stores its sockets
  explicit Activator(Notify notify = Notify::kYes);
  ~Activator();
  Activator(const Activator&) = delete;
  Activator& operator=(const Activator&) = delete;

  // Passed to every server from now on, in this order; returns the address.
  std::string pass(common::UniqueFd socket, const std::string& name);

  // What starts a server with all sockets there are: its own of `pass`, then the stored ones, in the reverse order.
  SupervisorOptions options(SupervisorOptions rest = {});

  // Every line of every message, in order.
  std::vector<std::string> words();
  std::size_t count(std::string_view line);
  // When such lines came.
  std::vector<common::TimePoint> times(std::string_view line);
  bool wait_words(std::string_view line, std::size_t times = 1, Deadline deadline = Deadline());
  // Names of the sockets that are stored.
  std::vector<std::string> stored();
  // A copy of whatever is stored under the name; none = nothing is.
  common::UniqueFd stored_copy(const std::string& name);
  // Puts something into the store, instead of what was there.
  void put(const std::string& name, int fd);
  void forget_words();

 private:
  void listen();
  // The next ones with mutex_ locked, so that two readers do not change the order of what they read.
  void catch_up();
  enum class Queue { kEmpty, kRead };
  Queue receive();
  void obey(const std::string& message, std::vector<common::UniqueFd> fds);

  struct Passed {
    std::string name;
    common::UniqueFd fd;  // with a high number, inherited by whoever is started
  };
  TemporaryDirectory directory_;
  common::UniqueFd socket_;
  common::UniqueFd stop_event_;
  std::vector<Passed> passed_;
  std::mutex mutex_;
  std::vector<std::string> words_;               // guarded by mutex_
  std::vector<common::TimePoint> times_;         // of the same index; guarded by mutex_
  std::map<std::string, common::UniqueFd> stored_;  // guarded by mutex_
  std::thread thread_;
};

}  // namespace support
