// Worker: set-up in stages, then one loop until it is told to leave and nothing is left.
#include "worker/worker.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <ctime>
#include <memory>
#include <optional>

#include "common/inherited_fds.h"
#include "common/log.h"
#include "common/process_title.h"
#include "worker/acceptor.h"
#include "worker/app_handler.h"
#include "worker/http_server.h"
#include "worker/ring.h"
#include "worker/worker_signals.h"

namespace worker {
namespace {

// Completions handled before the clock is read and deadlines are looked at again.
constexpr int kBatch = 512;

class WorkerProcess {
 public:
  explicit WorkerProcess(WorkerLaunch launch) : launch_(std::move(launch)) {}
  [[noreturn]] void run();

 private:
  void set_up();
  std::vector<common::UniqueFd> wait_for_start();
  void pin();
  void report_ready();
  void loop();
  void dispatch(const Completion& completion, common::TimePoint now);
  void on_channel(common::TimePoint now);
  void on_wish(SignalWish wish, common::TimePoint now);
  void drain(common::TimePoint now);
  void publish(std::uint64_t turns);
  std::uint32_t owned_fds() const;
  [[noreturn]] void fail_start(common::Stage stage, const common::Error& error);
  [[noreturn]] void leave(int status);

  enum class Mode { kServing, kDraining, kLeaving };

  WorkerLaunch launch_;
  Mode mode_ = Mode::kServing;
  SessionContext sessions_;
  std::optional<WorkerSignals> signals_;
  std::unique_ptr<Ring> ring_;
  std::optional<Acceptor> acceptor_;
  std::optional<AppHandler> handler_;
  std::optional<HttpServer> server_;
};

void WorkerProcess::run() {
  set_up();
  loop();
  launch_.application.worker_stop();
  leave(0);
}

void WorkerProcess::set_up() {
  const std::string name = "worker " + std::to_string(launch_.slot) + " g" + std::to_string(launch_.generation);
  common::process_title_set("supervisor: " + name);
  common::log_identity(name);

  auto signals = WorkerSignals::install(launch_.master, launch_.config.workers.stop_timeout);
  if (!signals) fail_start(common::Stage::kSetUp, signals.error());
  signals_.emplace(std::move(*signals));

  std::vector<common::UniqueFd> listeners = wait_for_start();
  // Only now is the master our parent (the process between has gone). PR_SET_PDEATHSIG would not tell of a death that
  // lies before it: so look afterwards.
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (getppid() != launch_.master) leave(0);
  if (launch_.config.workers.pin) pin();

  auto ring = Ring::create({});
  if (!ring) fail_start(common::Stage::kRing, ring.error());
  ring_ = std::move(*ring);

  if (auto started = launch_.application.worker_start(
          {.size = sizeof(supervisor_worker_info), .slot = launch_.slot, .generation = launch_.generation});
      !started) {
    fail_start(common::Stage::kWorkerStart, started.error());
  }

  const common::HttpSettings& http = launch_.config.http;
  sessions_.limits = {.request_line_max = http.request_line_max,
                      .header_bytes_max = http.header_bytes_max,
                      .headers_max = http.headers_max,
                      .body_max = http.body_max};
  sessions_.requests_per_connection = http.requests_per_connection;
  handler_.emplace(launch_.application, launch_.record, launch_.config.log.access);
  sessions_.handler = &*handler_;
  acceptor_.emplace(*ring_, std::move(listeners));
  server_.emplace(*ring_, *acceptor_, sessions_, launch_.record,
                  HttpServerSettings{.timeouts = launch_.config.timeouts,
                                     .on_full = launch_.config.limits.on_full,
                                     .connections_max = launch_.connections_max});
  report_ready();
}

// The listening sockets come in the first message; a worker that is not wanted any more hears so instead.
std::vector<common::UniqueFd> WorkerProcess::wait_for_start() {
  auto received = launch_.channel.receive(common::Channel::Wait::kYes);
  if (!received) fail_start(common::Stage::kSetUp, received.error());
  auto* start = std::get_if<common::Received>(&*received);
  if (start == nullptr || start->message.type != common::MessageType::kStartWorker) leave(0);
  return std::move(start->fds);
}

void WorkerProcess::pin() {
  cpu_set_t usable;
  if (sched_getaffinity(0, sizeof usable, &usable) < 0) return;
  int skip = static_cast<int>(launch_.slot) % CPU_COUNT(&usable);
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &usable) || skip-- > 0) continue;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    sched_setaffinity(0, sizeof one, &one);
    return;
  }
}

void WorkerProcess::report_ready() {
  acceptor_->start();
  ring_->arm_readable(launch_.channel.fd(), {.op = Op::kChannel, .index = 0});
  ring_->arm_readable(signals_->fd(), {.op = Op::kSignal, .index = 0});
  const auto now = common::Clock::now();
  ring_->turn(now, now);  // ready means: the accepts are with the kernel
  const auto open = static_cast<std::uint32_t>(common::open_descriptors().size());
  publish(1);
  launch_.record.baseline_fds.store(open - std::min(open, owned_fds()), std::memory_order_relaxed);
  common::Message ready;
  ready.type = common::MessageType::kReady;
  ready.pid = getpid();
  if (!launch_.channel.send(ready)) leave(0);  // the master is gone
}

void WorkerProcess::loop() {
  auto now = common::Clock::now();
  for (std::uint64_t turns = 2; mode_ != Mode::kLeaving; ++turns) {
    if (mode_ == Mode::kDraining) {
      // Given up as soon as possible: a next supervisor must not take us for an instance that still accepts.
      if (!acceptor_->armed()) acceptor_->close_listeners();
      if (server_->is_empty()) return;
    }
    launch_.record.busy_since_ns.store(0, std::memory_order_relaxed);
    ring_->turn(server_->next_deadline(), now);
    now = common::Clock::now();
    launch_.record.busy_since_ns.store(common::nanoseconds_of(now), std::memory_order_relaxed);
    sessions_.date.update(std::time(nullptr));
    for (int handled = 0; handled < kBatch; ++handled) {
      const auto completion = ring_->next();
      if (!completion) break;
      dispatch(*completion, now);
    }
    // Judged by the moment of waking, and only once all that had happened by then was looked at: what came while a
    // handler kept us busy lies in the kernel still, and its sender is not late.
    if (!ring_->has_completions()) server_->on_time(now);
    handler_->flush_access_log();
    publish(turns);
    now = common::Clock::now();
  }
}

void WorkerProcess::dispatch(const Completion& completion, common::TimePoint now) {
  switch (completion.tag.op) {
    case Op::kAccept: return server_->on_accept(completion, now);
    case Op::kListener: return acceptor_->on_readable(completion);
    case Op::kReceive: return server_->on_receive(completion, now);
    case Op::kSend: return server_->on_send(completion, now);
    case Op::kChannel: return on_channel(now);
    case Op::kSignal: ring_->arm_readable(signals_->fd(), completion.tag); return on_wish(signals_->take(), now);
    case Op::kClose:
    case Op::kCancel: return;
  }
}

void WorkerProcess::on_channel(common::TimePoint now) {
  auto received = launch_.channel.receive(common::Channel::Wait::kNo);
  if (!received || std::holds_alternative<common::ChannelClosed>(*received)) {
    // The master is gone. TERM with a time limit comes from the kernel too, but perhaps not first.
    common::log(common::LogLevel::kWarn, "the master is gone: finishing what is in flight and leaving");
    std::raise(SIGTERM);
    return drain(now);
  }
  if (auto* message = std::get_if<common::Received>(&*received)) {
    if (message->message.type == common::MessageType::kDrain) drain(now);
    if (message->message.type == common::MessageType::kOwnSlot) acceptor_->own_slot(now);
  }
  ring_->arm_readable(launch_.channel.fd(), {.op = Op::kChannel, .index = 0});
}

void WorkerProcess::on_wish(SignalWish wish, common::TimePoint now) {
  switch (wish) {
    case SignalWish::kNone: return;
    case SignalWish::kDrain: return drain(now);
    case SignalWish::kLeave: mode_ = Mode::kLeaving; return;
  }
}

void WorkerProcess::drain(common::TimePoint now) {
  if (mode_ != Mode::kServing) return;
  mode_ = Mode::kDraining;
  server_->drain(now);
}

void WorkerProcess::publish(std::uint64_t turns) {
  common::WorkerGauges& record = launch_.record;
  record.turns.store(turns, std::memory_order_relaxed);
  record.connections.store(server_->connections(), std::memory_order_relaxed);
  record.in_flight.store(server_->in_flight(), std::memory_order_relaxed);
  record.owned_fds.store(owned_fds(), std::memory_order_relaxed);
}

std::uint32_t WorkerProcess::owned_fds() const {
  constexpr std::uint32_t kRingChannelSignals = 3;
  return kRingChannelSignals + acceptor_->size() + server_->connections();
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
