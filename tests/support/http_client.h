// HttpClient: one connection of a test to the server, on which every wait has a deadline.
//
// It sends bytes as they are given, right or wrong, and reads answers framed by Content-Length or by the end of the
// connection. A blocking caller's tool: one thread at a time.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/result.h"
#include "common/unique_fd.h"
#include "support/deadline.h"

namespace support {

struct HttpResponse {
  int status = 0;  // 0 = there was no answer, and `body` says why
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;

  std::string_view header(std::string_view name) const;  // of any case; empty if there is none
  bool has_header(std::string_view name) const;
  bool closes() const;  // "Connection: close"
};

enum class ReadOutcome { kAnswer, kEnd, kReset, kTimeout, kMalformed };

struct HttpRead {
  ReadOutcome outcome = ReadOutcome::kEnd;
  HttpResponse response;  // of kAnswer; 1xx are answers without a body
};

enum class BodyRule { kPresent, kNone };  // kNone: the answer to a HEAD

class HttpClient {
 public:
  // `address` as in the status: "127.0.0.1:80", "[::1]:80", "unix:/path", "unix:@name". `source` is the own address
  // and port to use, or empty. Port 0 = any: each address has a range of its own.
  static common::Result<HttpClient> connect(const std::string& address, Deadline deadline = Deadline(),
                                            const std::string& source = "");

  // Sends all of it; false when the peer has gone or did not read until the deadline.
  bool send(std::string_view bytes, Deadline deadline = Deadline());
  // Sends what the socket takes at once; the number of bytes taken.
  std::size_t send_some(std::string_view bytes);

  HttpRead read(BodyRule rule = BodyRule::kPresent, Deadline deadline = Deadline());
  // At most so many bytes, for a later read(), from a client that takes its time; kAnswer = something came.
  ReadOutcome receive(std::size_t bytes_max, Deadline deadline = Deadline());
  // kEnd once the peer has sent its FIN, with all unread bytes as the body; kReset; or kTimeout.
  HttpRead read_to_end(Deadline deadline = Deadline());
  bool has_unread() const { return !buffer_.empty(); }

  void half_close();  // no more requests from us, answers still wanted
  void abort();       // a reset instead of an orderly end
  void limit_receive_buffer(int bytes);
  int fd() const { return socket_.get(); }

 private:
  explicit HttpClient(common::UniqueFd socket) : socket_(std::move(socket)) {}

  common::UniqueFd socket_;
  std::string buffer_;
};

// A whole conversation: connect, one GET (or other method) with "Connection: close", the answer.
HttpResponse fetch(const std::string& address, std::string_view target, Deadline deadline = Deadline(),
                   std::string_view method = "GET");

// "GET <target> HTTP/1.1" with Host and these extra lines ("Name: value\r\n" each).
std::string get_request(std::string_view target, std::string_view extra = "");

}  // namespace support
