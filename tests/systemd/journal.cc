// Journal: journalctl's JSON, in which a value is a string, or bytes as numbers, or a list when a field comes twice.
#include "journal.h"

#include <ostream>
#include <sstream>

#include "common/json.h"

namespace systemd {
namespace {

using common::Json;

std::string text_of(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (!value.is_array()) return value.dump();
  std::string text;
  for (const Json& part : value) {
    if (part.is_number_integer()) {
      text.push_back(static_cast<char>(part.get<int>()));
    } else {
      text += (text.empty() ? "" : "\n") + text_of(part);
    }
  }
  return text;
}

}  // namespace

std::string JournalRecord::field(const std::string& name) const {
  const auto found = fields.find(name);
  return found == fields.end() ? "" : found->second;
}

std::ostream& operator<<(std::ostream& out, const JournalRecord& record) {
  out << record.message();
  for (const auto& [name, value] : record.fields) {
    if (name.starts_with("SUPERVISOR_") || name == "PRIORITY") out << " " << name << "=" << value;
  }
  return out;
}

std::ostream& operator<<(std::ostream& out, const std::vector<JournalRecord>& records) {
  for (const JournalRecord& record : records) out << record << "\n";
  return out;
}

std::vector<JournalRecord> parse_journal(std::string_view lines) {
  std::vector<JournalRecord> records;
  std::istringstream stream{std::string(lines)};
  for (std::string line; std::getline(stream, line);) {
    const Json json = Json::parse(line, nullptr, false);
    JournalRecord record;
    if (json.is_object()) {
      for (const auto& [name, value] : json.items()) record.fields[name] = text_of(value);
    } else {
      record.fields["MESSAGE"] = line;
    }
    records.push_back(record);
  }
  return records;
}

}  // namespace systemd
