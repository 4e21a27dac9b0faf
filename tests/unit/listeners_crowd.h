// Listeners' crowd: many clients that connect all the time and note what they see, and who plays their workers.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "listeners_stage.h"

namespace listeners_stage {

inline constexpr int kClientThreads = 8;
inline constexpr int kClientsEach = 50;

// What clients saw. Each connects, waits for one byte, and begins anew.
struct Ledger {
  std::atomic<int> served = 0;
  std::atomic<int> refused = 0;    // connect(2) failed
  std::atomic<int> reset = 0;      // connected, and then nothing came
  std::atomic<int> forgotten = 0;  // nothing came for kDeadlineMilliseconds
};

class Clients {
 public:
  explicit Clients(const std::string& address) : address_(addresses({address}).front()) {
    for (int i = 0; i < kClientThreads; ++i) {
      threads_.emplace_back([this, i] {
        while (!stop_) {
          play_round();
          ++rounds_[static_cast<std::size_t>(i)];
        }
      });
    }
  }
  Clients(const Clients&) = delete;
  Clients& operator=(const Clients&) = delete;
  ~Clients() { stop(); }

  void stop() {
    stop_ = true;
    for (std::thread& thread : threads_) {
      if (thread.joinable()) thread.join();
    }
  }

  // After it, every connection has begun later than `before` was taken.
  std::array<int, kClientThreads> rounds() const {
    std::array<int, kClientThreads> result{};
    for (std::size_t i = 0; i < result.size(); ++i) result[i] = rounds_[i];
    return result;
  }
  bool have_begun_anew_since(const std::array<int, kClientThreads>& before) const {
    return std::ranges::equal(rounds(), before, [](int now, int then) { return now >= then + 2; });
  }
  const Ledger& ledger() const { return ledger_; }

 private:
  void play_round() {
    std::vector<common::UniqueFd> sockets;
    std::vector<pollfd> waiting;
    for (int i = 0; i < kClientsEach; ++i) {
      common::UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
      const linger no_time_wait{.l_onoff = 1, .l_linger = 0};  // or the ports would run out
      ::setsockopt(fd.get(), SOL_SOCKET, SO_LINGER, &no_time_wait, sizeof no_time_wait);
      ::connect(fd.get(), address_.get(), address_.length);
      waiting.push_back({.fd = fd.get(), .events = POLLIN, .revents = 0});
      sockets.push_back(std::move(fd));
    }
    while (!waiting.empty()) {
      if (::poll(waiting.data(), waiting.size(), kDeadlineMilliseconds) <= 0) {
        ledger_.forgotten += static_cast<int>(waiting.size());
        return;
      }
      std::erase_if(waiting, [this](const pollfd& entry) {
        if (entry.revents == 0) return false;
        note(entry.fd);
        return true;
      });
    }
  }

  void note(int fd) {
    char byte = 0;
    const ssize_t got = ::recv(fd, &byte, 1, 0);
    ++(got == 1 ? ledger_.served : got < 0 && errno == ECONNREFUSED ? ledger_.refused : ledger_.reset);
  }

  common::Address address_;
  Ledger ledger_;
  std::atomic<bool> stop_ = false;
  std::array<std::atomic<int>, kClientThreads> rounds_{};
  std::vector<std::thread> threads_;
};

// Plays the workers of all slots: accepts on copies of their sockets.
class Workers {
 public:
  Workers() : thread_([this] { run(); }) {}
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;
  ~Workers() {
    stop_ = true;
    thread_.join();
  }

  void take(const master::Listeners& listeners, master::SlotIndex slot) {
    const std::lock_guard lock(mutex_);
    listeners_[slot] = common::UniqueFd(::fcntl(listeners.sockets_of(slot)[0], F_DUPFD_CLOEXEC, 0));
  }
  void leave(master::SlotIndex slot) {
    const std::lock_guard lock(mutex_);
    listeners_.erase(slot);
  }
  static void serve(const common::UniqueFd& connection) { ::send(connection.get(), "k", 1, MSG_NOSIGNAL); }

 private:
  void run() {
    while (!stop_) {
      std::vector<pollfd> entries;
      {
        const std::lock_guard lock(mutex_);
        for (const auto& [slot, fd] : listeners_) {
          entries.push_back({.fd = fd.get(), .events = POLLIN, .revents = 0});
          // Alone here: who is in the queue stays there, as none of our clients gives up.
          while (has_queued(fd.get())) serve(common::UniqueFd(::accept(fd.get(), nullptr, nullptr)));
        }
      }
      ::poll(entries.data(), entries.size(), 1);  // a slot that was taken meanwhile is not in it
    }
  }

  std::mutex mutex_;
  std::map<master::SlotIndex, common::UniqueFd> listeners_;
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

}  // namespace listeners_stage
