// Config value: checking, storing and writing the values of settings.
#include "common/config_value.h"

#include <algorithm>
#include <charconv>

#include "common/bind_target.h"
#include "common/format.h"
#include "common/units.h"

namespace common {
namespace {

using Assigned = std::expected<void, std::string>;

template <typename... Lambdas>
struct Overloaded : Lambdas... {
  using Lambdas::operator()...;
};

std::string or_off(Zero zero) {
  switch (zero) {
    case Zero::kRefused: return "";
    case Zero::kOff: return ", or 0 for off";
  }
  return "";
}

std::string join(std::span<const std::string_view> names) {
  std::string text;
  for (const std::string_view name : names) {
    if (!text.empty()) text += ", ";
    text += name;
  }
  return text;
}

std::string allowed(const DurationKind& kind) {
  return common::format("{} to {}{}", format_duration(kind.min), format_duration(kind.max), or_off(kind.zero));
}
std::string allowed(const SizeKind& kind) {
  return common::format("{} to {}{}", format_size(kind.min), format_size(kind.max), or_off(kind.zero));
}
std::string allowed(const CountKind& kind) {
  const std::string word = kind.zero_word.empty() ? "" : common::format(", or \"{}\"", kind.zero_word);
  return common::format("{} to {}{}{}", kind.min, kind.max, or_off(kind.zero), word);
}
std::string allowed(const RangeKind& kind) {
  return common::format("{} to {}, \"{}\", or a range of these such as \"2:8\"", kind.min, kind.max, kind.zero_word);
}
std::string allowed(const FractionKind&) { return "0 to 1"; }
std::string allowed(const SwitchKind&) { return "true or false"; }
std::string allowed(const ChoiceKind& kind) { return "one of " + join(kind.names); }
std::string allowed(const AddressesKind&) { return common::format("1 to {} addresses", kBindMax); }
std::string allowed(const PathKind& kind) { return common::format("a path of at most {} bytes", kind.bytes_max); }
std::string allowed(const AccountKind&) { return "a name or an id, or empty for none"; }
std::string allowed(const ModeKind&) { return "\"0000\" to \"0777\""; }
std::string allowed(const MaskKind&) { return allowed(ModeKind{}) + ", or empty for none"; }

std::string allowed_side(const RangeKind& kind) {
  return common::format("{} to {}, or {}", kind.min, kind.max, kind.zero_word);
}

template <typename Kind>
std::unexpected<std::string> out_of_range(const Kind& kind) {
  return std::unexpected("must be " + allowed(kind));
}

bool is_zero(const RawValue& value) {
  const auto* number = std::get_if<std::int64_t>(&value.data);
  return number != nullptr && *number == 0;
}

bool in_range(const auto& kind, auto value) {
  return (value >= kind.min && value <= kind.max) || (value == decltype(value){} && kind.zero == Zero::kOff);
}

Assigned assign_to(const DurationKind& kind, const RawValue& value, Config& config) {
  const auto* text = std::get_if<std::string>(&value.data);
  const auto* number = std::get_if<std::int64_t>(&value.data);
  if (text == nullptr && number == nullptr) return std::unexpected("must be a duration in quotes, for example \"5s\"");
  const auto duration = parse_duration(text != nullptr ? *text : std::to_string(*number));
  if (!duration) return std::unexpected(duration.error().message);
  if (!in_range(kind, *duration)) return out_of_range(kind);
  kind.at.set(config, *duration);
  return {};
}

Assigned assign_to(const SizeKind& kind, const RawValue& value, Config& config) {
  const auto* text = std::get_if<std::string>(&value.data);
  const auto* number = std::get_if<std::int64_t>(&value.data);
  if (text == nullptr && number == nullptr) return std::unexpected("must be a size in quotes, for example \"64KiB\"");
  const auto size = parse_size(text != nullptr ? *text : std::to_string(*number));
  if (!size) return std::unexpected(size.error().message);
  if (!in_range(kind, *size)) return out_of_range(kind);
  kind.at.set(config, *size);
  return {};
}

Assigned assign_to(const CountKind& kind, const RawValue& value, Config& config) {
  if (const auto* text = std::get_if<std::string>(&value.data)) {
    if (!kind.zero_word.empty() && *text == kind.zero_word) {
      kind.at.set(config, 0);
      return {};
    }
  }
  const auto* number = std::get_if<std::int64_t>(&value.data);
  if (number == nullptr) return std::unexpected("must be a whole number, " + allowed(kind));
  if (*number < 0 || !in_range(kind, static_cast<std::uint64_t>(*number))) return out_of_range(kind);
  kind.at.set(config, static_cast<std::uint64_t>(*number));
  return {};
}

// One side of a range; 0 = the zero word. Nothing: it is neither that nor a number in range.
std::optional<std::uint64_t> read_side(const RangeKind& kind, std::string_view text) {
  if (text == kind.zero_word) return 0;
  std::uint64_t number = 0;
  const auto [rest, error] = std::from_chars(std::to_address(text.begin()), std::to_address(text.end()), number);
  if (error != std::errc() || rest != std::to_address(text.end()) || number < kind.min || number > kind.max)
    return std::nullopt;
  return number;
}

Assigned assign_to(const RangeKind& kind, const RawValue& value, Config& config) {
  if (const auto* number = std::get_if<std::int64_t>(&value.data)) {
    if (*number < 0 || !read_side(kind, std::to_string(*number))) return out_of_range(kind);
    kind.at.set(config, static_cast<std::uint64_t>(*number));
    kind.at_high.set(config, std::nullopt);
    return {};
  }
  const auto* text = std::get_if<std::string>(&value.data);
  const std::size_t colon = text == nullptr ? std::string::npos : text->find(':');
  if (text != nullptr && *text == kind.zero_word) {
    kind.at.set(config, 0);
    kind.at_high.set(config, std::nullopt);
    return {};
  }
  if (colon == std::string::npos) return std::unexpected("must be a whole number, " + allowed(kind));
  const auto low = read_side(kind, std::string_view(*text).substr(0, colon));
  const auto high = read_side(kind, std::string_view(*text).substr(colon + 1));
  if (!low || !high) return std::unexpected("each side of the colon must be a number from " + allowed_side(kind));
  if (*low == 0 && *high == 0) {
    return std::unexpected(common::format("is not a range; write \"{}\" for that fixed number", kind.zero_word));
  }
  if (*low != 0 && *high != 0 && *low > *high)
    return std::unexpected("the first number must not exceed the second; swap them");
  kind.at.set(config, *low);
  kind.at_high.set(config, high);
  return {};
}

Assigned assign_to(const FractionKind& kind, const RawValue& value, Config& config) {
  double fraction = -1;
  if (const auto* number = std::get_if<double>(&value.data)) fraction = *number;
  if (const auto* number = std::get_if<std::int64_t>(&value.data)) fraction = static_cast<double>(*number);
  if (!(fraction >= 0 && fraction <= 1)) return std::unexpected("must be a number, " + allowed(kind));  // NaN too
  kind.at.set(config, fraction == 0 ? 0.0 : fraction);  // not -0.0
  return {};
}

Assigned assign_to(const SwitchKind& kind, const RawValue& value, Config& config) {
  const auto* on = std::get_if<bool>(&value.data);
  if (on == nullptr) return std::unexpected("must be " + allowed(kind) + ", without quotes");
  kind.at.set(config, *on);
  return {};
}

Assigned assign_to(const ChoiceKind& kind, const RawValue& value, Config& config) {
  const auto* name = std::get_if<std::string>(&value.data);
  if (name == nullptr) return std::unexpected("must be " + allowed(kind));
  const auto found = std::find(kind.names.begin(), kind.names.end(), *name);
  if (found == kind.names.end()) {
    const bool later = std::find(kind.later.begin(), kind.later.end(), *name) != kind.later.end();
    return std::unexpected(
        common::format("{}must be {}", later ? "not available in this version; " : "", allowed(kind)));
  }
  kind.at.set(config, static_cast<std::size_t>(found - kind.names.begin()));
  return {};
}

Assigned assign_to(const AddressesKind& kind, const RawValue& value, Config& config) {
  std::vector<std::string> addresses;
  if (const auto* list = std::get_if<std::vector<std::string>>(&value.data)) {
    addresses = *list;
  } else if (const auto* single = std::get_if<std::string>(&value.data)) {
    addresses = {*single};
  } else {
    return std::unexpected("must be a list of texts, for example [\"127.0.0.1:8000\"]");
  }
  if (addresses.empty() || addresses.size() > kBindMax) return out_of_range(kind);
  for (const std::string& text : addresses) {
    if (const auto target = parse_bind_target(text); !target) return std::unexpected(target.error().message);
  }
  kind.at.set(config, std::move(addresses));
  return {};
}

Assigned assign_to(const PathKind& kind, const RawValue& value, Config& config) {
  const auto* path = std::get_if<std::string>(&value.data);
  if (path == nullptr) return std::unexpected("must be a path in quotes");
  if (path->size() > kind.bytes_max) {
    return std::unexpected(common::format("has {} bytes, must be {}", path->size(), allowed(kind)));
  }
  if (path->find('\0') != path->npos) return std::unexpected("has a NUL byte; remove it");
  kind.at.set(config, *path);
  return {};
}

Assigned assign_to(const AccountKind& kind, const RawValue& value, Config& config) {
  const auto* text = std::get_if<std::string>(&value.data);
  const auto* number = std::get_if<std::int64_t>(&value.data);
  if (text == nullptr && (number == nullptr || *number < 0)) return std::unexpected("must be " + allowed(kind));
  const std::string account = text != nullptr ? *text : std::to_string(*number);
  if (account.size() > kind.bytes_max) {
    return std::unexpected(common::format("has {} bytes, must have at most {}", account.size(), kind.bytes_max));
  }
  // What cannot stand in passwd(5), or would break a message into two lines.
  const auto is_odd = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f || c == ':'; };
  if (std::ranges::any_of(account, is_odd)) return std::unexpected("has a character that no account has in its name");
  kind.at.set(config, account);
  return {};
}

std::expected<std::uint32_t, std::string> read_mode(const RawValue& value, const std::string& allowed_text) {
  const auto* text = std::get_if<std::string>(&value.data);
  if (text == nullptr) return std::unexpected("must be octal digits in quotes, for example \"0600\"");
  std::uint32_t mode = 0;
  const char* const end = text->data() + text->size();
  const auto [rest, error] = std::from_chars(text->data(), end, mode, 8);
  if (error != std::errc() || rest != end || mode > 0777) {
    return std::unexpected("must be octal digits, " + allowed_text);
  }
  return mode;
}

Assigned assign_to(const ModeKind& kind, const RawValue& value, Config& config) {
  const auto mode = read_mode(value, allowed(kind));
  if (!mode) return std::unexpected(mode.error());
  kind.at.set(config, *mode);
  return {};
}

Assigned assign_to(const MaskKind& kind, const RawValue& value, Config& config) {
  const auto* text = std::get_if<std::string>(&value.data);
  std::optional<std::uint32_t> mask;
  if (text == nullptr || !text->empty()) {
    const auto mode = read_mode(value, allowed(kind));
    if (!mode) return std::unexpected(mode.error());
    mask = *mode;
  }
  kind.at.set(config, mask);
  return {};
}

std::string render_list(const std::vector<std::string>& texts) {
  std::string result = "[";
  for (const std::string& text : texts) {
    if (result.size() > 1) result += ", ";
    result += quote_toml(text);
  }
  return result + "]";
}

bool is_bare_key(std::string_view part) {
  return !part.empty() && std::all_of(part.begin(), part.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  });
}

}  // namespace

Assigned assign(const Setting& setting, const RawValue& value, Config& config) {
  return std::visit(
      [&](const auto& kind) -> Assigned {
        if constexpr (requires { kind.zero; }) {
          if (is_zero(value) && kind.zero == Zero::kRefused) return out_of_range(kind);  // rather than "needs a unit"
        }
        return assign_to(kind, value, config);
      },
      setting.kind);
}

std::string render(const Setting& setting, const Config& config) {
  const auto renderer = Overloaded{
      [&](const DurationKind& kind) { return quote_toml(format_duration(kind.at.get(config))); },
      [&](const SizeKind& kind) { return quote_toml(format_size(kind.at.get(config))); },
      [&](const CountKind& kind) {
        const std::uint64_t count = kind.at.get(config);
        return count == 0 && !kind.zero_word.empty() ? quote_toml(kind.zero_word) : std::to_string(count);
      },
      [&](const RangeKind& kind) {
        const auto side = [&](std::uint64_t count) {
          return count == 0 ? std::string(kind.zero_word) : std::to_string(count);
        };
        const std::uint64_t low = kind.at.get(config);
        if (const auto high = kind.at_high.get(config)) return quote_toml(side(low) + ":" + side(*high));
        return low == 0 ? quote_toml(kind.zero_word) : std::to_string(low);
      },
      [&](const FractionKind& kind) {
        const std::string text = common::format("{}", kind.at.get(config));  // the shortest that reads back the same
        return text.find_first_of(".e") == text.npos ? text + ".0" : text;
      },
      [&](const SwitchKind& kind) { return std::string(kind.at.get(config) ? "true" : "false"); },
      [&](const ChoiceKind& kind) { return quote_toml(kind.names[kind.at.get(config)]); },
      [&](const AddressesKind& kind) { return render_list(kind.at.get(config)); },
      [&](const PathKind& kind) { return quote_toml(kind.at.get(config)); },
      [&](const AccountKind& kind) { return quote_toml(kind.at.get(config)); },
      [&](const ModeKind& kind) { return common::format("\"{:04o}\"", kind.at.get(config)); },
      [&](const MaskKind& kind) {
        const std::optional<std::uint32_t> mask = kind.at.get(config);
        return mask ? common::format("\"{:04o}\"", *mask) : std::string("\"\"");
      }};
  return std::visit(renderer, setting.kind);
}

std::string allowed_values(const Setting& setting) {
  return std::visit([](const auto& kind) { return allowed(kind); }, setting.kind);
}

std::string quote_toml(std::string_view text) {
  std::string result = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      result += '\\';
      result += c;
    } else if (c == '\n') {
      result += "\\n";
    } else if (c == '\t') {
      result += "\\t";
    } else if (byte < 0x20 || byte == 0x7f) {
      result += common::format("\\u{:04X}", byte);
    } else {
      result += c;
    }
  }
  return result + "\"";
}

std::string dotted_key(const std::vector<std::string>& path) {
  std::string text;
  for (const std::string& part : path) {
    if (!text.empty()) text += '.';
    text += is_bare_key(part) ? part : quote_toml(part);
  }
  return text;
}

}  // namespace common
