// StoredName: five fields between commas.
#include "master/stored_name.h"

#include <array>
#include <charconv>
#include <cstdint>
#include <vector>

#include "common/format.h"
#include "master/stable_hash.h"

namespace master {
namespace {

constexpr std::string_view kMark = "listen";
constexpr std::size_t kTextMax = 72;  // two of them, the mark, a slot and a file are less than 255 characters

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (true) {
    const std::size_t end = text.find(separator);
    parts.push_back(text.substr(0, end));
    if (end == text.npos) return parts;
    text.remove_prefix(end + 1);
  }
}

template <typename Number>
bool read_number(std::string_view text, Number& number) {
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return !text.empty() && error == std::errc() && rest == text.data() + text.size();
}

std::optional<common::OwnedPath> parse_file(std::string_view text) {
  const auto parts = split(text, '.');
  common::OwnedPath file;
  if (parts.size() != 4 || !read_number(parts[0], file.device) || !read_number(parts[1], file.inode) ||
      !read_number(parts[2], file.made.tv_sec) || !read_number(parts[3], file.made.tv_nsec)) {
    return std::nullopt;
  }
  return file;
}

}  // namespace

std::string encode_text(std::string_view text) {
  std::string result;
  for (const char c : text) {
    const bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                          std::string_view("./@[]_-").find(c) != std::string_view::npos;
    if (is_plain) {
      result += c;
    } else if (c == ':') {
      result += '=';
    } else {
      result += common::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return result.size() <= kTextMax ? result : common::format("#{:016x}", stable_hash(text));
}

std::string format_stored_name(SlotIndex slot, const common::Address& bound, std::string_view asked,
                               const std::optional<common::OwnedPath>& file) {
  const std::string address = bound.text();
  std::string name = common::format("{},{},{},{},", kMark, slot, encode_text(address),
                                    asked == address ? std::string() : encode_text(asked));
  if (file) {
    name += common::format("{}.{}.{}.{}", file->device, file->inode, file->made.tv_sec, file->made.tv_nsec);
  }
  return name;
}

std::optional<StoredName> parse_stored_name(std::string_view name) {
  const auto parts = split(name, ',');
  StoredName result;
  if (parts.size() != 5 || parts[0] != kMark || parts[2].empty() || !read_number(parts[1], result.slot)) {
    return std::nullopt;
  }
  result.address = parts[2];
  result.asked = parts[3].empty() ? parts[2] : parts[3];
  if (parts[4].empty()) return result;
  result.file = parse_file(parts[4]);
  if (!result.file) return std::nullopt;
  return result;
}

}  // namespace master
