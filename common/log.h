// The log: one record per event, as a line of text or JSON on standard error, or natively to the journal.
//
// The one mutable global beside what signal handlers and the C interface need. One thread per process logs; after
// fork() a child keeps the settings and calls log_identity() to say who it is. A line is one write(2), so lines of
// several processes do not mix (pipe(7): up to PIPE_BUF bytes are atomic). Logging never waits: what a full pipe or a
// full journal does not take is dropped and counted, and the next record that gets through is preceded by the count.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

#include "common/config.h"
#include "common/journal.h"
#include "common/log_event.h"
#include "common/log_record.h"

namespace common {

// Whether there is a journal is for the caller to ask first (reach_journal()): without one, records are dropped.
void log_start(LogLevel level, LogFormat format, const std::string& journal_path = std::string(kJournalPath));

// Who speaks, on every later record of this process. What its parent could not tell is the parent's to tell.
void log_identity(const LogIdentity& identity);

// Opens what the log needs beside standard error, if it has been closed: for a child that has just closed what it
// inherited, so that its own descriptor is there before those of others.
void log_open();
// The descriptor beside standard error, or -1. The log's own: it closes it, and may open another.
int log_descriptor();

void log(const LogRecord& record);
void log(LogLevel level, LogEvent event, std::string_view message, std::initializer_list<LogField> fields = {});

}  // namespace common
