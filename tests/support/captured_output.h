// CapturedOutput: everything a process and its children write to one pipe, collected by a thread as it comes.
#pragma once

#include <mutex>
#include <string>
#include <thread>

#include "common/unique_fd.h"

namespace support {

class CapturedOutput {
 public:
  CapturedOutput();
  ~CapturedOutput();
  CapturedOutput(const CapturedOutput&) = delete;
  CapturedOutput& operator=(const CapturedOutput&) = delete;

  // The end to write to; close it here once the child has it, or the end of the output is never seen.
  int write_fd() const { return write_end_.get(); }
  void close_write_end() { write_end_.reset(); }

  // All that was written until now: also what the thread has not yet come to read.
  std::string text();

 private:
  enum class Pipe { kOpen, kEnded };
  void collect();
  Pipe drain();

  common::UniqueFd read_end_;
  common::UniqueFd write_end_;
  common::UniqueFd stop_event_;
  std::mutex mutex_;
  std::string text_;  // guarded by mutex_, as is reading
  std::thread thread_;
};

}  // namespace support
