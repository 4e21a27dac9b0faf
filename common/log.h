// The log: one line per event on standard error, as text or JSON, each with named fields.
//
// The one mutable global beside what signal handlers and the C interface need. One thread per process logs; after
// fork() a child keeps the settings and calls log_identity() to say who it is. A line is one write(2), so lines of
// several processes do not mix (pipe(7): up to PIPE_BUF bytes are atomic). Logging never waits: what a full pipe does
// not take is dropped and counted.
#pragma once

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

#include "common/config.h"

namespace common {

// A named value of a line: numbers stay numbers in JSON.
class LogField {
 public:
  LogField(std::string_view name, std::string_view value) : name_(name), text_(value), number_(Number::kNo) {}
  LogField(std::string_view name, const char* value) : LogField(name, std::string_view(value)) {}
  LogField(std::string_view name, const std::string& value) : LogField(name, std::string_view(value)) {}
  LogField(std::string_view name, std::integral auto value)
      : name_(name), text_(std::to_string(value)), number_(Number::kYes) {}

  std::string_view name() const { return name_; }
  const std::string& text() const { return text_; }
  bool is_number() const { return number_ == Number::kYes; }

 private:
  enum class Number { kNo, kYes };
  std::string_view name_;
  std::string text_;
  Number number_;
};

void log_start(LogLevel level, LogFormat format);

// Who speaks, on every later line of this process: "master", "template g1", "worker 0 g1".
void log_identity(std::string_view identity);

void log(LogLevel level, std::string_view message, std::initializer_list<LogField> fields = {});

}  // namespace common
