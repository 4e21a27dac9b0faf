// WaitingClients: clients that have connected and asked, and wait for their answers however long nobody serves them.
#pragma once

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "support/http_client.h"

namespace support {

// Connected, with a request sent, and not answered yet.
class WaitingClients {
 public:
  WaitingClients(const std::string& address, int number, const std::string& target = "/pid") {
    for (int i = 0; i < number; ++i) {
      auto client = HttpClient::connect(address);
      if (!client || !client->send(get_request(target, "Connection: close\r\n"))) {
        ++refused_;
        continue;
      }
      clients_.push_back(std::move(*client));
    }
  }
  int refused() const { return refused_; }
  // How many of them do not get a 200; the bodies of the others are kept.
  int lost(Deadline deadline = Deadline(std::chrono::seconds(20))) {
    int lost = 0;
    for (HttpClient& client : clients_) {
      const HttpRead read = client.read(BodyRule::kPresent, deadline);
      const bool is_answer = read.outcome == ReadOutcome::kAnswer && read.response.status == 200;
      if (is_answer) answers_.insert(read.response.body);
      lost += is_answer ? 0 : 1;
    }
    clients_.clear();  // the server waits for our FIN
    return lost;
  }
  const std::set<std::string>& answers() const { return answers_; }

 private:
  std::vector<HttpClient> clients_;
  std::set<std::string> answers_;
  int refused_ = 0;
};

inline void expect_served(const std::string& address) {
  WaitingClients crowd(address, 60);
  EXPECT_EQ(crowd.refused(), 0);
  EXPECT_EQ(crowd.lost(), 0);
}

}  // namespace support
