// Client: one thread's endless requests of one kind, with a note of how each of them ended.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "exchange.h"
#include "history.h"
#include "support/http_client.h"

namespace lifecycle {

class StopSignal {
 public:
  void set();
  bool is_set() const { return is_set_; }
  // Returns early, and true, once it is set.
  bool wait_for(common::Duration span);

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::atomic<bool> is_set_{false};
};

struct ClientOptions {
  std::uint32_t number = 0;  // below kClientsMax
  Kind kind = Kind::kNewConnection;
  std::string address = {};
  common::Duration silence_max{};  // of kConnectAndWait before its request; shorter than the grace of a drain
};

class Client {
 public:
  static constexpr std::uint32_t kClientsMax = 64;  // ids are dealt out to so many in turn

  Client(ClientOptions options, StopSignal& stop);

  void run();  // until the signal; what has to be sent again is sent before the return
  std::uint64_t answered() const { return answered_; }
  // After run().
  const std::vector<Attempt>& attempts() const { return attempts_; }
  const std::vector<std::string>& remarks() const { return remarks_; }

 private:
  struct Connection {
    support::HttpClient client;
    common::TimePoint connected;
    common::TimePoint silent_since;  // since then nothing is in flight
    std::uint16_t port = 0;
    pid_t server = 0;
  };
  enum class After { kGoOn, kConnectionOver };

  bool connect();
  void stay_silent();
  // Notes what happened to a connection on which nothing was in flight; true if it can still be used.
  bool is_usable(std::uint32_t id);
  void exchange();
  std::uint32_t next_id();
  void send(const Exchange& exchange, const support::Deadline& deadline);
  support::HttpRead read(const support::Deadline& deadline);
  After judge(const support::HttpRead& read, const std::vector<Exchange>& batch, std::size_t index,
              common::TimePoint sent);
  After judge_answer(const support::HttpResponse& response, const std::vector<Exchange>& batch, std::size_t index,
                     Attempt attempt);
  void finish(Attempt attempt, const support::Deadline& deadline);

  Attempt attempt_of(std::uint32_t id, common::TimePoint sent) const;
  void note(Attempt attempt, Ending ending, const std::string& remark = "");
  void note_again(const Attempt& attempt, Ending ending);
  common::Duration random_up_to(common::Duration most);

  const ClientOptions options_;
  const Manner manner_;
  StopSignal& stop_;
  Random random_;
  std::uint32_t sequence_ = 0;
  std::deque<std::uint32_t> again_;  // ids to be sent before new ones
  std::optional<Connection> connection_;
  std::vector<Attempt> attempts_;
  std::vector<std::string> remarks_;
  std::atomic<std::uint64_t> answered_{0};
};

}  // namespace lifecycle
