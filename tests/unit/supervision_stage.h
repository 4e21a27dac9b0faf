// Stage: a Supervision in a test, told one event after the other at a time that the test owns.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <string>
#include <variant>
#include <vector>

#include "master/supervision.h"

namespace master {

// What an action is in a test: "spawn 3@1" = worker 3 in slot 1.
struct Describe {
  // The first generation is not mentioned.
  static std::string of(Generation generation) {
    return generation == kFirstGeneration ? "" : " g" + std::to_string(generation);
  }
  std::string operator()(const action::StartTemplate& it) const { return "start-template" + of(it.generation); }
  std::string operator()(const action::StopTemplate& it) const {
    return (it.signal == SIGKILL ? "kill-template" : "term-template") + of(it.generation);
  }
  std::string operator()(const action::Spawn& it) const {
    return "spawn " + std::to_string(it.worker) + "@" + std::to_string(it.slot) + of(it.generation);
  }
  std::string operator()(const action::Drain& it) const {
    return (it.queue == Queue::kEmpty ? "empty " : "drain ") + std::to_string(it.worker);
  }
  std::string operator()(const action::Kill& it) const {
    return (it.signal == SIGKILL ? "kill " : "term ") + std::to_string(it.worker);
  }
  std::string operator()(const action::Forget& it) const { return "forget " + std::to_string(it.worker); }
  std::string operator()(const action::OpenSlot& it) const { return "open @" + std::to_string(it.slot); }
  std::string operator()(const action::CloseSlot& it) const { return "close @" + std::to_string(it.slot); }
  std::string operator()(const action::RetireSlot& it) const { return "retire @" + std::to_string(it.slot); }
  std::string operator()(const action::KeepSlot& it) const { return "keep @" + std::to_string(it.slot); }
  std::string operator()(const action::CommitReload& it) const { return "commit" + of(it.generation); }
  std::string operator()(const action::EndReload& it) const {
    return "end" + of(it.generation) + (it.error.empty() ? "" : ": " + it.error);
  }
  std::string operator()(const action::ReportReady&) const { return "report-ready"; }
  std::string operator()(const action::Note&) const { return {}; }
  std::string operator()(const action::Finish& it) const { return "finish " + std::to_string(it.exit_code); }
};

inline SupervisionSettings settings_for(std::uint32_t workers) {
  SupervisionSettings settings;
  settings.workers.count = workers;
  settings.workers.start_timeout = std::chrono::seconds(10);
  settings.workers.stop_timeout = std::chrono::seconds(20);
  return settings;
}

// Never gives up, however often something fails.
inline SupervisionSettings eager_settings(std::uint32_t workers) {
  SupervisionSettings settings = settings_for(workers);
  settings.restart.failures_max = 0;
  return settings;
}

// A service on a stage: tells events at a time of its own and remembers what was noted.
class Stage {
 public:
  explicit Stage(std::uint32_t workers) : Stage(settings_for(workers)) {}
  explicit Stage(const SupervisionSettings& settings) : supervision(settings) {}

  std::string tell(const Event& event) {
    std::string said;
    for (const Action& action : supervision.step(event, now)) {
      if (const auto* note = std::get_if<action::Note>(&action)) notes.push_back(*note);
      if (const auto* finish = std::get_if<action::Finish>(&action)) reason = finish->reason;
      const std::string words = std::visit(Describe{}, action);
      if (!words.empty()) said += (said.empty() ? "" : ", ") + words;
    }
    EXPECT_TRUE(!supervision.next_deadline() || *supervision.next_deadline() > now) << "a deadline was left behind";
    return said;
  }
  // Lets time pass, waking at each deadline as the executor does.
  std::string pass(common::Duration duration) {
    const common::TimePoint end = now + duration;
    std::string said;
    while (supervision.next_deadline() && *supervision.next_deadline() <= end) {
      now = *supervision.next_deadline();
      const std::string words = tell(event::Tick{});
      if (!words.empty()) said += (said.empty() ? "" : ", ") + words;
    }
    now = end;
    return said;
  }
  // Until the next deadline.
  std::string wait() { return pass(supervision.next_deadline().value_or(now) - now); }
  std::string ready(WorkerId worker) {
    tell(event::Spawned{worker, static_cast<pid_t>(worker)});
    return tell(event::WorkerReady{worker, static_cast<pid_t>(worker)});
  }
  std::string dies(WorkerId worker, ExitCause cause = ExitCause::kCrashed, std::uint64_t requests = 0) {
    return tell(event::WorkerExited{worker, cause, requests, "killed by SIGSEGV"});
  }
  std::string leaves(WorkerId worker) { return tell(event::WorkerExited{worker, ExitCause::kClean, 0, "exit 0"}); }
  std::string recycle(SlotIndex slot, RecycleReason why, WorkerId worker = kNoWorker) {
    return tell(event::RecycleAsked{slot, worker, why});
  }
  // Up to the moment when workers 1 to n serve, long enough to be healthy.
  void serve() {
    tell(event::Started{});
    tell(event::TemplateReady{});
    for (WorkerId worker = 1; worker <= supervision.workers_wanted(); ++worker) ready(worker);
    now += std::chrono::seconds(5);
    notes.clear();
  }
  std::size_t noted(NoteKind kind) const {
    return static_cast<std::size_t>(
        std::ranges::count_if(notes, [kind](const action::Note& note) { return note.kind == kind; }));
  }
  std::vector<std::string> states() const {
    std::vector<std::string> states;
    for (const WorkerView& view : supervision.workers()) {
      states.push_back(std::to_string(view.slot) + " " + std::string(name_of(view.state)));
    }
    return states;
  }
  std::uint64_t recycled(RecycleReason why) const { return supervision.counters().recycled[index_of(why)]; }

  Supervision supervision;
  common::TimePoint now{std::chrono::seconds(1000)};
  std::vector<action::Note> notes;
  std::string reason;
};

inline std::string reload(Stage& stage, Generation generation, std::uint32_t workers) {
  return stage.tell(event::ReloadAsked{generation, settings_for(workers)});
}

using Lines = std::vector<std::string>;

}  // namespace master
