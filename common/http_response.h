// Responses on the wire: the encoding of heads, bodies and refusals into an output buffer.
//
// Pure: no clock, no socket. Everything is appended, so the answers to pipelined requests gather in one buffer and
// leave in one send. The buffer grows at most once per response and is never zero-filled first.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <span>
#include <string>
#include <string_view>

#include "common/http_parser.h"

namespace common {

// The field lines every response carries ("Server: supervisor" and "Date: ..."), rendered once a second.
class DateCache {
 public:
  // Before the first update() the date is that of the epoch.
  DateCache() { render(0); }

  // `now` is the wall clock in seconds. Cheap unless the second changed, and years from 0 to 9999 are rendered.
  void update(std::time_t now) {
    if (now != second_) render(now);
  }
  std::string_view fields() const { return {lines_.data(), lines_.size()}; }  // both lines with their CRLF
  std::string_view date() const { return fields().substr(kDateAt, kDateBytes); }  // "Sun, 06 Nov 1994 08:49:37 GMT"

 private:
  static constexpr std::string_view kBeforeDate = "Server: supervisor\r\nDate: ";
  static constexpr std::size_t kDateAt = kBeforeDate.size();
  static constexpr std::size_t kDateBytes = 29;

  void render(std::time_t now);

  std::time_t second_ = 0;
  std::array<char, kDateAt + kDateBytes + 2> lines_;
};

enum class BodySending : std::uint8_t { kSend, kOmit };  // kOmit answers HEAD: Content-Length still tells the size
enum class ConnectionOption : std::uint8_t {
  kImplicit,   // no Connection field: HTTP/1.1 persists
  kClose,      // "Connection: close": this response is the last
  kKeepAlive,  // "Connection: keep-alive": to an HTTP/1.0 client that asked for it
};

// What stands before the body. Every field has passed may_send_field().
struct ResponseHead {
  int status = 200;  // 100 to 599
  std::span<const Field> fields;
};

// Appends a whole response. A status that forbids content (1xx, 204, 205, 304) loses its body; 1xx and 204 go without
// Content-Length too, 205 says 0, and 304 says the length of `body` unless that is empty (it then means "unknown").
void append_response(std::string& out, const ResponseHead& head, std::string_view body, BodySending sending,
                     ConnectionOption connection, const DateCache& date);

// Appends a response of the server's own, `reason` as a line of text, that ends the connection.
void append_refusal(std::string& out, int status, std::string_view reason, const DateCache& date);

// True if an application may send this field: the name is a token, the value is free of CR, LF and NUL, and the field
// is not one the server sets itself (Connection, Content-Length, Date, Server, Transfer-Encoding).
bool may_send_field(std::string_view name, std::string_view value);

// "Not Found" for 404; empty for a status without a registered phrase (RFC 9112 allows that).
std::string_view reason_phrase(int status);

// Sent before the body of a request with "Expect: 100-continue" is read.
inline constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

}  // namespace common
