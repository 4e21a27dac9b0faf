// The request that is being handled: conversion between the application's view of it and ours.
#include "worker/request_context.h"

#include <poll.h>

#include <string>

#include "common/http_response.h"
#include "common/log.h"

namespace {

constexpr int kStatusMin = 200;
constexpr int kStatusMax = 599;

supervisor_str to_str(std::string_view text) { return {text.data(), text.size()}; }
std::string_view to_view(supervisor_str text) { return {text.data, text.len}; }
bool is_sound(supervisor_str text) { return text.data != nullptr || text.len == 0; }

}  // namespace

void supervisor_request::begin(const common::Request& request, worker::Exchange& exchange) {
  request_ = &request;
  exchange_ = &exchange;
  answer_ = Answer::kOwed;
  info_state_ = Info::kStale;
}

const supervisor_request_info& supervisor_request::info() const {
  if (info_state_ == Info::kFilled) return info_;
  received_.clear();
  for (const std::span<const common::Field> fields : {request_->headers, request_->trailers}) {
    for (const common::Field& field : fields) received_.push_back({to_str(field.name), to_str(field.value)});
  }
  const supervisor_field* const first = received_.data();
  const std::size_t headers = request_->headers.size();
  info_ = {.size = sizeof info_,
           .method = to_str(request_->method),
           .target = to_str(request_->target),
           .version = to_str(request_->minor_version == 0 ? "1.0" : "1.1"),
           .headers = first,
           .headers_len = headers,
           .body = to_str(request_->body),
           .trailers = received_.empty() ? first : first + headers,
           .trailers_len = request_->trailers.size(),
           .peer = to_str(exchange_->peer()),
           .scheme = to_str("http")};
  info_state_ = Info::kFilled;
  return info_;
}

bool supervisor_request::respond(const supervisor_response& response) {
  if (const char* const fault = fault_of(response)) {
    std::string message = "answer of the application refused: ";
    common::log(common::LogLevel::kError, common::LogEvent::kAppHandlerFailed, message + fault,
                {{"target", request_->target}});
    return false;
  }
  answer_ = Answer::kTaken;
  exchange_->respond(response.status, to_send_, to_view(response.body));
  return true;
}

// Null when the response may be sent; to_send_ then holds its fields.
const char* supervisor_request::fault_of(const supervisor_response& response) {
  // Never grows: the size of version 1 is what every application knows at least.
  if (!SUPERVISOR_HAS(supervisor_response, &response, body)) return "supervisor_response.size is too small";
  if (answer_ == Answer::kTaken) return "the request has been answered already";
  if (response.status < kStatusMin || response.status > kStatusMax) return "the status is not between 200 and 599";
  if (!is_sound(response.body)) return "the body has a length and no address";
  return convert_fields(response);
}

const char* supervisor_request::convert_fields(const supervisor_response& response) {
  to_send_.clear();
  if (response.headers_len == 0) return nullptr;
  if (response.headers == nullptr) return "the headers have a length and no address";
  for (const supervisor_field& field : std::span(response.headers, response.headers_len)) {
    if (!is_sound(field.name) || !is_sound(field.value)) return "a header has a length and no address";
    if (!common::may_send_field(to_view(field.name), to_view(field.value))) {
      return "a header has an invalid name, contains CR, LF or NUL, or is one that the server sets itself";
    }
    to_send_.push_back({to_view(field.name), to_view(field.value)});
  }
  return nullptr;
}

bool supervisor_request::cancelled() const {
  if (exchange_->fd() < 0) return false;
  // POLLRDHUP: the client's FIN arrived, whether or not the ring has read up to it. It also means a client that only
  // closed its sending half; app.h says so.
  pollfd client = {.fd = exchange_->fd(), .events = POLLRDHUP, .revents = 0};
  return poll(&client, 1, 0) > 0 && (client.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}
