// HttpSession: one client's HTTP/1.1 conversation, bytes in and bytes out; it knows no socket and no clock.
//
// Requests are answered in the order they came, all that one read brought into one output. When the client does not
// take its answers, requests are no longer looked at (wants_input() turns false) and wait unparsed.
// One thread. A session is used for one connection at a time and then reset(): its memory is pooled.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "common/http_parser.h"
#include "common/http_response.h"

namespace worker {

class HttpSession;

// What answers a request, by calling session.respond() once before it returns.
class RequestHandler {
 public:
  virtual ~RequestHandler() = default;
  virtual void handle(const common::Request& request, HttpSession& session) = 0;
  // After the answer to `request` stands in the output: `status` as sent, `body_bytes` without the head.
  virtual void on_answered(const common::Request& request, HttpSession& session, int status,
                           std::size_t body_bytes) = 0;
};

// Says whether more of a client's bytes have come than its session was given.
class InputProbe {
 public:
  virtual bool has_more(int fd) = 0;

 protected:
  ~InputProbe() = default;
};

enum class ServingMode : std::uint8_t {
  kServing,
  kDraining,  // an answer is the last of its connection unless more requests have come already
  kLastCall,  // every answer is the last: whoever never stops sending would be cut off in the middle later
};

// What all sessions of a worker share. OWNERSHIP: the worker's, longer-lived than every session.
struct SessionContext {
  RequestHandler* handler = nullptr;
  common::RequestLimits limits;
  std::uint64_t requests_per_connection = 0;  // 0 = unlimited
  ServingMode mode = ServingMode::kServing;
  InputProbe* input = nullptr;  // null = nothing more has come
  common::DateCache date;
};

class HttpSession {
 public:
  enum class Phase : std::uint8_t {
    kBetween,  // no byte of a next request has come
    kHead,
    kBody,
    kOver,  // the last answer stands in the output: send it, then half-close
  };

  explicit HttpSession(SessionContext& context);

  void reset(int fd, std::uint64_t answered_before);
  void receive(std::string_view bytes);
  void refuse(int status, std::string_view reason);  // e.g. 408; ends the conversation

  Phase phase() const { return phase_; }
  bool wants_input() const { return output_.size() < kOutputMax && phase_ != Phase::kOver; }
  std::uint64_t received() const { return received_; }  // bytes, of this connection since reset()
  std::uint64_t answered() const { return answered_; }

  // The answers written so far move to sending(), which stays as it is until the next take_output(); requests that
  // had to wait are answered now. False if there is nothing to send.
  bool take_output();
  std::string_view sending() const { return sending_; }

  // For the handler. False if this request has been answered already.
  bool respond(int status, std::span<const common::Field> fields, std::string_view body);
  int fd() const { return fd_; }  // the client's socket: to ask for its peer or whether it is still there

 private:
  // Answers wait in memory up to here, plus the one that crosses it.
  static constexpr std::size_t kOutputMax = 256 * 1024;
  static constexpr std::size_t kKeptCapacity = 32 * 1024;  // of a pooled session's buffers

  void consume(std::string_view bytes);
  enum class Rest : std::uint8_t { kNone, kMore };
  void answer(Rest rest);
  bool is_last(const common::Request& request) const;

  SessionContext& context_;
  common::RequestParser parser_;
  std::string output_;
  std::string sending_;
  std::string held_;  // received, not yet looked at
  Phase phase_ = Phase::kBetween;
  Rest rest_ = Rest::kNone;  // of what was received, behind the request being answered
  enum class Answer : std::uint8_t { kOwed, kGiven } answer_ = Answer::kGiven;
  common::ConnectionOption connection_ = common::ConnectionOption::kImplicit;
  int status_ = 0;
  std::size_t body_bytes_ = 0;
  std::uint64_t answered_ = 0;
  std::uint64_t received_ = 0;
  int fd_ = -1;
};

}  // namespace worker
