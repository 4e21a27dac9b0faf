// Responses on the wire: status lines, dates, and one growth of the buffer per response.
#include "common/http_response.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <limits>
#include <optional>

#include "common/check.h"
#include "common/http_policy.h"

namespace common {
namespace {

constexpr std::string_view kVersion = "HTTP/1.1 ";
constexpr std::string_view kLength = "Content-Length: ";
constexpr std::string_view kClose = "Connection: close\r\n";
constexpr std::string_view kKeepAlive = "Connection: keep-alive\r\n";
constexpr std::string_view kLineEnd = "\r\n";
constexpr std::string_view kColon = ": ";

constexpr std::string_view kSetByServer[] = {"connection", "content-length", "date", "server", "transfer-encoding"};

constexpr std::size_t kStatusDigits = 3;
constexpr std::size_t kSizeDigitsMax = std::numeric_limits<std::size_t>::digits10 + 1;

struct Phrase {
  int status;
  std::string_view text;
};

constexpr Phrase kPhrases[] = {
    {100, "Continue"},
    {101, "Switching Protocols"},
    {102, "Processing"},
    {103, "Early Hints"},
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {203, "Non-Authoritative Information"},
    {204, "No Content"},
    {205, "Reset Content"},
    {206, "Partial Content"},
    {207, "Multi-Status"},
    {208, "Already Reported"},
    {226, "IM Used"},
    {300, "Multiple Choices"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {305, "Use Proxy"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {402, "Payment Required"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {407, "Proxy Authentication Required"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {416, "Range Not Satisfiable"},
    {417, "Expectation Failed"},
    {421, "Misdirected Request"},
    {422, "Unprocessable Content"},
    {423, "Locked"},
    {424, "Failed Dependency"},
    {425, "Too Early"},
    {426, "Upgrade Required"},
    {428, "Precondition Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {451, "Unavailable For Legal Reasons"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
    {506, "Variant Also Negotiates"},
    {507, "Insufficient Storage"},
    {508, "Loop Detected"},
    {511, "Network Authentication Required"},
};

constexpr int kStatusMin = 100;
constexpr int kStatusMax = 599;

constexpr std::array<std::string_view, kStatusMax - kStatusMin + 1> kPhraseByStatus = [] {
  std::array<std::string_view, kStatusMax - kStatusMin + 1> phrases{};
  for (const Phrase& phrase : kPhrases) phrases[static_cast<std::size_t>(phrase.status - kStatusMin)] = phrase.text;
  return phrases;
}();

// Writes into memory that was measured before: unlike append, without a check per piece.
class Writer {
 public:
  explicit Writer(char* at) : at_(at) {}
  char* at() const { return at_; }
  void put(std::string_view text) {
    if (text.empty()) return;  // memcpy(3) wants a valid pointer even for no bytes
    std::memcpy(at_, text.data(), text.size());
    at_ += text.size();
  }
  void put_number(std::size_t number) { at_ = std::to_chars(at_, at_ + kSizeDigitsMax, number).ptr; }

 private:
  char* at_;
};

void put_digits(char* at, int number, int digits) {
  for (int i = digits - 1; i >= 0; --i, number /= 10) at[i] = static_cast<char>('0' + number % 10);
}

std::string_view connection_line(ConnectionOption connection) {
  switch (connection) {
    case ConnectionOption::kImplicit: return {};
    case ConnectionOption::kClose: return kClose;
    case ConnectionOption::kKeepAlive: return kKeepAlive;
  }
  return {};
}

enum class Content { kAllowed, kEmpty, kForbidden, kNotModified };

Content content_of(int status) {
  if (status < 200 || status == 204) return Content::kForbidden;
  if (status == 205) return Content::kEmpty;
  if (status == 304) return Content::kNotModified;
  return Content::kAllowed;
}

// The body as this status allows it to be sent, and the length to announce, if any.
struct Payload {
  std::string_view body;
  std::optional<std::size_t> length;
};

Payload payload_of(int status, std::string_view body, BodySending sending) {
  switch (content_of(status)) {
    case Content::kAllowed: return {sending == BodySending::kSend ? body : std::string_view(), body.size()};
    case Content::kEmpty: return {{}, 0};
    case Content::kForbidden: return {{}, {}};
    case Content::kNotModified: return {{}, body.empty() ? std::nullopt : std::optional(body.size())};
  }
  return {{}, {}};
}

bool is_set_by_server(std::string_view name) {
  return std::ranges::any_of(kSetByServer, [name](std::string_view own) { return equals_ignoring_case(name, own); });
}

}  // namespace

// RFC 9110 5.6.7, by hand: strftime(3) would translate the names of days and months.
void DateCache::render(std::time_t now) {
  constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  std::tm parts{};
  CHECK(gmtime_r(&now, &parts) != nullptr);

  std::ranges::copy(kBeforeDate, lines_.begin());
  char* const date = lines_.data() + kDateAt;
  std::memcpy(date, "Day, 00 Mon 0000 00:00:00 GMT\r\n", kDateBytes + 2);
  std::memcpy(date, kDays[parts.tm_wday], 3);
  put_digits(date + 5, parts.tm_mday, 2);
  std::memcpy(date + 8, kMonths[parts.tm_mon], 3);
  put_digits(date + 12, parts.tm_year + 1900, 4);
  put_digits(date + 17, parts.tm_hour, 2);
  put_digits(date + 20, parts.tm_min, 2);
  put_digits(date + 23, parts.tm_sec, 2);
  second_ = now;
}

void append_response(std::string& out, const ResponseHead& head, std::string_view body, BodySending sending,
                     ConnectionOption connection, const DateCache& date) {
  CHECK(head.status >= kStatusMin && head.status <= kStatusMax);
  const Payload payload = payload_of(head.status, body, sending);
  const std::string_view phrase = reason_phrase(head.status);
  const std::string_view connection_text = connection_line(connection);

  std::size_t bytes_max = kVersion.size() + kStatusDigits + 1 + phrase.size() + kLineEnd.size() + date.fields().size() +
                          kLength.size() + kSizeDigitsMax + kLineEnd.size() + connection_text.size() + kLineEnd.size() +
                          payload.body.size();
  for (const Field& field : head.fields) {
    bytes_max += field.name.size() + kColon.size() + field.value.size() + kLineEnd.size();
  }

  const std::size_t before = out.size();
  out.resize_and_overwrite(before + bytes_max, [&](char* buffer, std::size_t) {
    Writer writer(buffer + before);
    writer.put(kVersion);
    writer.put_number(static_cast<std::size_t>(head.status));
    writer.put(" ");  // stays even before an empty phrase (RFC 9112 4)
    writer.put(phrase);
    writer.put(kLineEnd);
    writer.put(date.fields());
    if (payload.length) {
      writer.put(kLength);
      writer.put_number(*payload.length);
      writer.put(kLineEnd);
    }
    for (const Field& field : head.fields) {
      writer.put(field.name);
      writer.put(kColon);
      writer.put(field.value);
      writer.put(kLineEnd);
    }
    writer.put(connection_text);
    writer.put(kLineEnd);
    writer.put(payload.body);
    return static_cast<std::size_t>(writer.at() - buffer);
  });
}

void append_refusal(std::string& out, int status, std::string_view reason, const DateCache& date) {
  static constexpr Field kFields[] = {{"Content-Type", "text/plain; charset=utf-8"}};
  std::string body(reason);
  body += '\n';
  append_response(out, {.status = status, .fields = kFields}, body, BodySending::kSend, ConnectionOption::kClose, date);
}

bool may_send_field(std::string_view name, std::string_view value) {
  const auto breaks_line = [](char c) { return c == '\r' || c == '\n' || c == '\0'; };
  return is_token(name) && std::ranges::none_of(value, breaks_line) && !is_set_by_server(name);
}

std::string_view reason_phrase(int status) {
  if (status < kStatusMin || status > kStatusMax) return {};
  return kPhraseByStatus[static_cast<std::size_t>(status - kStatusMin)];
}

}  // namespace common
