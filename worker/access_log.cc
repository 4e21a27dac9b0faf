// AccessLog: the two line formats.
#include "worker/access_log.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>

#include "common/http_policy.h"
#include "common/json.h"

namespace worker {
namespace {

std::string_view find(const common::Request& request, std::string_view name) {
  for (const common::Field& field : request.headers) {
    if (common::equals_ignoring_case(field.name, name)) return field.value;
  }
  return "-";
}

// As Apache writes it: what a client sends must not break the line or the quotes.
void append_escaped(std::string& out, std::string_view text) {
  static constexpr char kHex[] = "0123456789abcdef";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += {'\\', c};
    } else if (byte < 0x20 || byte >= 0x7f) {
      out += {'\\', 'x', kHex[byte >> 4], kHex[byte & 15]};
    } else {
      out += c;
    }
  }
}

std::string formatted_time(std::time_t now, const char* format) {
  tm parts{};
  localtime_r(&now, &parts);
  char text[64];
  return {text, std::strftime(text, sizeof text, format, &parts)};
}

std::string_view host_of(std::string_view peer) {
  const auto colon = peer.rfind(':');
  return colon == std::string_view::npos || peer == "unix:" ? peer : peer.substr(0, colon);
}

}  // namespace

void AccessLog::add(const common::Request& request, std::string_view peer, int status, std::size_t body_bytes,
                    std::time_t now) {
  switch (format_) {
    case common::AccessLog::kOff: return;
    case common::AccessLog::kCombined: return add_combined(request, peer, status, body_bytes, now);
    case common::AccessLog::kJson: return add_json(request, peer, status, body_bytes, now);
  }
}

void AccessLog::add_combined(const common::Request& request, std::string_view peer, int status, std::size_t body_bytes,
                             std::time_t now) {
  lines_ += host_of(peer);
  lines_ += " - - [" + formatted_time(now, "%d/%b/%Y:%H:%M:%S %z") + "] \"";
  append_escaped(lines_, request.method);
  lines_ += ' ';
  append_escaped(lines_, request.target);
  lines_ += " HTTP/1." + std::to_string(request.minor_version) + "\" " + std::to_string(status) + " " +
            std::to_string(body_bytes) + " \"";
  append_escaped(lines_, find(request, "Referer"));
  lines_ += "\" \"";
  append_escaped(lines_, find(request, "User-Agent"));
  lines_ += "\"\n";
}

void AccessLog::add_json(const common::Request& request, std::string_view peer, int status, std::size_t body_bytes,
                         std::time_t now) {
  common::Json line;
  line["time"] = formatted_time(now, "%Y-%m-%dT%H:%M:%S%z");
  line["peer"] = peer;
  line["method"] = request.method;
  line["target"] = request.target;
  line["version"] = "1." + std::to_string(request.minor_version);
  line["status"] = status;
  line["body_bytes"] = body_bytes;
  line["referer"] = find(request, "Referer");
  line["user_agent"] = find(request, "User-Agent");
  lines_ += line.dump(-1, ' ', false, common::Json::error_handler_t::replace);
  lines_ += '\n';
}

void AccessLog::flush(int fd) {
  std::string_view rest = lines_;
  while (!rest.empty()) {
    // Standard output is shared with other processes, so it is not made non-blocking: ask whether it takes a pipe's
    // atomic unit (pipe(7): POLLOUT promises PIPE_BUF bytes).
    pollfd ready{.fd = fd, .events = POLLOUT, .revents = 0};
    if (poll(&ready, 1, 0) <= 0 || (ready.revents & POLLOUT) == 0) break;
    // Whole lines, as many as one atomic write takes: other workers write there, too.
    std::size_t length = std::min<std::size_t>(rest.size(), PIPE_BUF);
    if (const auto end = rest.rfind('\n', length - 1); end != std::string_view::npos) length = end + 1;
    const ssize_t written = write(fd, rest.data(), length);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) break;
    rest.remove_prefix(static_cast<std::size_t>(written));
  }
  dropped_ += rest.size();
  lines_.clear();
}

}  // namespace worker
