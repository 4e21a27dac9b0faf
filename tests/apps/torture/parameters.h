// Parameters: the query values of a route, checked. What is missing, malformed or out of range becomes a 400.
#pragma once

#include <charconv>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <supervisor/app.hpp>
#include <system_error>

namespace torture {

// Its text is the body of the 400.
struct BadParameter : std::runtime_error {
  using std::runtime_error::runtime_error;
};

inline std::string text_parameter(const supervisor::Request& request, std::string_view name) {
  const std::optional<std::string> value = request.query(name);
  if (!value || value->empty()) throw BadParameter("missing parameter: " + std::string(name));
  return *value;
}

// From `least` to `most`, both allowed.
inline std::uint64_t number_parameter(const supervisor::Request& request, std::string_view name, std::uint64_t least,
                                      std::uint64_t most) {
  const std::string text = text_parameter(request, name);
  std::uint64_t number = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || rest != text.data() + text.size() || number < least || number > most) {
    throw BadParameter(std::string(name) + "=" + text + ": must be a number from " + std::to_string(least) + " to " +
                       std::to_string(most));
  }
  return number;
}

}  // namespace torture
