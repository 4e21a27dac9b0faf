// CrashHistory: the last workers that crashed or were killed in the middle of a request. Pure.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "common/json.h"
#include "master/worker_id.h"

namespace master {

// "" = there is nothing to say.
struct CrashReport {
  std::chrono::system_clock::time_point at{};  // wall time, for people
  std::string_view what = "worker crashed";  // of the log line; a literal
  SlotIndex slot = 0;
  pid_t pid = 0;
  std::uint32_t generation = 0;
  std::string end;      // "killed by SIGSEGV (core dumped)"
  std::string cause;    // of the worker's own record: "SIGSEGV (SEGV_MAPERR) at address 0x40"
  pid_t thread = 0;     // that crashed, unless it was the main thread
  std::string request;  // in hand: "GET /crash?how=segv"
  std::string suspect;  // suspicion_text()
  common::Json stack = common::Json::array();  // of texts, innermost first
};

class CrashHistory {
 public:
  static constexpr std::size_t kEntriesMax = 16;  // one more, and the oldest is forgotten
  static constexpr std::size_t kFramesMax = 32;   // of a stack, which is kept for long and is part of every `status`
  static constexpr std::size_t kTextMax = 400;    // bytes of a frame

  void add(const CrashReport& report);
  void resume(const common::Json& earlier);  // instead of all there is: what to_json() said

  // Newest first: [{"at": "2026-11-21T07:30:00Z", "slot", "pid", "generation", "what", "end", "cause", "thread",
  //   "request", "suspect", "stack": [...]}]; null where there is nothing to say.
  common::Json to_json() const;

 private:
  std::deque<common::Json> entries_;  // newest first
};

// Frames that follow each other and are the same (a function that calls itself) as one, with their number behind it.
// What is no text is left out; the rest is bounded as above.
std::vector<std::string> shown_frames(const common::Json& stack);

inline constexpr std::size_t kStackTextMax = 2400;  // bytes in a log line, which has PIPE_BUF (4096) for all of it

// "torture.so!crash+0x4c (crash.cc:17) < ... and 12 more": at most kStackTextMax bytes. "none" without a frame.
std::string stack_text(const common::Json& stack);

}  // namespace master
