// Trace: events and actions in words.
#include "trace.h"

#include <variant>

#include "supervision_stage.h"

namespace master {
namespace {

std::string number(std::uint64_t value) { return std::to_string(value); }

struct DescribeEvent {
  std::string operator()(const event::Started&) const { return "started"; }
  std::string operator()(const event::TemplateReady& it) const { return "template ready g" + number(it.generation); }
  std::string operator()(const event::TemplateLost& it) const {
    return "template lost g" + number(it.generation) + (it.phase == TemplatePhase::kLoading ? " while loading" : "");
  }
  std::string operator()(const event::Spawned& it) const { return "spawned " + number(it.worker); }
  std::string operator()(const event::SpawnFailed& it) const { return "spawn failed " + number(it.worker); }
  std::string operator()(const event::WorkerReady& it) const { return "ready " + number(it.worker); }
  std::string operator()(const event::WorkerExited& it) const {
    return "exited " + number(it.worker) + " cause " + number(static_cast<std::uint64_t>(it.cause)) + " requests " +
           number(it.requests_served);
  }
  std::string operator()(const event::SlotOpened& it) const { return "opened @" + number(it.slot); }
  std::string operator()(const event::SlotOpenFailed& it) const { return "open failed @" + number(it.slot); }
  std::string operator()(const event::RecycleAsked& it) const {
    return "recycle @" + number(it.slot) + " worker " + number(it.worker) + " for " + std::string(name_of(it.reason));
  }
  std::string operator()(const event::ScaleAsked& it) const { return "scale to " + number(it.workers); }
  std::string operator()(const event::ReloadAsked& it) const {
    return "reload g" + number(it.generation) + " with " + number(it.settings.workers.count) + " workers";
  }
  std::string operator()(const event::StopAsked& it) const {
    return "stop kind " + number(static_cast<std::uint64_t>(it.kind));
  }
  std::string operator()(const event::Tick&) const { return "tick"; }
};

}  // namespace

std::string words_of(const Event& event, common::TimePoint now) {
  const auto milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count();
  return std::to_string(milliseconds) + "ms " + std::visit(DescribeEvent{}, event);
}

std::string words_of(const Action& action) {
  if (const auto* note = std::get_if<action::Note>(&action)) {
    return "note " + number(static_cast<std::uint64_t>(note->kind)) + " @" + number(note->slot) + " worker " +
           number(note->worker) + (note->reason ? " for " + std::string(name_of(*note->reason)) : "") +
           (note->text.empty() ? "" : ": " + note->text);
  }
  return std::visit(Describe{}, action);
}

}  // namespace master
