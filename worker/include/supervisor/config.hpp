// supervisor/config.hpp: the [app] table of the configuration, by dotted key. Included by <supervisor/app.hpp>.
#pragma once

#include <supervisor/app.h>
#include <supervisor/log.hpp>

#include <charconv>
#include <concepts>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

namespace supervisor {

// Cheap to copy; usable from any thread for the life of the process.
//
//   [app]
//   greeting = "hello"
//   cache = { entries = 1000 }
//
//   config.get<std::string>("greeting")     // std::optional: "hello"
//   config.get("cache.entries", 64)         // with a default: 1000
class Config {
 public:
  explicit Config(const supervisor_host* host) : host_(host) {}

  // The text of a setting: a string without its quotes, anything else as TOML. It lives as long as the process.
  std::optional<std::string_view> text(std::string_view key) const {
    supervisor_str value{};
    if (host_->setting(to_str(key), &value) == 0) return std::nullopt;
    return to_view(value);
  }

  // T: std::string, bool, an integer or a floating-point type. std::nullopt: not set. Throws std::runtime_error naming
  // key and value when the value is no T or does not fit; uncaught in load() that refuses the start with this text.
  template <typename T>
  std::optional<T> get(std::string_view key) const {
    const std::optional<std::string_view> found = text(key);
    if (!found) return std::nullopt;
    return parse<T>(key, *found);
  }
  template <typename T>
  T get(std::string_view key, T fallback) const {
    return get<T>(key).value_or(std::move(fallback));
  }
  std::string get(std::string_view key, const char* fallback) const { return get<std::string>(key).value_or(fallback); }

  // The whole table as TOML, for a parser of the application's own. Lives as long as the process.
  std::string_view toml() const { return to_view(host_->settings_toml()); }

 private:
  template <typename T>
  static T parse(std::string_view key, std::string_view value) {
    if constexpr (std::same_as<T, std::string>) {
      return std::string(value);
    } else if constexpr (std::same_as<T, bool>) {
      if (value == "true") return true;
      if (value == "false") return false;
      refuse(key, value, "true or false");
    } else {
      static_assert(std::integral<T> || std::floating_point<T>, "std::string, bool, integer or floating-point only");
      T number{};
      const char* const first = value.data() + (value.starts_with('+') ? 1 : 0);
      const char* const end = value.data() + value.size();
      const auto [rest, error] = std::from_chars(first, end, number);
      if (error == std::errc::result_out_of_range) refuse(key, value, "a number in the range the application expects");
      if (error != std::errc() || rest != end) refuse(key, value, std::integral<T> ? "an integer" : "a number");
      return number;
    }
  }
  [[noreturn]] static void refuse(std::string_view key, std::string_view value, std::string_view wanted) {
    throw std::runtime_error("app." + std::string(key) + " = " + std::string(value) + ": must be " +
                             std::string(wanted));
  }

  const supervisor_host* host_;
};

}  // namespace supervisor
