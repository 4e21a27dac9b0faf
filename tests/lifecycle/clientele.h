// Clientele: clients of all eight kinds at once, from the construction to stop().
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "client.h"
#include "support/deadline.h"

namespace lifecycle {

struct Addresses {
  std::string tcp;
  std::string unix_socket;
};

class Clientele {
 public:
  // `grace`: how long the server leaves a silent connection open when its worker drains.
  Clientele(const Addresses& addresses, common::Duration grace);
  ~Clientele();
  Clientele(const Clientele&) = delete;
  Clientele& operator=(const Clientele&) = delete;

  // Whether every single client gets `more` answers more than it has now.
  bool wait_for_answers(std::uint64_t more, support::Deadline deadline) const;
  // All of their notes.
  void stop(History& history);

 private:
  StopSignal stop_;
  std::vector<std::unique_ptr<Client>> clients_;
  std::vector<std::thread> threads_;
};

}  // namespace lifecycle
