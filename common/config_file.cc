// Config file: reading TOML.
#include "common/config_file.h"

#include <fcntl.h>
#include <toml++/toml.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <sstream>

#include "common/format.h"
#include "common/unique_fd.h"

namespace common {
namespace {

struct TomlMistake {
  std::uint32_t line;
  std::string reason;
};

std::string text_of(const toml::node& node) {
  if (const auto* text = node.as_string()) return quote_toml(text->get());
  std::ostringstream stream;
  stream << toml::toml_formatter{node};
  return stream.str();
}

RawValue raw_value(const toml::node& node) {
  RawValue value{OtherValue{}, text_of(node)};
  if (const auto* text = node.as_string()) value.data = text->get();
  if (const auto* number = node.as_integer()) value.data = number->get();
  if (const auto* number = node.as_floating_point()) value.data = number->get();
  if (const auto* on = node.as_boolean()) value.data = on->get();
  if (const auto* array = node.as_array()) {
    std::vector<std::string> texts;
    for (const toml::node& element : *array) {
      const auto* text = element.as_string();
      if (text == nullptr) return value;
      texts.push_back(text->get());
    }
    value.data = std::move(texts);
  }
  return value;
}

// As deep as toml++ lets tables nest (256).
void flatten(const toml::table& table, std::vector<std::string>& path, std::uint32_t section_line,
             Assignments& result) {
  for (const auto& [key, node] : table) {
    const auto line = static_cast<std::uint32_t>(key.source().begin.line);
    if (path.empty()) section_line = line;
    path.emplace_back(key.str());
    const toml::table* inner = node.as_table();
    if (inner != nullptr && !inner->empty()) {
      flatten(*inner, path, section_line, result);
    } else {
      RawValue value = inner != nullptr ? RawValue{OtherValue{}, "{}"} : raw_value(node);
      result.push_back({path, std::move(value), line, section_line});
    }
    path.pop_back();
  }
}

std::expected<Assignments, TomlMistake> parse(std::string_view text) {
  try {
    const toml::table table = toml::parse(text);
    Assignments result;
    std::vector<std::string> path;
    flatten(table, path, 0, result);
    std::stable_sort(result.begin(), result.end(),
                     [](const Assignment& a, const Assignment& b) { return a.line < b.line; });
    return result;
  } catch (const toml::parse_error& error) {
    std::string reason(error.description());
    std::replace(reason.begin(), reason.end(), '\n', ' ');
    return std::unexpected(TomlMistake{static_cast<std::uint32_t>(error.source().begin.line), std::move(reason)});
  }
}

// One byte more than allowed, so that the caller can tell.
Result<std::string> read_at_most(int fd, std::size_t bytes_max, const std::string& path) {
  std::string text(bytes_max + 1, '\0');
  std::size_t size = 0;
  while (size < text.size()) {
    const ssize_t count = ::read(fd, text.data() + size, text.size() - size);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail_errno(path + ": cannot read the configuration file", errno);
    if (count == 0) break;
    size += static_cast<std::size_t>(count);
  }
  text.resize(size);
  return text;
}

std::string fix_of(int errnum) {
  if (errnum != EACCES) return "";
  return common::format("; make it, and the directories above it, readable for uid {}", geteuid());
}

}  // namespace

Result<Assignments> read_config_file(const std::string& path) {
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) {
    const int errnum = errno;
    return fail(path + ": cannot open the configuration file: " + errno_text(errnum) + fix_of(errnum), errnum);
  }
  const auto text = read_at_most(file.get(), kConfigFileMax, path);
  if (!text) return std::unexpected(text.error());
  if (text->size() > kConfigFileMax) {
    return fail(common::format("{}: larger than {} bytes; is this the configuration file?", path, kConfigFileMax));
  }
  return parse_config_text(*text, path);
}

Result<Assignments> parse_config_text(std::string_view text, std::string_view name) {
  auto parsed = parse(text);
  if (!parsed)
    return fail(common::format("{}:{}: not valid TOML: {}", name, parsed.error().line, parsed.error().reason));
  return std::move(*parsed);
}

Result<Assignments> parse_set(std::string_view key, std::string_view value) {
  for (const std::string& written : {std::string(value), quote_toml(value)}) {
    auto parsed = parse(common::format("{} = {}\n", key, written));
    if (parsed && !parsed->empty()) return std::move(*parsed);
  }
  if (parse(common::format("{} = 0\n", key))) return fail("the value is not UTF-8 text; TOML holds nothing else");
  return fail(common::format("\"{}\" is not a key; write section.name=value", key));
}

}  // namespace common
