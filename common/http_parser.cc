// RequestParser: llhttp as the tokenizer of a RequestReader. The only file that knows llhttp.
#include "common/http_parser.h"

#include <llhttp.h>

#include <vector>

#include "common/http_request_reader.h"
#include "common/http_tokenizer.h"

namespace common {
namespace {

struct ErrorMeaning {
  llhttp_errno_t code;
  Refusal refusal;
};

constexpr ErrorMeaning kErrorMeanings[] = {
    // The line's syntax has been checked before: what llhttp still rejects in it is a method it does not know.
    {HPE_INVALID_METHOD, {501, "the method is not implemented"}},
    {HPE_INVALID_CONSTANT, {501, "the method is not implemented"}},
    {HPE_INVALID_URL, {400, "the request target is not valid"}},
    {HPE_INVALID_HEADER_TOKEN, {400, "a field contains a character that does not belong there"}},
    {HPE_LF_EXPECTED, {400, "a CR without LF"}},
    {HPE_INVALID_CONTENT_LENGTH, {400, "the Content-Length is not a number"}},
    {HPE_UNEXPECTED_CONTENT_LENGTH, {400, "Content-Length given twice, or beside Transfer-Encoding"}},
    {HPE_INVALID_TRANSFER_ENCODING, {400, "the last transfer coding of a request must be chunked"}},
    {HPE_INVALID_CHUNK_SIZE, {400, "a chunk's size is not a hexadecimal number"}},
};

Refusal meaning_of(llhttp_errno_t code) {
  for (const ErrorMeaning& meaning : kErrorMeanings) {
    if (meaning.code == code) return meaning.refusal;
  }
  return {400, "the request is malformed"};
}

class LlhttpTokenizer final : public HttpTokenizer {
 public:
  LlhttpTokenizer() = default;
  LlhttpTokenizer(const LlhttpTokenizer&) = delete;  // llhttp_t points back here
  LlhttpTokenizer& operator=(const LlhttpTokenizer&) = delete;

  void begin_message() override {
    llhttp_init(&llhttp_, HTTP_REQUEST, &kSettings);
    llhttp_.data = this;
  }

  std::expected<Unit, Refusal> take(std::string_view unit, std::vector<Field>& fields) override {
    completed_ = Completed::kNothing;
    fields_ = &fields;
    const llhttp_errno_t code = llhttp_execute(&llhttp_, unit.data(), unit.size());
    fields_ = nullptr;
    if (code != HPE_OK) return std::unexpected(meaning_of(code));
    return Unit{completed_, llhttp_.content_length};
  }

 private:
  static LlhttpTokenizer& self(llhttp_t* parser) { return *static_cast<LlhttpTokenizer*>(parser->data); }

  static int on_field_name(llhttp_t* parser, const char* at, std::size_t length) {
    const std::string_view name(at, length);
    self(parser).fields_->push_back({.name = name, .value = name.substr(length)});
    return 0;
  }

  static int on_field_value(llhttp_t* parser, const char* at, std::size_t length) {
    self(parser).fields_->back().value = without_surrounding_space({at, length});
    return 0;
  }

  static int on_headers_complete(llhttp_t* parser) {
    self(parser).completed_ = Completed::kHeaders;
    parser->upgrade = 0;  // RFC 9110 7.8: a server may ignore Upgrade, and then the request is like any other
    return 0;
  }

  static int on_chunk_header(llhttp_t* parser) {
    self(parser).completed_ = Completed::kChunkHeader;
    return 0;
  }

  static int on_message_complete(llhttp_t* parser) {
    self(parser).completed_ = Completed::kMessage;
    return 0;
  }

  static llhttp_settings_t make_settings() {
    llhttp_settings_t settings;
    llhttp_settings_init(&settings);
    settings.on_header_field = on_field_name;
    settings.on_header_value = on_field_value;
    settings.on_headers_complete = on_headers_complete;
    settings.on_chunk_header = on_chunk_header;
    settings.on_message_complete = on_message_complete;
    return settings;
  }

  static const llhttp_settings_t kSettings;

  Completed completed_ = Completed::kNothing;
  std::vector<Field>* fields_ = nullptr;  // only during take()
  llhttp_t llhttp_;
};

const llhttp_settings_t LlhttpTokenizer::kSettings = make_settings();

}  // namespace

struct RequestParser::State {
  explicit State(const RequestLimits& limits) : reader(limits, tokenizer) {}

  LlhttpTokenizer tokenizer;
  RequestReader reader;
};

RequestParser::RequestParser(const RequestLimits& limits) : state_(std::make_unique<State>(limits)) {}

RequestParser::~RequestParser() = default;

RequestParser::Outcome RequestParser::feed(std::string_view bytes) { return state_->reader.feed(bytes); }

void RequestParser::next() { state_->reader.next(); }

void RequestParser::reset() { state_->reader.reset(); }

const Request& RequestParser::request() const { return state_->reader.request(); }

const RequestParser::Refusal& RequestParser::refusal() const { return state_->reader.refusal(); }

bool RequestParser::begun() const { return state_->reader.begun(); }

}  // namespace common
