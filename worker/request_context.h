// The request that is being handled: what `supervisor_request*` points to, on the host's side of the interface.
//
// One object per worker, begun anew for each request, so that its memory is reused. Nothing is converted for the
// application before it asks, and its answer goes to the output in one pass. One thread.
#pragma once

#include <supervisor/app.h>

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "common/http_parser.h"

namespace worker {

// Where a request came from, and where its answer goes: implemented by the worker's core.
class Exchange {
 public:
  virtual ~Exchange() = default;
  // Called once per request, inside the handler, with fields that passed common::may_send_field and a status from 200
  // to 599. All views end with the call.
  virtual void respond(int status, std::span<const common::Field> fields, std::string_view body) = 0;
  // "192.0.2.7:51234"; asked for only if the application looks at the request. Valid until the handler returns.
  virtual std::string_view peer() = 0;
  // The client's socket, borrowed; -1 = there is none.
  virtual int fd() const = 0;
};

}  // namespace worker

struct supervisor_request {
 public:
  // Both outlive the handler.
  void begin(const common::Request& request, worker::Exchange& exchange);

  const supervisor_request_info& info() const;
  // False, with a line in the log, if it broke a rule or an answer was taken before.
  bool respond(const supervisor_response& response);
  bool cancelled() const;  // a system call
  bool answered() const { return answer_ == Answer::kTaken; }

 private:
  enum class Answer : std::uint8_t { kOwed, kTaken };
  enum class Info : std::uint8_t { kStale, kFilled };

  const char* fault_of(const supervisor_response& response);
  const char* convert_fields(const supervisor_response& response);

  const common::Request* request_ = nullptr;
  worker::Exchange* exchange_ = nullptr;
  Answer answer_ = Answer::kTaken;
  mutable Info info_state_ = Info::kStale;
  mutable supervisor_request_info info_ = {};
  mutable std::vector<supervisor_field> received_;  // headers, then trailers
  std::vector<common::Field> to_send_;
};

namespace worker {
using RequestContext = ::supervisor_request;
}  // namespace worker
