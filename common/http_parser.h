// RequestParser: turns the bytes of one connection into HTTP/1.1 requests, and refuses what RFC 9112 says to refuse.
//
// Driven by bytes alone: no clock, no socket, no log. How the bytes were cut into feeds never changes what comes out
// (unit-tested at every cut, and fuzzed). One thread at a time.
//
// Zero-copy where it pays: when a head without a body lies in one feed, the views of request() point into the bytes
// given to feed(). Otherwise they point into memory of the parser. Either way they are valid until the next feed(),
// next() or reset(), provided that the caller keeps the bytes of the feed that returned kMessage that long. After
// kNeedMore and kHead the parser needs none of the bytes it was given.
//
// A connection between two requests costs one small object. Memory for heads and bodies grows on demand, up to the
// limits, and anything beyond a small reserve is given back by next() and reset().
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

namespace common {

struct Field {
  std::string_view name;
  std::string_view value;
};

// Bytes unless the name says otherwise. Each limit is inclusive: exactly the limit is accepted, one more is not.
struct RequestLimits {
  std::size_t request_line_max = std::size_t{8} * 1024;   // method to version, without CRLF; past it 414
  std::size_t header_bytes_max = std::size_t{32} * 1024;  // the header section, or the trailers; past it 431
  std::size_t headers_max = 100;  // fields; past it 431
  std::size_t body_max = std::size_t{8} * 1024 * 1024;  // decoded; past it 413, at once when Content-Length says so
};

struct Request {
  std::string_view method;
  std::string_view target;
  unsigned minor_version = 1;  // HTTP/1.<minor>
  std::span<const Field> headers;  // in the order received
  std::span<const Field> trailers;  // filled at kMessage
  std::string_view body;  // decoded; filled at kMessage
  bool keep_alive = true;  // what the client allows, by version and Connection
  bool expects_continue = false;  // Expect: 100-continue of an HTTP/1.1 request with a body
  bool is_head = false;
};

class RequestParser {
 public:
  enum class Status {
    kNeedMore,  // all bytes consumed, the request is not whole
    kHead,  // the head is whole and a body follows: reported once; call feed() again with the rest
    kMessage,  // request() is whole; call next() before feeding the rest
    kRefused,  // answer refusal() with its status and close; nothing more may be fed until reset()
  };
  struct Outcome {
    Status status;
    std::size_t consumed;  // of the bytes given
  };
  struct Refusal {
    int status;  // 400 413 414 417 431 501 505
    std::string_view reason;  // static, one line: becomes the body of the answer
  };

  explicit RequestParser(const RequestLimits& limits);
  ~RequestParser();
  RequestParser(const RequestParser&) = delete;
  RequestParser& operator=(const RequestParser&) = delete;

  Outcome feed(std::string_view bytes);
  void next();  // forget the finished request, keep the connection
  void reset();  // as new, for another connection; frees memory beyond a small reserve
  const Request& request() const;
  const Refusal& refusal() const;
  // True once a byte of the request now being read has arrived. Empty lines before a request are not part of it.
  bool begun() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace common
