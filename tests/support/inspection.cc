// Inspection: from JSON.
#include "support/inspection.h"

#include "common/json.h"

namespace support {
namespace {

std::string decode_base64(std::string_view text) {
  constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string bytes;
  std::uint32_t bits = 0;
  int count = 0;
  for (const char letter : text) {
    const std::size_t value = kAlphabet.find(letter);
    if (value == std::string_view::npos) break;  // the padding
    bits = (bits << 6) | static_cast<std::uint32_t>(value);
    count += 6;
    if (count < 8) continue;
    count -= 8;
    bytes.push_back(static_cast<char>((bits >> count) & 0xFF));
  }
  return bytes;
}

std::vector<std::pair<std::string, std::string>> parse_fields(const common::Json& fields) {
  std::vector<std::pair<std::string, std::string>> result;
  for (const common::Json& field : fields) result.emplace_back(field.at(0), field.at(1));
  return result;
}

}  // namespace

common::Result<Inspection> parse_inspection(std::string_view json) {
  try {
    const common::Json document = common::Json::parse(json);
    Inspection result;
    result.method = document.at("method");
    result.target = document.at("target");
    result.version = document.at("version");
    result.headers = parse_fields(document.at("headers"));
    result.body = decode_base64(document.at("body").get<std::string>());
    result.trailers = parse_fields(document.at("trailers"));
    result.peer = document.at("peer");
    result.scheme = document.at("scheme");
    return result;
  } catch (const common::Json::exception& error) {
    return common::fail("/inspect answered something else: " + std::string(error.what()) + ": " + std::string(json));
  }
}

}  // namespace support
