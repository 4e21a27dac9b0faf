// The request as JSON: rendering.
#include "inspect.h"

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace torture {
namespace {

void append_string(std::string& out, std::string_view text) {
  constexpr std::string_view kHex = "0123456789abcdef";
  out += '"';
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20 || byte >= 0x7f) {
      out += "\\u00";
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    } else {
      out += c;
    }
  }
  out += '"';
}

void append_base64(std::string& out, std::string_view bytes) {
  constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  out += '"';
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::string_view group = bytes.substr(i, 3);
    std::uint32_t bits = 0;
    for (std::size_t k = 0; k < 3; ++k) {
      bits = bits << 8 | (k < group.size() ? static_cast<unsigned char>(group[k]) : 0U);
    }
    for (std::size_t k = 0; k < 4; ++k) out += k <= group.size() ? kAlphabet[bits >> (18 - 6 * k) & 63] : '=';
  }
  out += '"';
}

void append_fields(std::string& out, const supervisor::Fields& fields) {
  out += '[';
  bool first = true;
  for (const supervisor::Field field : fields) {
    if (!first) out += ',';
    first = false;
    out += '[';
    append_string(out, field.name);
    out += ',';
    append_string(out, field.value);
    out += ']';
  }
  out += ']';
}

}  // namespace

std::string inspect(const supervisor::Request& request) {
  std::string out = "{\"method\":";
  append_string(out, request.method());
  out += ",\"target\":";
  append_string(out, request.target());
  out += ",\"version\":";
  append_string(out, request.version());
  out += ",\"headers\":";
  append_fields(out, request.headers());
  out += ",\"body\":";
  append_base64(out, request.body());
  out += ",\"trailers\":";
  append_fields(out, request.trailers());
  out += ",\"peer\":";
  append_string(out, request.peer());
  out += ",\"scheme\":";
  append_string(out, request.scheme());
  out += "}\n";
  return out;
}

}  // namespace torture
