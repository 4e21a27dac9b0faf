// AdmissionStage: an Admission on a ring of the test's, with the server's part played by the test.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <utility>
#include <vector>

#include "recording_ring.h"
#include "worker/admission.h"

namespace test_stage {

inline const common::TimePoint kStart{std::chrono::seconds(1000)};

// Of three places, on one unix socket. Connections are numbers only.
struct AdmissionStage {
  explicit AdmissionStage(common::OnFull on_full = common::OnFull::kEvict, std::uint32_t places = 3)
      : admission(acceptor, table, record, {}, {.places = places, .on_full = on_full}) {
    admission.start(now);
  }

  static std::vector<common::UniqueFd> one_listener(common::UniqueFd& same) {
    std::vector<common::UniqueFd> one;
    one.push_back(listening_unix_socket());
    same = common::UniqueFd(fcntl(one[0].get(), F_DUPFD_CLOEXEC, 0));
    return one;
  }

  // Accepts one whose descriptor is nothing real.
  worker::Connection* open() {
    admission.on_accept(ring.complete(worker::Op::kAccept, 0, 9999), now);
    worker::Connection* connection = nullptr;
    if (admission.judge(now) == worker::Admission::Verdict::kServe) {
      connection = &table.add(9999, now);
      admission.on_opened(now);
    }
    acceptor.go_on(0);
    return connection;
  }
  void fail(int errnum) { admission.on_accept(ring.complete(worker::Op::kAccept, 0, -errnum), now); }
  // The server's part when someone has to go, or goes.
  void close(worker::Connection& connection) {
    table.remove(connection);
    admission.on_closed();
  }
  // Ends cancellations, lets the kernel's polls complete when a client waits, and asks who has to go.
  worker::Connection* settle() {
    for (int i = 0; i < 3; ++i) {
      for (const auto& completion : ring.cancelled()) {
        if (completion.tag.op == worker::Op::kAccept) admission.on_accept(completion, now);
        if (completion.tag.op == worker::Op::kListener) admission.on_readable(completion, now);
      }
      if (worker::Connection* leaver = admission.seek_room(now)) return leaver;
    }
    return nullptr;
  }
  void pass(common::Duration time) {
    now += time;
    admission.on_time(now);
  }

  common::TimePoint now = kStart;
  common::UniqueFd listener;
  RecordingRing ring;
  worker::Acceptor acceptor{ring, one_listener(listener)};
  worker::ConnectionTable table{common::TimeoutSettings{}};
  common::WorkerGauges record{};
  worker::Admission admission;
};

}  // namespace test_stage
