// The rules of RFC 9110 and RFC 9112 that llhttp leaves open: character classes, request line, fields, chunk lines.
#include "common/http_policy.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace common {
namespace {

enum CharClass : std::uint8_t {
  kTokenChar = 1,   // tchar
  kTargetChar = 2,  // what a request target may consist of: visible ASCII; a fragment is never sent, so no '#'
  kHostChar = 4,    // unreserved and sub-delims of a registered name or IPv4 address; '%' is checked apart
  kHexDigit = 8,
  kValueChar = 16,  // tab, space, visible ASCII and obs-text
};

constexpr std::array<std::uint8_t, 256> make_char_classes() {
  std::array<std::uint8_t, 256> classes{};
  const auto add = [&classes](std::string_view chars, CharClass which) {
    for (const char c : chars) classes[static_cast<unsigned char>(c)] |= which;
  };
  constexpr std::string_view kAlphanumeric = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
  add(kAlphanumeric, kTokenChar);
  add("!#$%&'*+-.^_`|~", kTokenChar);
  add(kAlphanumeric, kHostChar);
  add("-._~!$&'()*+,;=", kHostChar);
  add("0123456789abcdefABCDEF", kHexDigit);
  for (unsigned c = 0x21; c <= 0x7e; ++c) classes[c] |= kTargetChar;
  classes['#'] &= static_cast<std::uint8_t>(~kTargetChar);
  for (unsigned c = 0x20; c <= 0xff; ++c) classes[c] |= kValueChar;
  classes['\t'] |= kValueChar;
  classes[0x7f] &= static_cast<std::uint8_t>(~kValueChar);
  return classes;
}

constexpr std::array<std::uint8_t, 256> kCharClasses = make_char_classes();

bool is(CharClass which, char c) { return (kCharClasses[static_cast<unsigned char>(c)] & which) != 0; }

bool all(CharClass which, std::string_view text) {
  return std::ranges::all_of(text, [which](char c) { return is(which, c); });
}

std::unexpected<Refusal> refuse(int status, std::string_view reason) {
  return std::unexpected(Refusal{status, reason});
}

// The elements of a comma-separated list, empty ones left out (RFC 9110 5.6.1.2).
template <typename Visit>
void for_each_element(std::string_view list, Visit visit) {
  while (!list.empty()) {
    const std::size_t comma = std::min(list.find(','), list.size());
    const std::string_view element = without_surrounding_space(list.substr(0, comma));
    if (!element.empty()) visit(element);
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
}

bool is_port(std::string_view text) {
  if (text.empty()) return true;  // RFC 3986: "host:" is the default port
  unsigned port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  return error == std::errc() && end == text.data() + text.size() && port <= 65535;
}

bool is_registered_name(std::string_view text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (is(kHostChar, text[i])) continue;
    if (text[i] != '%' || text.size() - i < 3 || !all(kHexDigit, text.substr(i + 1, 2))) return false;
    i += 2;
  }
  return !text.empty();
}

bool is_ip_literal(std::string_view text) {  // between its brackets; an address of the future is spelt "v1.name"
  if (text.starts_with('v')) {
    const std::size_t dot = text.find('.');
    return dot != std::string_view::npos && dot > 1 && dot + 1 < text.size() &&
           all(kHexDigit, text.substr(1, dot - 1)) &&
           std::ranges::all_of(text.substr(dot + 1), [](char c) { return c == ':' || is(kHostChar, c); });
  }
  return std::ranges::count(text, ':') >= 2 &&
         std::ranges::all_of(text, [](char c) { return c == ':' || c == '.' || is(kHexDigit, c); });
}

// uri-host [ ":" port ], without user information.
bool is_authority(std::string_view text) {
  if (text.starts_with('[')) {
    const std::size_t bracket = text.find(']');
    if (bracket == std::string_view::npos || !is_ip_literal(text.substr(1, bracket - 1))) return false;
    const std::string_view rest = text.substr(bracket + 1);
    return rest.empty() || (rest.starts_with(':') && is_port(rest.substr(1)));
  }
  const std::size_t colon = std::min(text.find(':'), text.size());
  return is_registered_name(text.substr(0, colon)) && is_port(text.substr(std::min(colon + 1, text.size())));
}

Verdict check_absolute_form(std::string_view target) {
  for (const std::string_view scheme : {std::string_view("http://"), std::string_view("https://")}) {
    if (target.size() < scheme.size() || !equals_ignoring_case(target.substr(0, scheme.size()), scheme)) continue;
    const std::string_view rest = target.substr(scheme.size());
    if (is_authority(rest.substr(0, std::min(rest.find_first_of("/?"), rest.size())))) return {};
    return Refusal{400, "the host in the request target is not valid"};
  }
  return Refusal{400, "the request target must begin with / or http://"};
}

Verdict check_target(std::string_view method, std::string_view target) {
  if (!all(kTargetChar, target)) return Refusal{400, "the request target contains a character that must be encoded"};
  if (target.starts_with('/')) return {};
  if (target == "*") {
    if (method == "OPTIONS") return {};
    return Refusal{400, "the request target * is for OPTIONS only"};
  }
  return check_absolute_form(target);
}

// The fields that decide about a message, gathered while walking over all fields once.
struct FieldSummary {
  unsigned hosts = 0;
  std::string_view host;
  unsigned content_lengths = 0;
  std::string_view content_length;
  unsigned transfer_codings = 0;
  unsigned chunked_codings = 0;
  bool chunked_is_last = false;
  bool says_close = false;
  bool says_keep_alive = false;
  bool expects_continue = false;
  bool expects_other = false;
};

void note_transfer_encoding(FieldSummary& summary, std::string_view value) {
  for_each_element(value, [&summary](std::string_view coding) {
    ++summary.transfer_codings;
    summary.chunked_is_last = equals_ignoring_case(coding, "chunked");
    if (summary.chunked_is_last) ++summary.chunked_codings;
  });
  // "Transfer-Encoding:" with nothing in it still claims a coding: it must not fall through to another framing.
  if (summary.transfer_codings == 0) ++summary.transfer_codings;
}

void note_connection(FieldSummary& summary, std::string_view value) {
  for_each_element(value, [&summary](std::string_view option) {
    if (equals_ignoring_case(option, "close")) summary.says_close = true;
    if (equals_ignoring_case(option, "keep-alive")) summary.says_keep_alive = true;
  });
}

void note_expect(FieldSummary& summary, std::string_view value) {
  for_each_element(value, [&summary](std::string_view expectation) {
    (equals_ignoring_case(expectation, "100-continue") ? summary.expects_continue : summary.expects_other) = true;
  });
}

// Comparing lengths tells nearly all fields apart from the five that matter.
FieldSummary summarise(std::span<const Field> fields) {
  FieldSummary summary;
  for (const auto& [name, value] : fields) {
    if (equals_ignoring_case(name, "host")) {
      ++summary.hosts;
      summary.host = value;
    } else if (equals_ignoring_case(name, "content-length")) {
      ++summary.content_lengths;
      summary.content_length = value;
    } else if (equals_ignoring_case(name, "transfer-encoding")) {
      note_transfer_encoding(summary, value);
    } else if (equals_ignoring_case(name, "connection")) {
      note_connection(summary, value);
    } else if (equals_ignoring_case(name, "expect")) {
      note_expect(summary, value);
    }
  }
  return summary;
}

Verdict check_host(const FieldSummary& summary, unsigned minor_version) {
  if (summary.hosts > 1) return Refusal{400, "the request has more than one Host field"};
  if (summary.hosts == 0 && minor_version == 1) return Refusal{400, "an HTTP/1.1 request needs a Host field"};
  // An empty value is what RFC 9112 3.2 asks of clients whose target has no authority.
  if (!summary.host.empty() && !is_authority(summary.host)) return Refusal{400, "the Host field is not a valid host"};
  return {};
}

Verdict check_transfer_encoding(const FieldSummary& summary, unsigned minor_version) {
  if (minor_version == 0) return Refusal{400, "HTTP/1.0 has no Transfer-Encoding"};
  if (summary.content_lengths > 0) return Refusal{400, "Content-Length and Transfer-Encoding exclude each other"};
  if (!summary.chunked_is_last) return Refusal{400, "the last transfer coding of a request must be chunked"};
  if (summary.chunked_codings > 1) return Refusal{400, "a request is chunked only once"};
  if (summary.transfer_codings > 1) return Refusal{501, "no transfer coding but chunked is implemented"};
  return {};
}

}  // namespace

bool is_token(std::string_view text) { return !text.empty() && all(kTokenChar, text); }

std::string_view without_surrounding_space(std::string_view text) {
  const auto is_space = [](char c) { return c == ' ' || c == '\t'; };
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

Verdict check_first_byte(char byte) {
  if (is(kTokenChar, byte)) return {};
  // The record type of a TLS handshake. The next byte would make it certain, but may come in a later feed.
  if (byte == 0x16)
    return Refusal{400, "TLS bytes on a plain HTTP port: use http://, or let a TLS proxy stand before it"};
  return Refusal{400, "the request does not begin with a method"};
}

std::expected<RequestLine, Refusal> parse_request_line(std::string_view line) {
  const std::size_t method_end = line.find(' ');
  const std::size_t target_end = line.rfind(' ');
  if (!is_token(line.substr(0, method_end))) return refuse(400, "the method is not a token");
  if (method_end == target_end)
    return refuse(400, "the request line is not METHOD TARGET VERSION; HTTP/0.9 is not served");

  const std::string_view version = line.substr(target_end + 1);
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  if (version.size() != 8 || !version.starts_with("HTTP/") || !is_digit(version[5]) || version[6] != '.' ||
      !is_digit(version[7])) {
    return refuse(400, "the request line does not end in an HTTP version");
  }
  if (version[5] != '1' || version[7] > '1') return refuse(505, "only HTTP/1.0 and HTTP/1.1 are spoken here");

  const RequestLine parts{.method = line.substr(0, method_end),
                          .target = line.substr(method_end + 1, target_end - method_end - 1),
                          .minor_version = version[7] == '1' ? 1U : 0U};
  if (parts.method == "CONNECT") return refuse(501, "CONNECT is not implemented: this is not a proxy");
  if (const Verdict verdict = check_target(parts.method, parts.target)) return std::unexpected(*verdict);
  return parts;
}

Verdict check_field_line(std::string_view line) {
  if (!line.ends_with("\r\n")) return Refusal{400, "a line of the head ends in LF without CR"};
  if (line.front() == ' ' || line.front() == '\t') return Refusal{400, "a folded header line"};
  if (line.front() == ':') return Refusal{400, "a header field without a name"};
  return {};
}

std::expected<MessageFacts, Refusal> check_fields(std::span<const Field> fields, unsigned minor_version) {
  const FieldSummary summary = summarise(fields);
  MessageFacts facts;
  if (const Verdict verdict = check_host(summary, minor_version)) return std::unexpected(*verdict);

  if (summary.transfer_codings > 0) {
    if (const Verdict verdict = check_transfer_encoding(summary, minor_version)) return std::unexpected(*verdict);
    facts.framing = BodyFraming::kChunked;
  } else if (summary.content_lengths > 0) {
    if (summary.content_lengths > 1) return refuse(400, "the request has more than one Content-Length field");
    const std::string_view text = summary.content_length;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), facts.content_length);
    if (error != std::errc() || end != text.data() + text.size())
      return refuse(400, "the Content-Length is not a number");
    if (facts.content_length > 0) facts.framing = BodyFraming::kLength;
  }

  const bool persists = !summary.says_close && (minor_version == 1 || summary.says_keep_alive);
  facts.persistence = persists ? Persistence::kKeepAlive : Persistence::kClose;
  if (minor_version == 1) {  // RFC 9110 10.1.1: an expectation of an HTTP/1.0 client is ignored
    if (summary.expects_other) return refuse(417, "no expectation but 100-continue can be met");
    if (summary.expects_continue && facts.framing != BodyFraming::kNone) facts.expectation = Expectation::k100Continue;
  }
  return facts;
}

Verdict check_trailers(std::span<const Field> trailers) {
  for (const Field& field : trailers) {
    for (const std::string_view name : {"content-length", "transfer-encoding", "host"}) {
      if (equals_ignoring_case(field.name, name)) return Refusal{400, "a trailer field that belongs in the head"};
    }
  }
  return {};
}

std::expected<std::string_view, Refusal> parse_chunk_line(std::string_view line) {
  if (!line.ends_with("\r\n")) return refuse(400, "a chunk's size line ends in LF without CR");
  line.remove_suffix(2);
  const std::size_t digits_end =
      static_cast<std::size_t>(std::ranges::find_if_not(line, [](char c) { return is(kHexDigit, c); }) - line.begin());
  if (digits_end == 0) return refuse(400, "a chunk without a size");
  const std::string_view extensions = line.substr(digits_end);
  if (!extensions.empty() && extensions.front() != ';') {
    return refuse(400, "a chunk's size is not a hexadecimal number");
  }
  if (!all(kValueChar, extensions)) return refuse(400, "a chunk extension contains a control character");
  return line.substr(0, digits_end);
}

}  // namespace common
