// LogRecord: rendering.
#include "common/log_record.h"

#include <algorithm>

#include "common/json.h"

namespace common {
namespace {

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

// " slot=0 reason=\"no memory\""
void append_word(std::string& line, const LogField& field) {
  line += ' ';
  line += field.name();
  line += '=';
  const bool quoted = field.text().find_first_of(" \"=") != std::string::npos || field.text().empty();
  line += quoted ? Json(printable(field.text())).dump(-1, ' ', false, Json::error_handler_t::replace)
                 : printable(field.text());
}

std::string_view name_of(ProcessKind kind) {
  switch (kind) {
    case ProcessKind::kProgram: return "supervisor";
    case ProcessKind::kMaster: return "master";
    case ProcessKind::kTemplate: return "template";
    case ProcessKind::kWorker: return "worker";
    case ProcessKind::kInspector: return "inspector";
  }
  return "";
}

// syslog(3)
std::string_view priority_of(LogLevel level) {
  switch (level) {
    case LogLevel::kTrace:
    case LogLevel::kDebug: return "7";
    case LogLevel::kInfo: return "6";
    case LogLevel::kWarn: return "4";
    case LogLevel::kError: return "3";
  }
  return "6";
}

std::string joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += (text.empty() ? "" : "\n") + line;
  return text;
}

// What is one line elsewhere, and its lists below it.
std::string journal_message(const LogRecord& record) {
  std::string message(record.message);
  for (const LogField& field : record.fields) {
    if (field.is_text_too() && field.lines().empty()) append_word(message, field);
  }
  for (const LogField& field : record.fields) {
    if (field.lines().empty()) continue;
    message += '\n';
    message += field.name();
    message += ':';
    for (const std::string& line : field.lines()) message += "\n  " + line;
  }
  return message;
}

bool has_field(const LogRecord& record, std::string_view name) {
  return std::ranges::any_of(record.fields, [&](const LogField& field) { return field.name() == name; });
}

}  // namespace

std::string text_of(const LogIdentity& identity) {
  std::string text(name_of(identity.kind));
  if (identity.slot) text += ' ' + std::to_string(*identity.slot);
  if (identity.generation) text += " g" + std::to_string(*identity.generation);
  return text;
}

std::string text_of(const LogIdentity& identity, const LogRecord& record) {
  std::string line = "[" + text_of(identity) + "] " + printable(record.message);
  for (const LogField& field : record.fields) {
    if (field.is_text_too()) append_word(line, field);
  }
  return line;
}

std::string json_members_of(const LogIdentity& identity, const LogRecord& record) {
  Json line;
  line["process"] = text_of(identity);
  line["event"] = name_of(record.event);
  line["message"] = record.message;
  for (const LogField& field : record.fields) {
    line[std::string(field.name())] = field.is_number() ? Json::parse(field.text()) : Json(field.text());
  }
  return line.dump(-1, ' ', false, Json::error_handler_t::replace).substr(1);
}

std::vector<JournalField> journal_fields_of(const LogIdentity& identity, const LogRecord& record) {
  std::vector<JournalField> fields = {{"MESSAGE", journal_text(journal_message(record))},
                                      {"PRIORITY", std::string(priority_of(record.level))},
                                      {"SYSLOG_IDENTIFIER", "supervisor"},
                                      {"SUPERVISOR_PROCESS", std::string(name_of(identity.kind))},
                                      {"SUPERVISOR_EVENT", std::string(name_of(record.event))}};
  const auto add_own = [&](std::string_view name, const std::optional<std::uint32_t>& value) {
    if (value && !has_field(record, name)) fields.push_back({journal_name(name), std::to_string(*value)});
  };
  add_own("slot", identity.slot);
  add_own("generation", identity.generation);
  for (const LogField& field : record.fields) {
    fields.push_back(
        {journal_name(field.name()), journal_text(field.lines().empty() ? field.text() : joined(field.lines()))});
  }
  return fields;
}

}  // namespace common
