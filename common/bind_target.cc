// BindTarget: telling the three forms apart.
#include "common/bind_target.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>

#include "common/format.h"

namespace common {
namespace {

constexpr std::string_view kDescriptorPrefix = "fd://";
constexpr std::string_view kActivated = "systemd";
constexpr std::string_view kNamePrefix = "systemd:";
constexpr std::size_t kNameMax = 255;  // FDNAME_MAX of systemd

std::unexpected<Error> refuse(std::string_view text, std::string_view reason) {
  return fail(common::format("address \"{}\": {}", text, reason));
}

Result<BindTarget> parse_descriptor(std::string_view text) {
  const std::string_view digits = text.substr(kDescriptorPrefix.size());
  int fd = -1;
  const auto [rest, error] = std::from_chars(digits.data(), digits.data() + digits.size(), fd);
  if (digits.empty() || error != std::errc() || rest != digits.data() + digits.size() || fd <= STDERR_FILENO) {
    return refuse(text, "must be fd://N, where N is the number of an inherited socket, at least 3");
  }
  return PassedDescriptor{fd};
}

Result<BindTarget> parse_activated(std::string_view text) {
  const std::string_view name = text.substr(kNamePrefix.size());
  const bool is_plain = std::ranges::all_of(name, [](char c) { return c >= ' ' && c < 0x7f && c != ':'; });
  if (name.empty() || name.size() > kNameMax || !is_plain) {
    return refuse(text, "must be systemd:NAME with the FileDescriptorName= of a socket unit, or systemd for all");
  }
  return ActivatedSockets{std::string(name)};
}

}  // namespace

Result<BindTarget> parse_bind_target(std::string_view text) {
  if (text.starts_with(kDescriptorPrefix)) return parse_descriptor(text);
  if (text == kActivated) return ActivatedSockets{};
  if (text.starts_with(kNamePrefix)) return parse_activated(text);
  auto address = Address::parse(text);
  if (!address) return std::unexpected(address.error());
  return *address;
}

}  // namespace common
