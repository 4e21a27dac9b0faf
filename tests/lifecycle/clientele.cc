// Clientele: a thread for each client.
#include "clientele.h"

namespace lifecycle {
namespace {

constexpr std::uint32_t kClientsOfAKind = 2;
constexpr int kSilenceShare = 3;  // of the grace: the rest is for a machine that is slow to run the client's thread

}  // namespace

Clientele::Clientele(const Addresses& addresses, common::Duration grace) {
  for (std::uint32_t number = 0; number < kKinds * kClientsOfAKind; ++number) {
    const auto kind = static_cast<Kind>(number % kKinds);
    const ClientOptions options{.number = number,
                                .kind = kind,
                                .address = kind == Kind::kUnixSocket ? addresses.unix_socket : addresses.tcp,
                                .silence_max = grace / kSilenceShare};
    clients_.push_back(std::make_unique<Client>(options, stop_));
    threads_.emplace_back([client = clients_.back().get()] { client->run(); });
  }
}

Clientele::~Clientele() {
  History ignored;
  stop(ignored);
}

bool Clientele::wait_for_answers(std::uint64_t more, support::Deadline deadline) const {
  std::vector<std::uint64_t> goals;
  for (const auto& client : clients_) goals.push_back(client->answered() + more);
  return support::wait_until(
      [&] {
        for (std::size_t index = 0; index < goals.size(); ++index) {
          if (clients_[index]->answered() < goals[index]) return false;
        }
        return true;
      },
      deadline);
}

void Clientele::stop(History& history) {
  stop_.set();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
  for (const auto& client : clients_) {
    history.attempts.insert(history.attempts.end(), client->attempts().begin(), client->attempts().end());
    history.remarks.insert(history.remarks.end(), client->remarks().begin(), client->remarks().end());
  }
  clients_.clear();
}

}  // namespace lifecycle
