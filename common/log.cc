// The log: rendering of lines, and the one door to spdlog.
#include "common/log.h"

#include <poll.h>
#include <spdlog/details/null_mutex.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <climits>
#include <memory>

#include "common/json.h"

namespace common {
namespace {

// Standard error, but never waiting for it: when nobody reads the pipe, lines are dropped, counted, and the next line
// that gets through says how many. A master that waits for its log supervises nothing.
class UnwaitingSink final : public spdlog::sinks::base_sink<spdlog::details::null_mutex> {
 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    pollfd ready{.fd = STDERR_FILENO, .events = POLLOUT, .revents = 0};
    if (poll(&ready, 1, 0) <= 0 || (ready.revents & POLLOUT) == 0) {
      ++dropped_;
      return;
    }
    // More than a pipe takes at once would wait for its reader, and mix with the lines of other processes.
    if (line.size() > PIPE_BUF) {
      line.resize(PIPE_BUF - 1);
      line.push_back('\n');
    }
    if (dropped_ > 0) {
      const std::string note = "supervisor: " + std::to_string(dropped_) + " log lines were dropped\n";
      dropped_ = write(STDERR_FILENO, note.data(), note.size()) < 0 ? dropped_ : 0;
      if (poll(&ready, 1, 0) <= 0 || (ready.revents & POLLOUT) == 0) {
        ++dropped_;
        return;
      }
    }
    if (write(STDERR_FILENO, line.data(), line.size()) < 0) ++dropped_;
  }
  void flush_() override {}

 private:
  std::uint64_t dropped_ = 0;
};

struct LogState {
  LogFormat format = LogFormat::kText;
  std::string identity = "supervisor";
  std::shared_ptr<spdlog::logger> logger;  // spdlog hands out nothing else
};

LogState& state() {
  static LogState instance;
  return instance;
}

spdlog::level::level_enum spdlog_level(LogLevel level) {
  switch (level) {
    case LogLevel::kTrace: return spdlog::level::trace;
    case LogLevel::kDebug: return spdlog::level::debug;
    case LogLevel::kInfo: return spdlog::level::info;
    case LogLevel::kWarn: return spdlog::level::warn;
    case LogLevel::kError: return spdlog::level::err;
  }
  return spdlog::level::info;
}

// Control bytes from outside must not forge lines or drive a terminal.
std::string printable(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte != 0x7f) {
      result += c;
    } else {
      static constexpr char kHex[] = "0123456789abcdef";
      result += {'\\', 'x', kHex[byte >> 4], kHex[byte & 15]};
    }
  }
  return result;
}

std::string render_text(std::string_view message, std::initializer_list<LogField> fields) {
  std::string line = "[" + state().identity + "] " + printable(message);
  for (const LogField& field : fields) {
    line += ' ';
    line += field.name();
    line += '=';
    const bool quoted = field.text().find_first_of(" \"=") != std::string::npos || field.text().empty();
    line += quoted ? Json(printable(field.text())).dump(-1, ' ', false, Json::error_handler_t::replace)
                   : printable(field.text());
  }
  return line;
}

// The members that follow the time and level, which spdlog's pattern writes.
std::string render_json(std::string_view message, std::initializer_list<LogField> fields) {
  Json line;
  line["process"] = state().identity;
  line["message"] = message;
  for (const LogField& field : fields) {
    line[std::string(field.name())] = field.is_number() ? Json::parse(field.text()) : Json(field.text());
  }
  return line.dump(-1, ' ', false, Json::error_handler_t::replace).substr(1);
}

}  // namespace

void log_start(LogLevel level, LogFormat format) {
  LogState& current = state();
  current.format = format;
  current.logger = std::make_shared<spdlog::logger>("supervisor", std::make_shared<UnwaitingSink>());
  current.logger->set_level(spdlog_level(level));
  current.logger->flush_on(spdlog::level::trace);
  current.logger->set_pattern(format == LogFormat::kText ? "%Y-%m-%dT%H:%M:%S.%e%z %-7l %v"
                                                         : R"({"time":"%Y-%m-%dT%H:%M:%S.%e%z","level":"%l",%v)");
}

void log_identity(std::string_view identity) { state().identity = identity; }

void log(LogLevel level, std::string_view message, std::initializer_list<LogField> fields) {
  if (!state().logger) log_start(LogLevel::kInfo, LogFormat::kText);
  spdlog::logger& logger = *state().logger;
  const auto severity = spdlog_level(level);
  if (!logger.should_log(severity)) return;
  const std::string line =
      state().format == LogFormat::kText ? render_text(message, fields) : render_json(message, fields);
  logger.log(severity, spdlog::string_view_t(line.data(), line.size()));
}

}  // namespace common
