// RequestTarget: the path and the query of a request to the control socket, with their escapes undone.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace master {

struct RequestTarget {
  std::string path;                          // begins with '/'
  std::map<std::string, std::string> query;  // a key without '=' has an empty value

  // "/recycle?slot=1" -> {"/recycle", {{"slot", "1"}}}. Nothing if it is not a path, if an escape is broken or hides a
  // NUL, or if a key comes twice: an order is carried out only if there is one way to read it. Pure.
  static std::optional<RequestTarget> parse(std::string_view text);
};

}  // namespace master
