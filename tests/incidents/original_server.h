// OriginalServer: a server from Debian that one of the incidents happened to, on a free port of its own.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "child_process.h"
#include "support/captured_output.h"
#include "support/deadline.h"

namespace incidents {

// Whether Debian's Python can import it; a test that needs one that is missing has to be skipped in words.
bool has_python_module(const std::string& name);

class OriginalServer {
 public:
  // `arguments` for Debian's Python, in the directory tests/incidents/originals.
  explicit OriginalServer(std::vector<std::string> arguments, std::optional<std::uint64_t> open_files = {});

  // "127.0.0.1:PORT", as the server tells it in "Listening at: http://..."; empty if it does not until the deadline.
  std::string wait_address(support::Deadline deadline = support::Deadline(std::chrono::seconds(20)));
  bool wait_output(std::string_view text, support::Deadline deadline = support::Deadline());
  std::string output() { return output_.text(); }
  pid_t pid() const { return process_.pid(); }

 private:
  support::CapturedOutput output_;
  ChildProcess process_;
};

}  // namespace incidents
