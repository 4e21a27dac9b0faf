// HttpTokenizer: llhttp's callbacks, and its errors in our words.
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
    {HPE_PAUSED_H2_UPGRADE, {501, "the method is not implemented"}},
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

HttpTokenizer* owner_of(llhttp_t* parser) { return static_cast<HttpTokenizer*>(parser->data); }

}  // namespace

int HttpTokenizer::on_field_name(llhttp_t* parser, const char* at, std::size_t length) {
  owner_of(parser)->fields_->push_back({{at, length}, {at + length, 0}});
  return 0;
}

int HttpTokenizer::on_field_value(llhttp_t* parser, const char* at, std::size_t length) {
  owner_of(parser)->fields_->back().value = without_surrounding_space({at, length});
  return 0;
}

int HttpTokenizer::on_headers_complete(llhttp_t* parser) {
  owner_of(parser)->reported_ = Reported::kHeadersComplete;
  parser->upgrade = 0;  // RFC 9110 7.8: a server may ignore Upgrade, and then the request is like any other
  return 0;
}

int HttpTokenizer::on_chunk_header(llhttp_t* parser) {
  owner_of(parser)->reported_ = Reported::kChunkHeader;
  return 0;
}

int HttpTokenizer::on_message_complete(llhttp_t* parser) {
  owner_of(parser)->reported_ = Reported::kMessageComplete;
  return 0;
}

const llhttp_settings_t& HttpTokenizer::settings() {
  static const llhttp_settings_t kSettings = [] {
    llhttp_settings_t settings;
    llhttp_settings_init(&settings);
    settings.on_header_field = on_field_name;
    settings.on_header_value = on_field_value;
    settings.on_headers_complete = on_headers_complete;
    settings.on_chunk_header = on_chunk_header;
    settings.on_message_complete = on_message_complete;
    return settings;
  }();
  return kSettings;
}

void HttpTokenizer::begin_message() {
  llhttp_init(&llhttp_, HTTP_REQUEST, &settings());
  llhttp_.data = this;
}

Verdict HttpTokenizer::take(std::string_view unit, std::vector<Field>& fields) {
  reported_ = Reported::kNothing;
  fields_ = &fields;
  const llhttp_errno_t code = llhttp_execute(&llhttp_, unit.data(), unit.size());
  fields_ = nullptr;
  if (code == HPE_OK) return {};
  return meaning_of(code);
}

}  // namespace common
