// Journal: the door to systemd-journald, by its native protocol.
//
// A record is one datagram of named fields (systemd.io, "Native Journal Protocol"); one that is too large for a
// datagram travels as a sealed memfd. Written out, because libsystemd waits for the journal, and would be inherited by
// every application. Each record goes to the path anew, so a journal that was restarted is found again.
//
// The socket is close-on-exec, and under a number that applications do not need (common/high_fd.h). Whoever closes it
// does no harm: before each record fstat(2) tells whether the number still stands for it, else another is opened. So
// nothing is ever written into what somebody else has opened there.
//
// One thread. After fork() parent and child may both go on sending: the journal sees who sent.
#pragma once

#include <sys/stat.h>

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "common/result.h"
#include "common/unique_fd.h"

namespace common {

inline constexpr std::string_view kJournalPath = "/run/systemd/journal/socket";
inline constexpr std::size_t kJournalNameMax = 64;                // bytes of a field's name
inline constexpr std::size_t kJournalValueMax = 1024 * 1024;  // bytes of a field's value; what is past it is cut off

struct JournalField {
  std::string name;  // "MESSAGE": A-Z, 0-9 and '_', first a letter, at most kJournalNameMax
  std::string value;  // any bytes
};

// "SUPERVISOR_CLOSE_WAIT" for "close_wait": a valid name whatever it is given.
std::string journal_name(std::string_view name);

// UTF-8 without control characters except newline and tab, so that journalctl(1) shows it as text: what is not so
// becomes \xNN, or U+FFFD.
std::string journal_text(std::string_view raw);

// As it is sent. A field with an invalid name would cost the whole record: it is left out.
std::string encode_journal(std::span<const JournalField> fields);

// Whether `fd` is the stream that $JOURNAL_STREAM names ("DEVICE:INODE", systemd.exec(5)): not so when the output was
// redirected since.
bool is_journal_stream(std::string_view journal_stream, int fd);

// Whether a journal listens there. The error names the path, the reason and the fix.
Result<void> reach_journal(const std::string& path = std::string(kJournalPath));

class Journal {
 public:
  enum class Sent { kYes, kDropped };  // kDropped: it does not keep up, or is not there

  explicit Journal(std::string path = std::string(kJournalPath)) : path_(std::move(path)) {}
  ~Journal();
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  // Never waits.
  Sent send(std::span<const JournalField> fields);
  // Makes sure of the descriptor now instead of with the next record; silent if there is none to be had.
  void open();
  int descriptor() const { return socket_.get(); }  // -1 = none

 private:
  bool is_ours() const;
  Sent send_memory(std::string_view record);

  std::string path_;
  UniqueFd socket_;
  dev_t device_ = 0;  // of socket_
  ino_t inode_ = 0;
};

}  // namespace common
