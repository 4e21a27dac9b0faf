// supervisor/request.hpp: one HTTP request, as handle() sees it. Included by <supervisor/app.hpp>.
#pragma once

#include <supervisor/app.h>
#include <supervisor/log.hpp>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace supervisor {

// A received header or trailer field.
struct Field {
  std::string_view name;
  std::string_view value;
};

// The fields of a message in the order received; a range of Field.
class Fields {
 public:
  class Iterator {
   public:
    explicit Iterator(const supervisor_field* at) : at_(at) {}
    Field operator*() const { return {to_view(at_->name), to_view(at_->value)}; }
    Iterator& operator++() {
      ++at_;
      return *this;
    }
    bool operator==(const Iterator&) const = default;

   private:
    const supervisor_field* at_;
  };

  Fields(const supervisor_field* first, std::size_t size) : first_(first), size_(size) {}
  Iterator begin() const { return Iterator(first_); }
  Iterator end() const { return Iterator(first_ + size_); }
  std::size_t size() const { return size_; }
  Field operator[](std::size_t index) const { return *Iterator(first_ + index); }

  // The value of the first field of that name, whatever the case of either.
  std::optional<std::string_view> find(std::string_view name) const {
    for (const Field field : *this) {
      if (same_name(field.name, name)) return field.value;
    }
    return std::nullopt;
  }

 private:
  static char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }
  static bool same_name(std::string_view left, std::string_view right) {
    if (left.size() != right.size()) return false;
    for (std::size_t i = 0; i < left.size(); ++i) {
      if (lower(left[i]) != lower(right[i])) return false;
    }
    return true;
  }

  const supervisor_field* first_;
  std::size_t size_;
};

// OWNERSHIP: the request and every view it hands out are valid until handle() returns. THREAD: that of handle().
// A handler that asks nothing of its request pays nothing for it.
class Request {
 public:
  Request(const supervisor_host* host, supervisor_request* raw) : host_(host), raw_(raw) {}
  Request(const Request&) = delete;
  Request& operator=(const Request&) = delete;

  std::string_view method() const { return to_view(info().method); }
  std::string_view target() const { return to_view(info().target); }    // as sent, nothing decoded
  std::string_view version() const { return to_view(info().version); }  // "1.0" or "1.1"
  Fields headers() const { return {info().headers, info().headers_len}; }
  std::optional<std::string_view> header(std::string_view name) const { return headers().find(name); }
  std::string_view body() const { return to_view(info().body); }
  Fields trailers() const { return {info().trailers, info().trailers_len}; }
  std::string_view peer() const { return to_view(info().peer); }  // "192.0.2.7:51234", "[2001:db8::1]:443", "unix:"
  std::string_view scheme() const { return to_view(info().scheme); }

  // The path of the target, still percent-encoded (decoding first would make %2F a separator): "/a%20b" of "/a%20b?c".
  std::string_view path() const {
    std::string_view rest = target();
    rest = rest.substr(0, rest.find('?'));
    if (const std::size_t authority = rest.find("://"); !rest.starts_with('/') && authority != rest.npos) {
      const std::size_t slash = rest.find('/', authority + 3);
      return slash == rest.npos ? std::string_view("/") : rest.substr(slash);
    }
    return rest;
  }

  // The first query parameter of that name, with %XX and + decoded: "b c" for a in "/?a=b%20c"; "" when it has no "=".
  std::optional<std::string> query(std::string_view name) const {
    const std::size_t mark = target().find('?');
    if (mark == std::string_view::npos) return std::nullopt;
    std::string_view rest = target().substr(mark + 1);
    while (!rest.empty()) {
      const std::string_view pair = rest.substr(0, rest.find('&'));
      rest.remove_prefix(pair.size() == rest.size() ? pair.size() : pair.size() + 1);
      const std::size_t equals = pair.find('=');
      if (decode(pair.substr(0, equals)) != name) continue;
      return equals == pair.npos ? std::string() : decode(pair.substr(equals + 1));
    }
    return std::nullopt;
  }

  // True once the client has gone. Costs a system call: ask between steps of long work.
  bool cancelled() const { return host_->cancelled(raw_) != 0; }

 private:
  const supervisor_request_info& info() const {
    if (info_ == nullptr) info_ = host_->request_info(raw_);
    return *info_;
  }
  static int hex_value(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
  }
  // A % that no two hex digits follow stays as it is.
  static std::string decode(std::string_view text) {
    std::string result;
    result.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
      const bool escape = text[i] == '%' && i + 2 < text.size();
      if (escape && hex_value(text[i + 1]) >= 0 && hex_value(text[i + 2]) >= 0) {
        result += static_cast<char>(hex_value(text[i + 1]) * 16 + hex_value(text[i + 2]));
        i += 2;
      } else {
        result += text[i] == '+' ? ' ' : text[i];
      }
    }
    return result;
  }

  const supervisor_host* host_;
  supervisor_request* raw_;
  mutable const supervisor_request_info* info_ = nullptr;
};

}  // namespace supervisor
