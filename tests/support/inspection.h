// Inspection: the answer of torture's /inspect, which says how the application received a request.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/result.h"

namespace support {

struct Inspection {
  std::string method;
  std::string target;
  std::string version;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;  // decoded from base64
  std::vector<std::pair<std::string, std::string>> trailers;
  std::string peer;
  std::string scheme;
};

common::Result<Inspection> parse_inspection(std::string_view json);

}  // namespace support
