// The log: where records go, and the one door to spdlog.
#include "common/log.h"

#include <poll.h>
#include <spdlog/details/null_mutex.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <climits>
#include <cstdint>
#include <memory>
#include <optional>

namespace common {
namespace {

// Standard error, but never waiting for it: when nobody reads the pipe, lines are dropped, counted, and the next line
// that gets through says how many. A master that waits for its log supervises nothing.
class UnwaitingSink final : public spdlog::sinks::base_sink<spdlog::details::null_mutex> {
 public:
  // OWNERSHIP: `dropped` outlives it.
  explicit UnwaitingSink(std::uint64_t& dropped) : dropped_(dropped) {}

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
  std::uint64_t& dropped_;
};

struct LogState {
  LogLevel level = LogLevel::kInfo;
  LogFormat format = LogFormat::kText;
  LogIdentity identity{};
  std::shared_ptr<spdlog::logger> logger;  // spdlog hands out nothing else
  std::optional<Journal> journal;          // with kJournal
  std::uint64_t dropped = 0;               // in whatever form, since it was last told
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

void to_standard_error(const LogState& current, const LogRecord& record) {
  const std::string line = current.format == LogFormat::kJson ? json_members_of(current.identity, record)
                                                              : text_of(current.identity, record);
  current.logger->log(spdlog_level(record.level), spdlog::string_view_t(line.data(), line.size()));
}

// What was lost comes before what was not.
void to_journal(LogState& current, const LogRecord& record) {
  if (current.dropped > 0) {
    const LogField count("dropped", current.dropped);
    const LogRecord note = {.level = LogLevel::kWarn,
                            .event = LogEvent::kLogDropped,
                            .message = "log records were dropped: the journal did not take them",
                            .fields = {&count, 1}};
    if (current.journal->send(journal_fields_of(current.identity, note)) == Journal::Sent::kDropped) {
      ++current.dropped;
      return;
    }
    current.dropped = 0;
  }
  if (current.journal->send(journal_fields_of(current.identity, record)) == Journal::Sent::kDropped) ++current.dropped;
}

}  // namespace

void log_start(LogLevel level, LogFormat format, const std::string& journal_path) {
  LogState& current = state();
  if (format != LogFormat::kJournal) {
    current.journal.reset();
  } else if (!current.journal) {
    current.journal.emplace(journal_path);
    current.journal->open();
  }
  current.level = level;
  current.format = format;
  current.logger = std::make_shared<spdlog::logger>("supervisor", std::make_shared<UnwaitingSink>(current.dropped));
  current.logger->set_level(spdlog_level(level));
  current.logger->flush_on(spdlog::level::trace);
  current.logger->set_pattern(format == LogFormat::kJson ? R"({"time":"%Y-%m-%dT%H:%M:%S.%e%z","level":"%l",%v)"
                                                         : "%Y-%m-%dT%H:%M:%S.%e%z %-7l %v");
}

void log_identity(const LogIdentity& identity) {
  state().identity = identity;
  state().dropped = 0;
}

void log_open() {
  if (state().journal) state().journal->open();
}

int log_descriptor() { return state().journal ? state().journal->descriptor() : -1; }

void log(const LogRecord& record) {
  LogState& current = state();
  if (!current.logger) log_start(LogLevel::kInfo, LogFormat::kText);
  if (record.level < current.level) return;
  if (current.journal) {
    to_journal(current, record);
  } else {
    to_standard_error(current, record);
  }
}

void log(LogLevel level, LogEvent event, std::string_view message, std::initializer_list<LogField> fields) {
  log({.level = level, .event = event, .message = message, .fields = {fields.begin(), fields.size()}});
}

}  // namespace common
