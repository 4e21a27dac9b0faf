// Client: connect, write, read, and write down what came of it.
#include "client.h"

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <stdexcept>
#include <utility>

#include "answer_format.h"

namespace lifecycle {
namespace {

using common::Clock;
using support::BodyRule;
using support::Deadline;
using support::HttpClient;
using support::HttpRead;
using support::ReadOutcome;

constexpr common::Duration kAnswerTimeout = std::chrono::seconds(20);
constexpr common::Duration kRefusedPause = std::chrono::milliseconds(5);  // a server that refuses is not hammered
constexpr std::size_t kRemarksMax = 5;
constexpr int kRoundsAfterStop = 50;  // to send again what was not accepted
constexpr std::size_t kSlowReads = 12;
constexpr int kSmallWindow = 16'384;  // bytes
constexpr unsigned kSilentShare = 4;  // one in so many connections of kConnectAndWait never asks for anything

std::uint16_t port_of(int fd) {
  sockaddr_in address = {};
  socklen_t length = sizeof address;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) != 0 || address.sin_family != AF_INET) return 0;
  return ntohs(address.sin_port);
}

// A client that is slow of its own accord; what it waits for is nothing.
void dawdle(common::Duration span) {
  if (span > common::Duration::zero()) ::poll(nullptr, 0, static_cast<int>(common::ceil_milliseconds(span)));
}

enum class Line { kQuiet, kBytes, kEnded, kReset };

Line look_at_line(int fd, common::Duration wait) {
  pollfd entry{.fd = fd, .events = POLLIN, .revents = 0};
  if (::poll(&entry, 1, static_cast<int>(common::ceil_milliseconds(wait))) <= 0) return Line::kQuiet;
  char byte = 0;
  const ssize_t count = ::recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  if (count == 0) return Line::kEnded;
  return count > 0 ? Line::kBytes : Line::kReset;
}

Ending ending_of(const HttpRead& read, bool has_begun) {
  switch (read.outcome) {
    case ReadOutcome::kEnd: return has_begun ? Ending::kTruncated : Ending::kUnanswered;
    case ReadOutcome::kReset: return Ending::kReset;
    case ReadOutcome::kTimeout: return Ending::kTimedOut;
    case ReadOutcome::kAnswer:
    case ReadOutcome::kMalformed: break;
  }
  return Ending::kWrong;
}

}  // namespace

void StopSignal::set() {
  {
    const std::lock_guard lock(mutex_);
    is_set_ = true;
  }
  changed_.notify_all();
}

bool StopSignal::wait_for(common::Duration span) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, span, [this] { return is_set_.load(); });
}

Client::Client(ClientOptions options, StopSignal& stop)
    : options_(std::move(options)), manner_(manner_of(options_.kind)), stop_(stop), random_(options_.number) {}

void Client::run() {
  for (int rounds = 0; !stop_.is_set() || (!again_.empty() && rounds < kRoundsAfterStop);) {
    if (stop_.is_set()) ++rounds;
    if (!connection_ && !connect()) {
      stop_.wait_for(kRefusedPause);
      continue;
    }
    exchange();
    stop_.wait_for(random_up_to(manner_.pause_max));
  }
  connection_.reset();
}

bool Client::connect() {
  const common::TimePoint before = Clock::now();
  common::Result<HttpClient> client = HttpClient::connect(options_.address, Deadline(kAnswerTimeout));
  if (!client) {
    const Attempt attempt = attempt_of(next_id(), before);
    note(attempt, client.error().errnum == ETIMEDOUT ? Ending::kTimedOut : Ending::kRefused, client.error().message);
    return false;
  }
  const std::uint16_t port = port_of(client->fd());
  connection_.emplace(std::move(*client), before, before, port, 0);
  if (options_.kind == Kind::kSlowReader) connection_->client.limit_receive_buffer(kSmallWindow);
  if (options_.kind == Kind::kConnectAndWait) stay_silent();
  return connection_.has_value();
}

void Client::stay_silent() {
  const int fd = connection_->client.fd();
  if (random_() % kSilentShare != 0) {
    look_at_line(fd, random_up_to(options_.silence_max));
    return;
  }
  // Longer than any grace: sooner or later the server of a drained worker closes, and that costs nobody anything.
  if (look_at_line(fd, 4 * options_.silence_max) != Line::kQuiet) {
    const std::uint32_t id = next_id();
    if (is_usable(id)) again_.push_back(id);
  }
  connection_.reset();
}

bool Client::is_usable(std::uint32_t id) {
  Attempt attempt = attempt_of(id, connection_->silent_since);
  switch (look_at_line(connection_->client.fd(), common::Duration::zero())) {
    case Line::kQuiet: return true;
    case Line::kEnded: note_again(attempt, Ending::kNotSent); break;
    case Line::kBytes: note(attempt, Ending::kSurplus); break;
    case Line::kReset: note(attempt, Ending::kReset, "reset while nothing was in flight"); break;
  }
  if (attempts_.back().ending == Ending::kSurplus) again_.push_back(id);
  connection_.reset();
  return false;
}

void Client::exchange() {
  std::vector<Exchange> batch;
  while (batch.size() < manner_.requests_in_flight) {
    const std::uint32_t id = next_id();
    if (batch.empty() && !is_usable(id)) return;
    const bool asks_to_close = manner_.stay == Manner::Stay::kOneRequest && id / kClientsMax % 2 == 0;
    batch.push_back(make_exchange(id, manner_, asks_to_close ? Wish::kClose : Wish::kStay, random_));
  }
  const common::TimePoint sent = Clock::now();
  const Deadline deadline(kAnswerTimeout);
  if (batch.size() == 1) {
    send(batch.front(), deadline);
  } else {
    std::string bytes;
    for (const Exchange& one : batch) {
      for (const std::string& piece : one.pieces) bytes += piece;
    }
    connection_->client.send(bytes, deadline);
  }
  for (std::size_t index = 0; index < batch.size(); ++index) {
    if (judge(read(deadline), batch, index, sent) == After::kConnectionOver) return connection_.reset();
  }
  connection_->silent_since = Clock::now();
  if (manner_.stay == Manner::Stay::kOneRequest) connection_.reset();
}

// A failure shows when reading: there may be answers to take before it.
void Client::send(const Exchange& exchange, const Deadline& deadline) {
  for (const std::string& piece : exchange.pieces) {
    if (!connection_->client.send(piece, deadline)) return;
    if (&piece != &exchange.pieces.back()) dawdle(random_up_to(manner_.piece_pause_max));
  }
}

HttpRead Client::read(const Deadline& deadline) {
  for (std::size_t round = 0; manner_.read_bytes > 0 && round < kSlowReads; ++round) {
    dawdle(random_up_to(manner_.piece_pause_max));
    // Once an answer may be whole there is no more to wait for but what read() waits for.
    if (look_at_line(connection_->client.fd(), common::Duration::zero()) != Line::kBytes) break;
    connection_->client.receive(manner_.read_bytes, deadline);
  }
  return connection_->client.read(BodyRule::kPresent, deadline);
}

Client::After Client::judge(const HttpRead& read, const std::vector<Exchange>& batch, std::size_t index,
                            common::TimePoint sent) {
  if (read.outcome == ReadOutcome::kAnswer) {
    return judge_answer(read.response, batch, index, attempt_of(batch[index].id, sent));
  }
  // All that was sent behind a lost one is lost with it.
  const bool has_begun = read.response.status != 0 || connection_->client.has_unread();
  for (std::size_t lost = index; lost < batch.size(); ++lost) {
    const Ending ending = ending_of(read, has_begun && lost == index);
    note(attempt_of(batch[lost].id, sent), ending, std::to_string(lost) + " answers before it in its batch");
  }
  return After::kConnectionOver;
}

Client::After Client::judge_answer(const support::HttpResponse& response, const std::vector<Exchange>& batch,
                                   std::size_t index, Attempt attempt) {
  attempt.last = response.closes() ? Last::kYes : Last::kNo;
  const std::expected<Origin, std::string> origin = check_answer(batch[index], response);
  if (response.status == 503) {
    note(attempt, Ending::kTurnedAway, response.body);
  } else if (!origin) {
    note(attempt, Ending::kWrong, origin.error());
  } else if (connection_->server != 0 && connection_->server != origin->pid) {
    note(attempt, Ending::kWrong, "worker " + std::to_string(origin->pid) + " on another's connection");
  } else {
    connection_->server = origin->pid;
    attempt.server = origin->pid;
    attempt.letter = origin->letter;
    attempt.generation = origin->generation;
    note(attempt, Ending::kAnswered);
    ++answered_;
  }
  if (attempt.last == Last::kNo) return After::kGoOn;
  for (std::size_t rest = index + 1; rest < batch.size(); ++rest) {
    note_again(attempt_of(batch[rest].id, attempt.sent), Ending::kNotAccepted);
  }
  finish(attempt, Deadline(kAnswerTimeout));
  return After::kConnectionOver;
}

// After the last answer of a connection there is an end, and nothing before it.
void Client::finish(Attempt attempt, const Deadline& deadline) {
  const HttpRead rest = connection_->client.read_to_end(deadline);
  if (!rest.response.body.empty()) {
    note(attempt, Ending::kSurplus, "behind the last answer: " + rest.response.body.substr(0, 100));
  } else if (rest.outcome != ReadOutcome::kEnd) {
    note(attempt, rest.outcome == ReadOutcome::kReset ? Ending::kReset : Ending::kTimedOut, "behind the last answer");
  }
}

std::uint32_t Client::next_id() {
  if (!again_.empty()) {
    const std::uint32_t id = again_.front();
    again_.pop_front();
    return id;
  }
  const std::uint32_t id = sequence_++ * kClientsMax + options_.number;
  if (id >= ledger::kIdsMax) throw std::length_error("a client has used up its ids");
  return id;
}

Attempt Client::attempt_of(std::uint32_t id, common::TimePoint sent) const {
  Attempt attempt;
  attempt.id = id;
  attempt.kind = options_.kind;
  attempt.sent = sent;
  attempt.connected = sent;
  if (connection_) {
    attempt.connected = connection_->connected;
    attempt.port = connection_->port;
    attempt.server = connection_->server;
  }
  return attempt;
}

void Client::note(Attempt attempt, Ending ending, const std::string& remark) {
  attempt.ended = Clock::now();
  attempt.ending = ending;
  attempts_.push_back(attempt);
  if (remark.empty() || remarks_.size() >= kRemarksMax) return;
  remarks_.push_back("request " + std::to_string(attempt.id) + ", " + name_of(options_.kind) + ", " + name_of(ending) +
                     ": " + remark);
}

void Client::note_again(const Attempt& attempt, Ending ending) {
  note(attempt, ending);
  again_.push_back(attempt.id);
}

common::Duration Client::random_up_to(common::Duration most) {
  if (most <= common::Duration::zero()) return most;
  return common::Duration(std::uniform_int_distribution<common::Duration::rep>(0, most.count())(random_));
}

}  // namespace lifecycle
