// LogRecord: one event of the log, and its three forms. Pure.
#pragma once

#include <concepts>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/config.h"
#include "common/journal.h"
#include "common/log_event.h"

namespace common {

// A named value of a record: numbers stay numbers in JSON.
class LogField {
 public:
  LogField(std::string_view name, std::string_view value) : name_(name), text_(value), number_(Number::kNo) {}
  LogField(std::string_view name, const char* value) : LogField(name, std::string_view(value)) {}
  LogField(std::string_view name, const std::string& value) : LogField(name, std::string_view(value)) {}
  LogField(std::string_view name, std::integral auto value)
      : name_(name), text_(std::to_string(value)), number_(Number::kYes) {}

  // Only for those who filter: a member of JSON and a field of the journal, but no word of the text.
  static LogField to_filter_by(std::string_view name, const auto& value) {
    LogField field(name, value);
    field.shown_ = Shown::kAsFieldOnly;
    return field;
  }
  // A list: `text` where a record is one line, and in the journal a line for each of `lines`.
  static LogField list(std::string_view name, std::string_view text, std::vector<std::string> lines) {
    LogField field(name, text);
    field.lines_ = std::move(lines);
    return field;
  }

  std::string_view name() const { return name_; }
  const std::string& text() const { return text_; }
  const std::vector<std::string>& lines() const { return lines_; }  // empty: it is no list, or one of nothing
  bool is_number() const { return number_ == Number::kYes; }
  bool is_text_too() const { return shown_ == Shown::kEverywhere; }

 private:
  enum class Number { kNo, kYes };
  enum class Shown { kEverywhere, kAsFieldOnly };
  std::string_view name_;
  std::string text_;
  std::vector<std::string> lines_{};
  Number number_;
  Shown shown_ = Shown::kEverywhere;
};

// kProgram: before there is a service, and for verbs that run none.
enum class ProcessKind { kProgram, kMaster, kTemplate, kWorker, kInspector };

// Who speaks.
struct LogIdentity {
  ProcessKind kind = ProcessKind::kProgram;
  std::optional<std::uint32_t> slot{};
  std::optional<std::uint32_t> generation{};
};

// "master", "template g1", "worker 0 g1"
std::string text_of(const LogIdentity& identity);

// Everything is borrowed.
struct LogRecord {
  LogLevel level = LogLevel::kInfo;
  LogEvent event = LogEvent::kStarting;
  std::string_view message;
  std::span<const LogField> fields{};
};

// Without time and level: "[master] worker ready slot=0 pid=7".
std::string text_of(const LogIdentity& identity, const LogRecord& record);
// The members that follow time and level, with the closing brace.
std::string json_members_of(const LogIdentity& identity, const LogRecord& record);
// MESSAGE can be read alone. What speaks of a slot or a generation of its own takes the place of the speaker's.
std::vector<JournalField> journal_fields_of(const LogIdentity& identity, const LogRecord& record);

}  // namespace common
