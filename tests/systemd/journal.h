// Journal: records of the container's journal, with all of their fields.
#pragma once

#include <iosfwd>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace systemd {

struct JournalRecord {
  std::map<std::string, std::string> fields;

  std::string field(const std::string& name) const;  // empty if it has none
  std::string message() const { return field("MESSAGE"); }
};
std::ostream& operator<<(std::ostream& out, const JournalRecord& record);
std::ostream& operator<<(std::ostream& out, const std::vector<JournalRecord>& records);

// The output of `journalctl -o json`: one object a line. A line that is none becomes a record of its own, so that it
// is seen in the test's complaint.
std::vector<JournalRecord> parse_journal(std::string_view lines);

}  // namespace systemd
