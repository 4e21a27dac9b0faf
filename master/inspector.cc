// Inspector: forking, collecting, judging.
#include "master/inspector.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <exception>
#include <tuple>
#include <utility>

#include "common/check.h"
#include "common/format.h"
#include "common/inherited_fds.h"
#include "common/log.h"
#include "common/process_title.h"
#include "master/exit_status.h"

namespace master {
namespace {

using common::fail;
using common::Json;
using common::Result;

constexpr int kExitWhole = 0;
constexpr int kExitThrew = 1;  // what it wrote is the reason
constexpr std::size_t kReasonBytesMax = 512;

std::int64_t seconds(common::Duration duration) { return std::chrono::ceil<std::chrono::seconds>(duration).count(); }

// Of the process that was forked; what it inherited is the master's.
void leave_the_master(int pipe, pid_t parent) {
  common::process_title_set("supervisor: inspector");
  common::log_identity({.kind = common::ProcessKind::kInspector});
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(kExitThrew);
  common::close_all_except({&pipe, 1});
  for (int signal = 1; signal <= SIGRTMAX; ++signal) std::signal(signal, SIG_DFL);  // some refuse, as they should
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  const rlimit no_core{.rlim_cur = 0, .rlim_max = 0};
  setrlimit(RLIMIT_CORE, &no_core);
  setpriority(PRIO_PROCESS, 0, std::min(getpriority(PRIO_PROCESS, 0) + 5, 19));
  // Should memory run out, let it be this process that goes.
  const common::UniqueFd score(open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC));
  if (score) std::ignore = write(score.get(), "1000", 4);
  // The last resort, should the master be too busy to end us.
  alarm(static_cast<unsigned>(2 * seconds(Inspector::kPatience)));
}

std::string dump(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

void omit_descriptors(Json& reports) {
  for (Json& report : reports) {
    if (report.is_object()) report.erase("descriptors");
  }
}

// Nobody reads a list of a hundred thousand descriptors; the groups say what there is.
std::string render(Json& reports, Inspector::Listing listing) {
  if (listing == Inspector::Listing::kGroups) omit_descriptors(reports);
  std::string text = dump(reports);
  if (text.size() <= Inspector::kReportBytesMax) return text;
  omit_descriptors(reports);
  for (Json& report : reports) {
    if (report.is_object()) report["descriptors_omitted"] = true;
  }
  return dump(reports);
}

void write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t count = write(fd, text.data(), text.size());
    if (count < 0 && errno != EINTR) _exit(kExitThrew);
    if (count > 0) text.remove_prefix(static_cast<std::size_t>(count));
  }
}

}  // namespace

Inspector::Inspector(Poller& poller, Inspection inspection) : poller_(poller), inspection_(std::move(inspection)) {}

Inspector::~Inspector() {
  close_pipe();
  if (pid_ > 0) kill(pid_, SIGKILL);
}

Result<void> Inspector::submit(Orders orders, Listing listing, Done done) {
  const auto prepare = [this, orders = std::move(orders)]() -> Work {
    std::vector<InspectionOrder> made = orders();
    if (made.empty()) return nullptr;
    return [this, made = std::move(made)](common::TimePoint now) { return inspection_(made, now); };
  };
  return enqueue({.prepare = prepare, .listing = listing, .done = std::move(done)});
}

Result<void> Inspector::submit(Work work, Done done) {
  return enqueue(
      {.prepare = [work = std::move(work)] { return work; }, .listing = Listing::kAll, .done = std::move(done)});
}

Result<void> Inspector::enqueue(Job job) {
  if (state_ == State::kStuck) {
    return fail(
        common::format("the last inspection (pid {}) is stuck in the kernel; try again when it has ended", pid_));
  }
  if (jobs_.size() >= kJobsMax) {
    return fail(common::format("{} inspections wait already; try again later", jobs_.size()));
  }
  jobs_.push_back(std::move(job));
  return {};
}

// ---- time

std::optional<common::TimePoint> Inspector::next_deadline() const {
  switch (state_) {
    case State::kIdle: return jobs_.empty() ? std::nullopt : std::optional(common::TimePoint());  // at once
    case State::kCollecting:
    case State::kKilled: return deadline_;
    case State::kStuck: return std::nullopt;
  }
  return std::nullopt;
}

void Inspector::on_time(common::TimePoint now) {
  if (state_ == State::kCollecting && deadline_ <= now) {
    kill_child(common::format("the inspection did not end in {} s and was killed", seconds(kPatience)), ETIMEDOUT, now);
  }
  if (state_ == State::kKilled && deadline_ <= now) {
    state_ = State::kStuck;
    for (Job& job : std::exchange(jobs_, {})) {
      job.done(fail(common::format("an earlier inspection (pid {}) is stuck in the kernel", pid_)));
    }
  }
  // A job that cannot begin is answered, and the next one tried.
  while (state_ == State::kIdle && !jobs_.empty()) {
    Job job = std::move(jobs_.front());
    jobs_.pop_front();
    start(std::move(job), now);
  }
}

// ---- the process

void Inspector::start(Job job, common::TimePoint now) {
  const Work work = job.prepare();
  if (!work) return job.done(Json::array());
  if (auto forked = fork_child(work, job.listing, now); !forked) return job.done(std::unexpected(forked.error()));
  done_ = std::move(job.done);
  deadline_ = now + kPatience;
  state_ = State::kCollecting;
}

Result<void> Inspector::fork_child(const Work& work, Listing listing, common::TimePoint now) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) < 0) return common::fail_errno("pipe for an inspection", errno);
  common::UniqueFd read_end(ends[0]);
  const common::UniqueFd write_end(ends[1]);
  if (fcntl(read_end.get(), F_SETFL, O_NONBLOCK) < 0) return common::fail_errno("pipe for an inspection", errno);
  if (auto watched = poller_.watch(read_end.get(), EPOLLIN); !watched) return watched;
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid == 0) run_child(write_end.get(), parent, work, listing, now);
  const int errnum = errno;
  pipe_ = std::move(read_end);
  if (pid < 0) {
    close_pipe();
    return common::fail_errno("fork for an inspection", errnum);
  }
  pid_ = pid;
  text_.clear();
  return {};
}

// Leaves by _exit whatever happens: what would follow is the master's.
void Inspector::run_child(int pipe, pid_t parent, const Work& work, Listing listing, common::TimePoint now) {
  try {
    leave_the_master(pipe, parent);
    Json reports = work(now);
    write_all(pipe, render(reports, listing));
  } catch (const std::exception& error) {
    write_all(pipe, std::string_view(error.what()).substr(0, kReasonBytesMax));
    _exit(kExitThrew);
  }
  _exit(kExitWhole);
}

void Inspector::on_event(int fd, common::TimePoint now) {
  CHECK(owns(fd));
  collect();
  if (text_.size() > kReportBytesMax) {
    kill_child(common::format("the inspection wrote more than {} MiB and was killed", kReportBytesMax >> 20), EMSGSIZE,
               now);
  }
}

// At most a pipe's usual capacity, so that a flood does not hold up the loop; the event stays while there is more.
void Inspector::collect() {
  std::array<char, std::size_t{64} * 1024> buffer;
  const ssize_t length = read(pipe_.get(), buffer.data(), buffer.size());
  if (length > 0) text_.append(buffer.data(), static_cast<std::size_t>(length));
  if (length > 0 || (length < 0 && (errno == EAGAIN || errno == EINTR))) return;
  close_pipe();
}

void Inspector::kill_child(std::string reason, int errnum, common::TimePoint now) {
  kill(pid_, SIGKILL);  // not waited for yet, so the pid is still its own
  close_pipe();
  state_ = State::kKilled;
  deadline_ = now + kKillPatience;
  finish(fail(std::move(reason), errnum));
}

void Inspector::close_pipe() {
  if (!pipe_) return;
  poller_.forget(pipe_.get());
  pipe_.reset();
}

void Inspector::on_child_ended(int wait_status) {
  CHECK(pid_ > 0);
  const State before = std::exchange(state_, State::kIdle);
  if (before != State::kCollecting) {
    pid_ = 0;
    return;
  }
  auto result = judge(wait_status);
  close_pipe();
  pid_ = 0;
  finish(std::move(result));
}

Result<Json> Inspector::judge(int wait_status) {
  // What it wrote last may still lie in the pipe, whose only writer has gone.
  for (std::size_t before = text_.size() + 1; pipe_ && before != text_.size() && text_.size() <= kReportBytesMax;) {
    before = text_.size();
    collect();
  }
  if (WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == kExitWhole) {
    if (text_.size() > kReportBytesMax) {
      return fail(common::format("the inspection wrote more than {} MiB", kReportBytesMax >> 20), EMSGSIZE);
    }
    Json reports = Json::parse(text_, nullptr, false);
    if (reports.is_array()) return reports;
    return fail("the inspection ended with a report that is not whole");
  }
  if (WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == kExitThrew && !text_.empty()) {
    return fail("the inspection failed: " + text_.substr(0, kReasonBytesMax));
  }
  return fail("the inspection failed: its process " + describe_wait_status(wait_status));
}

// Last of all, because `done` may submit the next job.
void Inspector::finish(Result<Json> result) {
  text_ = {};
  const Done done = std::exchange(done_, nullptr);
  done(std::move(result));
}

}  // namespace master
