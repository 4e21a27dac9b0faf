// AccessLog: one line per answered request on standard output, written once per turn of the loop.
#pragma once

#include <cstddef>
#include <ctime>
#include <string>
#include <string_view>

#include "common/config.h"
#include "common/http_parser.h"

namespace worker {

class AccessLog {
 public:
  explicit AccessLog(common::AccessLog format) : format_(format) {}

  bool is_on() const { return format_ != common::AccessLog::kOff; }
  // `peer` is "192.0.2.7:51234" or "unix:"; `body_bytes` without the head; `now` is the wall clock.
  void add(const common::Request& request, std::string_view peer, int status, std::size_t body_bytes, std::time_t now);
  // write(2) to `fd`; lines that a full pipe does not take are dropped and counted, a worker never waits for its log.
  void flush(int fd);
  std::size_t dropped() const { return dropped_; }  // bytes

 private:
  void add_combined(const common::Request& request, std::string_view peer, int status, std::size_t body_bytes,
                    std::time_t now);
  void add_json(const common::Request& request, std::string_view peer, int status, std::size_t body_bytes,
                std::time_t now);

  common::AccessLog format_;
  std::string lines_;
  std::size_t dropped_ = 0;
};

}  // namespace worker
