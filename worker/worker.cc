// Worker: set-up in stages, then one loop until it is told to leave and nothing is left.
#include "worker/worker.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <ctime>
#include <memory>
#include <optional>

#include "common/high_fd.h"
#include "common/inherited_fds.h"
#include "common/log.h"
#include "common/process_title.h"
#include "worker/acceptor.h"
#include "worker/app_handler.h"
#include "worker/app_start.h"
#include "worker/ask_answerer.h"
#include "worker/crash_recorder.h"
#include "worker/fd_trace.h"
#include "worker/gauge_writer.h"
#include "worker/http_server.h"
#include "worker/left_open.h"
#include "worker/pinning.h"
#include "worker/ring.h"
#include "worker/worker_signals.h"

namespace worker {
namespace {

// Completions handled before the clock is read and deadlines are looked at again.
constexpr int kBatch = 512;
constexpr common::Duration kJudgedLateMax = std::chrono::seconds(1);
// Without a master nobody steers new connections away: what is queued when it dies is served, and not what comes after.
constexpr common::Duration kOrphanEmptyingMax = Emptying::kSettle;

class WorkerProcess {
 public:
  explicit WorkerProcess(WorkerLaunch launch) : launch_(std::move(launch)) {}
  [[noreturn]] void run();

 private:
  void set_up();
  void share_memory();
  common::Received wait_for_start();
  void report_ready();
  std::uint32_t note_baseline();
  void loop();
  void note_accepted(common::TimePoint now);
  void dispatch(const Completion& completion, common::TimePoint now);
  void on_channel(common::TimePoint now);
  enum class Peer { kThere, kGone };
  Peer read_channel(common::TimePoint now);
  void heed(common::Received received, common::TimePoint now);
  void on_wish(SignalWish wish, common::TimePoint now);
  void drain(const DrainOrder& order, common::TimePoint now);
  void tell_left_open();
  [[noreturn]] void fail_start(common::Stage stage, const common::Error& error);
  [[noreturn]] void leave(int status);

  enum class Mode { kServing, kDraining, kLeaving };

  WorkerLaunch launch_;
  Mode mode_ = Mode::kServing;
  common::WorkerMemory memory_;
  common::FdLedger ledger_;  // in memory_
  common::TimePoint judged_at_{};
  SessionContext sessions_;
  std::optional<WorkerSignals> signals_;
  std::optional<AskAnswerer> answerer_;
  std::unique_ptr<Ring> ring_;
  std::optional<Acceptor> acceptor_;
  std::optional<AppHandler> handler_;
  std::optional<HttpServer> server_;
  std::optional<GaugeWriter> gauges_;
};

void WorkerProcess::run() {
  set_up();
  loop();
  launch_.application.worker_stop();
  tell_left_open();
  leave(0);
}

void WorkerProcess::set_up() {
  const std::string name = "worker " + std::to_string(launch_.slot) + " g" + std::to_string(launch_.generation);
  common::process_title_set("supervisor: " + name);
  common::log_identity({.kind = common::ProcessKind::kWorker, .slot = launch_.slot, .generation = launch_.generation});

  auto signals = WorkerSignals::install(launch_.master, launch_.config.workers.stop_timeout);
  if (!signals) fail_start(common::Stage::kSetUp, signals.error());
  signals_.emplace(std::move(*signals));
  share_memory();

  common::Received start = wait_for_start();
  // Only now is the master our parent (the process between has gone). PR_SET_PDEATHSIG would not tell of a death that
  // lies before it: so look afterwards.
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (getppid() != launch_.master) leave(0);
  if (launch_.config.workers.pin) pin_to_cpu(launch_.slot);

  auto ring = Ring::create({});
  if (!ring) fail_start(common::Stage::kRing, ring.error());
  ring_ = std::move(*ring);
  ledger_.note_server(ring_->fd(), common::FdRole::kRing, common::Clock::now());

  const supervisor_worker_info info = {sizeof info, launch_.slot, launch_.generation};
  const auto started = start_application(launch_.application, info, launch_.channel.fd(), signals_->fd());
  if (!started) fail_start(common::Stage::kWorkerStart, started.error());
  if (*started == Started::kCalledOff) leave(0);

  const common::HttpSettings& http = launch_.config.http;
  sessions_.limits = {.request_line_max = http.request_line_max,
                      .header_bytes_max = http.header_bytes_max,
                      .headers_max = http.headers_max,
                      .body_max = http.body_max};
  sessions_.requests_per_connection = http.requests_per_connection;
  handler_.emplace(launch_.application, launch_.record, memory_.request(), launch_.config.log.access);
  sessions_.handler = &*handler_;
  acceptor_.emplace(*ring_, std::move(start.fds), start.message.shared_sockets);
  server_.emplace(*ring_, *acceptor_, sessions_, launch_.record,
                  HttpServerSettings{.timeouts = launch_.config.timeouts,
                                     .on_full = launch_.config.limits.on_full,
                                     .connections_max = launch_.connections_max,
                                     .connections_high = launch_.connection_fds,
                                     .drain_max = launch_.config.workers.stop_timeout},
                  ledger_);
  // Twice for each of the master's looks: one count is always recent.
  gauges_.emplace(launch_.record, *server_, *ring_, ledger_, launch_.config.recycle.interval / 2);
  report_ready();
}

// From here on the application's descriptors can be traced, and the master can ask. Numbers below 1024 are left to the
// application as far as possible (common/high_fd.h).
void WorkerProcess::share_memory() {
  launch_.channel = common::Channel(common::move_high(launch_.channel.release_fd()));
  auto memory = common::WorkerMemory::attach(std::move(launch_.memory));
  if (!memory) fail_start(common::Stage::kSetUp, memory.error());
  memory_ = std::move(*memory);
  ledger_ = memory_.ledger();
  auto answerer = AskAnswerer::install(memory_, launch_.channel.fd());
  if (!answerer) fail_start(common::Stage::kSetUp, answerer.error());
  answerer_.emplace(std::move(*answerer));
  const auto now = common::Clock::now();
  ledger_.note_server(launch_.channel.fd(), common::FdRole::kChannel, now);
  ledger_.note_server(signals_->fd(), common::FdRole::kSignals, now);
  record_crashes(memory_);  // before the trace, which wants to see faults of its own first
  fd_trace_begin(memory_, launch_.config.fds.trace);
}

// The listening sockets come in the first message; a worker that is not wanted any more hears so instead.
common::Received WorkerProcess::wait_for_start() {
  auto received = launch_.channel.receive(common::Channel::Wait::kYes);
  if (!received) fail_start(common::Stage::kSetUp, received.error());
  auto* start = std::get_if<common::Received>(&*received);
  if (start == nullptr || start->message.type != common::MessageType::kStartWorker) leave(0);
  return std::move(*start);
}

void WorkerProcess::report_ready() {
  const auto now = common::Clock::now();
  server_->start(now);
  ring_->arm_readable(launch_.channel.fd(), {.op = Op::kChannel, .index = 0});
  ring_->arm_readable(signals_->fd(), {.op = Op::kSignal, .index = 0});
  // Before the accepts are with the kernel: the first client is no part of it.
  launch_.record.baseline_fds.store(note_baseline(), std::memory_order_relaxed);
  ring_->turn(now, now);  // ready means: the accepts are with the kernel
  gauges_->write(1, now);
  common::Message ready;
  ready.type = common::MessageType::kReady;
  ready.pid = getpid();
  if (!launch_.channel.send(ready)) leave(0);  // the master is gone
}

// What is open now and not the server's is what the application needs to work at all.
std::uint32_t WorkerProcess::note_baseline() {
  const std::vector<int> open = common::open_descriptors();
  if (open.empty()) {
    fail_start(
        common::Stage::kWorkerStart,
        {"worker_start has left no descriptor free: it would serve nobody; raise limits.open_files, or open less"});
  }
  for (const int fd : open) {
    if (!ledger_.is_server(fd)) ledger_.mark_baseline(fd);
  }
  const auto count = static_cast<std::uint32_t>(open.size());
  return count - std::min(count, gauges_->owned_fds());
}

void WorkerProcess::loop() {
  auto now = common::Clock::now();
  auto woken_at = now;
  common::Duration busy{0};
  for (std::uint64_t turns = 2; mode_ != Mode::kLeaving; ++turns) {
    if (mode_ == Mode::kDraining) {
      // Given up as soon as possible: a next supervisor must not take us for an instance that still accepts.
      if (server_->has_stopped()) server_->close_listeners();
      // The master may have handed over clients before it heard of our end.
      if (server_->is_empty() && (read_channel(now) == Peer::kGone || server_->is_empty())) return;
    }
    launch_.record.busy_since_ns.store(0, std::memory_order_relaxed);
    busy += now - woken_at;  // published second, and with release: see WorkerGauges
    launch_.record.busy_ns.store(static_cast<std::uint64_t>(busy.count()), std::memory_order_release);
    ring_->turn(server_->next_deadline(), now);
    now = woken_at = common::Clock::now();
    launch_.record.busy_since_ns.store(common::nanoseconds_of(now), std::memory_order_relaxed);
    note_accepted(now);
    sessions_.date.update(std::time(nullptr));
    for (int handled = 0; handled < kBatch; ++handled) {
      const auto completion = ring_->next();
      if (!completion) break;
      dispatch(*completion, now);
    }
    // Judged by the moment of waking, and only once all that had happened by then was looked at: what came while a
    // handler kept us busy lies in the kernel still, and its sender is not late.
    // Under a flood they are never all looked at; deadlines hold even so, a second late.
    if (!ring_->has_completions() || now - judged_at_ > kJudgedLateMax) {
      server_->on_time(now);
      judged_at_ = now;
    }
    handler_->flush_access_log();
    gauges_->write(turns, now);
    now = common::Clock::now();
  }
}

// Before any handler runs, which may take its time: until their turn comes these would look like the application's.
void WorkerProcess::note_accepted(common::TimePoint now) {
  bool any = false;
  ring_->each_accepted([&](int fd) {
    ledger_.note_server(fd, common::FdRole::kConnection, now);
    any = true;
  });
  if (any) gauges_->write_owned();
}

void WorkerProcess::dispatch(const Completion& completion, common::TimePoint now) {
  switch (completion.tag.op) {
    case Op::kAccept: return server_->on_accept(completion, now);
    case Op::kListener: return server_->on_listener(completion, now);
    case Op::kReceive: return server_->on_receive(completion, now);
    case Op::kSend: return server_->on_send(completion, now);
    case Op::kChannel: return on_channel(now);
    case Op::kSignal: ring_->arm_readable(signals_->fd(), completion.tag); return on_wish(signals_->take(), now);
    case Op::kClose:
    case Op::kCancel: return;
  }
}

void WorkerProcess::on_channel(common::TimePoint now) {
  if (read_channel(now) == Peer::kThere) {
    ring_->arm_readable(launch_.channel.fd(), {.op = Op::kChannel, .index = 0});
    return;
  }
  // If the master is gone, TERM with a time limit comes from the kernel too, but perhaps not first.
  std::raise(SIGTERM);
  drain({.queue = common::DrainQueue::kEmpty, .longest = kOrphanEmptyingMax}, now);
}

// All that is there, so that clients who were handed over are ours before an order that stands behind them.
WorkerProcess::Peer WorkerProcess::read_channel(common::TimePoint now) {
  while (true) {
    auto received = launch_.channel.receive(common::Channel::Wait::kNo);
    if (received && std::holds_alternative<common::ChannelEmpty>(*received)) return Peer::kThere;
    if (auto* message = received ? std::get_if<common::Received>(&*received) : nullptr) {
      heed(std::move(*message), now);
    } else if (!received && received.error().errnum == EMFILE) {
      common::log(common::LogLevel::kError, common::LogEvent::kClientsLost,
                  "clients handed over by the master are lost: no descriptor is left");
    } else {
      if (mode_ == Mode::kDraining) return Peer::kGone;  // that is what it does already
      common::log(common::LogLevel::kWarn, common::LogEvent::kWorkerOrphaned, "finishing what is in flight and leaving",
                  {{"reason", received ? std::string("the master is gone") : received.error().message}});
      return Peer::kGone;
    }
  }
}

void WorkerProcess::heed(common::Received received, common::TimePoint now) {
  const common::Message& message = received.message;
  if (message.type == common::MessageType::kDrain) {
    DrainOrder order{.queue = message.drain_queue, .sockets = message.empty_sockets};
    if (message.empty_ms_max > 0) order.longest = std::chrono::milliseconds(message.empty_ms_max);
    drain(order, now);
  }
  if (message.type == common::MessageType::kOwnSlot) acceptor_->own_slot(now);
  if (message.type == common::MessageType::kLimits) server_->set_connections_max(message.connections_max, now);
  if (message.type == common::MessageType::kAdopt) {
    for (common::UniqueFd& client : received.fds) server_->adopt(std::move(client), now);
  }
}

void WorkerProcess::on_wish(SignalWish wish, common::TimePoint now) {
  switch (wish) {
    case SignalWish::kNone: return;
    case SignalWish::kDrain:
      if (getppid() != launch_.master) {
        return drain({.queue = common::DrainQueue::kEmpty, .longest = kOrphanEmptyingMax}, now);
      }
      // Its master lives and gives the slot another worker. But an order to empty the queue stands, and a master that
      // is just dying closes its channels a moment before it is gone.
      if (mode_ == Mode::kServing) drain({.queue = common::DrainQueue::kLeave}, now);
      return;
    case SignalWish::kLeave: mode_ = Mode::kLeaving; return;
  }
}

void WorkerProcess::drain(const DrainOrder& order, common::TimePoint now) {
  if (mode_ == Mode::kLeaving) return;
  mode_ = Mode::kDraining;
  server_->drain(order, now);
}

// As late as possible: what worker_stop has closed is not left open.
void WorkerProcess::tell_left_open() {
  ring_->settle();
  const LeftOpen left = find_left_open(ledger_);
  launch_.record.left_open_fds.store(left.count, std::memory_order_relaxed);
  if (left.count == 0) return;
  common::log(common::LogLevel::kWarn, common::LogEvent::kFdLeftOpen, "the application leaves descriptors open",
              {{"count", left.count}, {"kinds", left.text}});
}

void WorkerProcess::fail_start(common::Stage stage, const common::Error& error) {
  common::Message failed;
  failed.type = common::MessageType::kFailed;
  failed.stage = stage;
  failed.errnum = error.errnum;
  failed.set_text(error.message);
  [[maybe_unused]] const auto told = launch_.channel.send(failed);  // if the master is gone nobody wants to know
  leave(1);
}

// Not exit(3): what load() registered with atexit(3) belongs to the template, not to each of its children.
void WorkerProcess::leave(int status) {
  // Connections and their buffers stay: the kernel may hold them until the ring is gone.
  ring_.reset();  // before the end of the process: a dying ring would keep the listeners in their groups for a while
  std::fflush(nullptr);
  _exit(status);
}

}  // namespace

void run_worker(WorkerLaunch launch) { WorkerProcess(std::move(launch)).run(); }

}  // namespace worker
