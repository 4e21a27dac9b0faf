// Admission: whether the worker has room for a client, who gives way if not, and what the others hear.
//
// Two things can be short. Places: the table holds as many connections as the budget allows. Descriptors: accept says
// EMFILE or ENFILE. Either way accepting is held, and the listeners are watched: only when a client waits somebody has
// to go, in this order: the longest idle keep-alive connection, a connection that we have finished with and whose
// client does not close, one that never said a word for kSilentMin. Its close starts accepting again. If nobody can go:
//   places       clients wait in the listen queue; or, as configured, are accepted and told 503
//   descriptors  a reserve descriptor is given up, one client is accepted with it, told 503, and the reserve taken back
// and if even that fails, or memory is short, accepting pauses with growing delay. Nothing here runs without a client
// that waits, but a look each kLook for what nobody tells us: that the application closed something, or a limit rose.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "common/clock.h"
#include "common/config.h"
#include "common/fd_ledger.h"
#include "common/scoreboard.h"
#include "common/unique_fd.h"
#include "worker/acceptor.h"
#include "worker/admission_log.h"
#include "worker/allowance.h"
#include "worker/connection_table.h"
#include "worker/refused_clients.h"
#include "worker/reserve_fds.h"

namespace worker {

struct AdmissionSettings {
  std::uint32_t places = 1;
  common::OnFull on_full = common::OnFull::kEvict;
};

class Admission {
 public:
  static constexpr common::Duration kLook = std::chrono::milliseconds(250);

  // All references outlive it.
  Admission(Acceptor& acceptor, ConnectionTable& table, common::WorkerGauges& record, common::FdLedger ledger,
            const AdmissionSettings& settings);

  void start(common::TimePoint now);

  // Records what an accept brought. A descriptor in it is still the caller's.
  void on_accept(const Completion& completion, common::TimePoint now);
  enum class Verdict { kServe, kRefuse };
  Verdict judge(common::TimePoint now);
  void refuse(common::UniqueFd client, common::TimePoint now);
  // A connection was added to the table.
  void on_opened(common::TimePoint now);
  // One was removed and its close submitted.
  void on_closed();
  void on_readable(const Completion& completion, common::TimePoint now);
  void on_time(common::TimePoint now);
  std::optional<common::TimePoint> next_deadline() const;

  // Who has to be closed now so that somebody who waits can come in; null if nobody has to or can. To be asked when
  // a connection could give way that could not before, and after each of the above.
  Connection* seek_room(common::TimePoint now);

  // The budget changed, or RLIMIT_NOFILE did. Who is too many now comes from seek_room(), as long as it names any.
  void set_places(std::uint32_t places, common::TimePoint now);

  void close_listeners();  // and the reserve; when nothing is armed
  common::Accepting state(common::TimePoint now);
  bool is_telling() const { return refused_.size() > 0; }  // somebody that there is no room
  std::uint32_t places() const { return settings_.places; }
  std::uint32_t descriptors() const { return acceptor_.size() + reserve_.size() + refused_.size(); }

 private:
  enum class Shortage : std::uint8_t { kNone, kPlaces, kDescriptors };
  void hold(Shortage shortage, std::string_view why, common::TimePoint now);
  void resume();
  void pause(int errnum, common::TimePoint now);
  void on_paused(int errnum);
  void look(common::TimePoint now);
  void take_one_to_refuse(std::uint32_t listener, common::TimePoint now);
  void choose_repeat();
  Connection* evict(common::TimePoint now);
  bool is_held() const { return acceptor_.mode() == Acceptor::Mode::kHeld && shortage_ != Shortage::kNone; }
  bool is_full() const { return table_.size() >= settings_.places; }

  Acceptor& acceptor_;
  ConnectionTable& table_;
  common::WorkerGauges& record_;
  common::FdLedger ledger_;
  AdmissionSettings settings_;
  ReserveFds reserve_;
  RefusedClients refused_;
  AdmissionLog log_;
  Allowance refusals_;
  Shortage shortage_ = Shortage::kNone;  // why accepting is held or paused; kNone while it goes on
  Repeat repeat_ = Repeat::kMultishot;
  common::TimePoint look_at_{};  // while held
  std::optional<std::uint32_t> refusing_;  // the listener of a take_one() on its way
};

}  // namespace worker
