// LoadGenerator: the clients' loop and the judgement of each outcome.
#include "support/load_generator.h"

#include <ostream>

namespace support {
namespace {

constexpr std::size_t kPipelineDepth = 16;
constexpr std::size_t kExamplesMax = 5;

std::string source_of(const std::string& address, unsigned thread) {
  // Loopback addresses of their own: one has only some 28,000 ephemeral ports, and closed ones rest for a minute.
  return address.starts_with("127.") ? "127.0.1." + std::to_string(thread % 250 + 2) + ":0" : "";
}

}  // namespace

class LoadGenerator::Client {
 public:
  Client(const LoadOptions& options, const std::atomic<bool>& stopping, unsigned number)
      : options_(options),
        stopping_(stopping),
        source_(source_of(options.address, number)),
        next_id_(static_cast<std::uint64_t>(number) << 40) {}

  void run() {
    while (!stopping_) {
      if (connection_ || connect()) exchange();
    }
  }

  LoadReport report() const {
    const std::lock_guard lock(mutex_);
    return report_;
  }

 private:
  enum class Verdict { kContinue, kConnectionOver };

  bool connect() {
    const Deadline deadline(options_.answer_timeout);
    common::Result<HttpClient> client = HttpClient::connect(options_.address, deadline, source_);
    if (!client) {
      note(&LoadReport::refused, client.error().message);
      ::poll(nullptr, 0, 1);  // a server that refuses is not asked in a tight loop
      return false;
    }
    connection_.emplace(std::move(*client));
    answers_on_connection_ = 0;
    return true;
  }

  void exchange() {
    const std::vector<std::uint64_t> batch = next_batch();
    std::string bytes;
    for (const std::uint64_t id : batch) bytes += request(id);
    count(&LoadReport::sent, batch.size());
    const Deadline deadline(options_.answer_timeout);
    connection_->send(bytes, deadline);  // a failure shows when reading: there may be answers to take before it
    for (std::size_t index = 0; index < batch.size(); ++index) {
      const HttpRead read = connection_->read(BodyRule::kPresent, deadline);
      if (judge(read, batch, index) == Verdict::kContinue) continue;
      connection_.reset();
      return;
    }
    if (options_.mode == LoadMode::kNewConnection) connection_.reset();
  }

  std::vector<std::uint64_t> next_batch() {
    std::vector<std::uint64_t> batch;
    const std::size_t size = options_.mode == LoadMode::kPipelined ? kPipelineDepth : 1;
    while (batch.size() < size) {
      if (again_.empty()) again_.push_back(next_id_++);
      batch.push_back(again_.front());
      again_.pop_front();
    }
    return batch;
  }

  std::string request(std::uint64_t id) const {
    const bool close = options_.mode == LoadMode::kNewConnection && id % 2 == 0;
    const char* const separator = options_.target.find('?') == std::string::npos ? "?" : "&";
    return get_request(options_.target + separator + "id=" + std::to_string(id), close ? "Connection: close\r\n" : "");
  }

  Verdict judge(const HttpRead& read, const std::vector<std::uint64_t>& batch, std::size_t index) {
    switch (read.outcome) {
      case ReadOutcome::kAnswer: return judge_answer(read.response, batch, index);
      case ReadOutcome::kEnd: lose(&LoadReport::ended, "the connection ended", batch, index); break;
      case ReadOutcome::kReset: lose(&LoadReport::reset, "the connection was reset", batch, index); break;
      case ReadOutcome::kTimeout: lose(&LoadReport::timed_out, "no answer in time", batch, index); break;
      case ReadOutcome::kMalformed: lose(&LoadReport::wrong, "the answer is not HTTP", batch, index); break;
    }
    return Verdict::kConnectionOver;
  }

  Verdict judge_answer(const HttpResponse& response, const std::vector<std::uint64_t>& batch, std::size_t index) {
    ++answers_on_connection_;
    if (response.status != 200 || !belongs_to(response, batch[index])) {
      note(&LoadReport::wrong, "request " + std::to_string(batch[index]) + " got " + std::to_string(response.status) +
                                   " " + response.body.substr(0, 120));
    } else {
      count(&LoadReport::answered, 1);
    }
    if (!response.closes()) return Verdict::kContinue;
    retry(batch, index + 1);
    return Verdict::kConnectionOver;
  }

  bool belongs_to(const HttpResponse& response, std::uint64_t id) const {
    if (!options_.target.starts_with("/inspect")) return true;  // other routes do not tell
    return response.body.find("?id=" + std::to_string(id) + "\"") != std::string::npos;
  }

  // The requests from `index` on got no answer although no answer before them said that they would not.
  void lose(std::uint64_t LoadReport::* counter, const std::string& what, const std::vector<std::uint64_t>& batch,
            std::size_t index) {
    const bool untouched = !connection_->has_unread() && counter != &LoadReport::timed_out;
    if (options_.strictness == Strictness::kRetryReused && untouched && answers_on_connection_ > 0) {
      retry(batch, index);
      return;
    }
    note(counter, what + " before the answer to request " + std::to_string(batch[index]) + ", after " +
                      std::to_string(answers_on_connection_) + " answers on that connection");
    count(counter, batch.size() - index - 1);
  }

  void retry(const std::vector<std::uint64_t>& batch, std::size_t from) {
    for (std::size_t index = from; index < batch.size(); ++index) again_.push_back(batch[index]);
    count(&LoadReport::retried, batch.size() - from);
  }

  void count(std::uint64_t LoadReport::* counter, std::uint64_t more) {
    const std::lock_guard lock(mutex_);
    report_.*counter += more;
  }

  void note(std::uint64_t LoadReport::* counter, const std::string& example) {
    const std::lock_guard lock(mutex_);
    ++(report_.*counter);
    if (report_.examples.size() < kExamplesMax) report_.examples.push_back(example);
  }

  const LoadOptions& options_;
  const std::atomic<bool>& stopping_;
  const std::string source_;
  std::uint64_t next_id_;
  std::deque<std::uint64_t> again_;  // ids to send before new ones
  std::optional<HttpClient> connection_;
  std::uint64_t answers_on_connection_ = 0;
  mutable std::mutex mutex_;
  LoadReport report_;  // guarded by mutex_
};

LoadReport& LoadReport::operator+=(const LoadReport& other) {
  sent += other.sent;
  answered += other.answered;
  retried += other.retried;
  refused += other.refused;
  reset += other.reset;
  ended += other.ended;
  timed_out += other.timed_out;
  wrong += other.wrong;
  examples.insert(examples.end(), other.examples.begin(), other.examples.end());
  return *this;
}

std::ostream& operator<<(std::ostream& out, const LoadReport& report) {
  out << "sent " << report.sent << ", answered " << report.answered << ", sent again " << report.retried << ", refused "
      << report.refused << ", reset " << report.reset << ", ended " << report.ended << ", timed out "
      << report.timed_out << ", wrong " << report.wrong;
  for (const std::string& example : report.examples) out << "\n  " << example;
  return out;
}

LoadGenerator::LoadGenerator(LoadOptions options) : options_(std::move(options)) {
  for (unsigned number = 0; number < options_.threads; ++number) {
    clients_.push_back(std::make_unique<Client>(options_, stopping_, number));
    threads_.emplace_back([client = clients_.back().get()] { client->run(); });
  }
}

LoadGenerator::~LoadGenerator() { stop(); }

LoadReport LoadGenerator::report() const {
  LoadReport sum;
  for (const auto& client : clients_) sum += client->report();
  return sum;
}

bool LoadGenerator::wait_for_answers(std::uint64_t more, Deadline deadline) const {
  const std::uint64_t goal = report().answered + more;
  return wait_until([&] { return report().answered >= goal; }, deadline);
}

LoadReport LoadGenerator::stop() {
  stopping_ = true;
  for (std::thread& thread : threads_) {
    if (thread.joinable()) thread.join();
  }
  return report();
}

}  // namespace support
