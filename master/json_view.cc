// JsonView: members, text and its length.
#include "master/json_view.h"

#include <algorithm>

#include "common/utf8.h"

namespace master {

using common::Json;

const Json& member(const Json& from, std::initializer_list<std::string_view> path) {
  static const Json kNothing;
  const Json* current = &from;
  for (const std::string_view name : path) {
    if (!current->is_object()) return kNothing;
    const auto found = current->find(std::string(name));
    if (found == current->end()) return kNothing;
    current = &*found;
  }
  return *current;
}

std::string plain(const Json& value) {
  if (value.is_null()) return "-";
  if (!value.is_string()) return value.dump(-1, ' ', false, Json::error_handler_t::replace);
  std::string text = value.get<std::string>();
  std::replace_if(
      text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, '?');
  return text;
}

std::string shortened(std::string_view text, std::size_t bytes) {
  if (text.size() <= bytes) return std::string(text);
  return std::string(common::cut_utf8(text, bytes - 3)) + "...";
}

}  // namespace master
