// HttpSession: parse, hand over, collect the answers.
#include "worker/http_session.h"

#include <utility>

namespace worker {
namespace {

void trim(std::string& buffer, std::size_t kept_capacity) {
  buffer.clear();
  if (buffer.capacity() > kept_capacity) buffer = std::string();
}

}  // namespace

HttpSession::HttpSession(SessionContext& context) : context_(context), parser_(context.limits) {}

void HttpSession::reset(int fd, std::uint64_t answered_before) {
  parser_.reset();
  trim(output_, kKeptCapacity);
  trim(sending_, kKeptCapacity);
  trim(held_, 0);
  phase_ = Phase::kBetween;
  answered_ = answered_before;
  received_ = 0;
  fd_ = fd;
}

void HttpSession::receive(std::string_view bytes) {
  received_ += bytes.size();
  if (phase_ == Phase::kOver) return;
  if (held_.empty()) return consume(bytes);
  held_.append(bytes);
}

void HttpSession::refuse(int status, std::string_view reason) {
  common::append_refusal(output_, status, reason, context_.date);
  phase_ = Phase::kOver;
}

bool HttpSession::take_output() {
  if (output_.empty() && !held_.empty()) consume(std::exchange(held_, {}));
  sending_.clear();
  std::swap(sending_, output_);
  if (!held_.empty()) consume(std::exchange(held_, {}));
  return !sending_.empty();
}

void HttpSession::consume(std::string_view bytes) {
  while (!bytes.empty()) {
    if (!wants_input()) {
      if (phase_ != Phase::kOver) held_.assign(bytes);
      return;
    }
    const auto outcome = parser_.feed(bytes);
    bytes.remove_prefix(outcome.consumed);
    switch (outcome.status) {
      case common::RequestParser::Status::kNeedMore: break;
      case common::RequestParser::Status::kHead:
        phase_ = Phase::kBody;
        // RFC 9110 10.1.1: not needed once the client began to send the body without waiting.
        if (parser_.request().expects_continue && bytes.empty()) output_ += common::kContinue;
        break;
      case common::RequestParser::Status::kMessage:
        phase_ = Phase::kBetween;
        answer(bytes.empty() ? Rest::kNone : Rest::kMore);
        parser_.next();
        break;
      case common::RequestParser::Status::kRefused: return refuse(parser_.refusal().status, parser_.refusal().reason);
    }
  }
  if (phase_ == Phase::kBetween && parser_.begun()) phase_ = Phase::kHead;
}

void HttpSession::answer(Rest rest) {
  const common::Request& request = parser_.request();
  ++answered_;
  rest_ = rest;
  answer_ = Answer::kOwed;
  context_.handler->handle(request, *this);
  if (answer_ == Answer::kOwed) respond(500, {}, "the application gave no answer\n");
  context_.handler->on_answered(request, *this, status_, body_bytes_);
  if (connection_ == common::ConnectionOption::kClose) phase_ = Phase::kOver;
}

bool HttpSession::is_last(const common::Request& request) const {
  if (!request.keep_alive) return true;
  if (context_.requests_per_connection != 0 && answered_ >= context_.requests_per_connection) return true;
  switch (context_.mode) {
    case ServingMode::kServing: return false;
    // A client that pipelines gets answers to all that it has sent, wherever that lies by now (RFC 9112 9.6 would
    // allow to drop it, and the client to wonder).
    case ServingMode::kDraining:
      return rest_ == Rest::kNone && (context_.input == nullptr || !context_.input->has_more(fd_));
    case ServingMode::kLastCall: return true;
  }
  return true;
}

bool HttpSession::respond(int status, std::span<const common::Field> fields, std::string_view body) {
  if (answer_ == Answer::kGiven) return false;
  answer_ = Answer::kGiven;
  status_ = status;
  body_bytes_ = body.size();
  const common::Request& request = parser_.request();
  // Not before now: much may have come while the handler was busy.
  connection_ = is_last(request)             ? common::ConnectionOption::kClose
                : request.minor_version == 0 ? common::ConnectionOption::kKeepAlive
                                             : common::ConnectionOption::kImplicit;
  common::append_response(output_, {.status = status, .fields = fields}, body,
                          request.is_head ? common::BodySending::kOmit : common::BodySending::kSend, connection_,
                          context_.date);
  return true;
}

}  // namespace worker
