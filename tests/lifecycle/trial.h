// Trial: a service under its clientele, with the driver's own notes, until it is judged.
#pragma once

#include <optional>
#include <string>

#include "clientele.h"
#include "history.h"
#include "judgement.h"
#include "service.h"

namespace lifecycle {

class Trial {
 public:
  explicit Trial(ServiceOptions options = {}) : service_(options) {}

  // Workers ready, every client served. A failure is one of the test.
  [[nodiscard]] bool begin();
  // Every client gets answers still.
  void expect_progress() const;
  // Stops the clients and judges. Then the service is at rest.
  Judgement finish();
  // finish(), and nothing may have been found.
  void expect_nothing_lost();

  Service& service() { return service_; }
  support::SupervisorProcess& process() { return service_.process(); }

  // What the driver has done. Generations come one after the other.
  void note_generation(char letter, std::uint32_t generation, common::TimePoint asked, common::TimePoint answered);
  void note(const Death& death) { history_.deaths.push_back(death); }
  void note(const Shortage& shortage) { history_.shortages.push_back(shortage); }
  char letter() const { return history_.epochs.back().letter; }

 private:
  Service service_;
  History history_;
  std::optional<Clientele> clientele_;
};

// How often to do something: by default, with SUPERVISOR_TEST_LONG=1 and with SUPERVISOR_TEST_LONG=2.
int times(int quick, int full, int longest);

}  // namespace lifecycle
