// Notes: one table from kinds to levels, events and words.
#include "master/notes.h"

#include <vector>

#include "common/log.h"

namespace master {
namespace {

using common::LogEvent;
using common::LogField;

struct Wording {
  common::LogLevel level;
  LogEvent event;
  std::string_view text;
};

Wording wording_of(NoteKind kind) {
  using enum common::LogLevel;
  switch (kind) {
    case NoteKind::kRestartNow: return {kError, LogEvent::kWorkerDied, "worker died, restarting it now"};
    case NoteKind::kRestartLater: return {kError, LogEvent::kWorkerFailed, "worker failed, restarting it later"};
    case NoteKind::kSuccessorTakesOver:
      return {kError, LogEvent::kWorkerDied, "worker died, its replacement takes over"};
    case NoteKind::kLeaverCrashed:
      return {kError, LogEvent::kWorkerDiedDraining, "worker died while it drained; its requests are lost"};
    case NoteKind::kReplacementQueued: return {kInfo, LogEvent::kRecycleQueued, "recycle queued"};
    case NoteKind::kReplacementStarted: return {kInfo, LogEvent::kRecycleStarted, "recycling: a replacement starts"};
    case NoteKind::kReplacementDone:
      return {kInfo, LogEvent::kRecycled, "recycled: the replacement serves, the old worker drains"};
    case NoteKind::kReplacementPostponed:
      return {kInfo, LogEvent::kRecyclePostponed, "recycle postponed: the template went away"};
    case NoteKind::kReplacementAbandoned:
      return {kWarn, LogEvent::kRecycleAbandoned, "recycle abandoned: the replacement failed, the old one stays"};
    case NoteKind::kRecycleRefused:
      return {kWarn, LogEvent::kRecycleRefused, "recycle refused: no worker serves in this slot"};
    case NoteKind::kDrainTimedOut:
      return {kWarn, LogEvent::kDrainTimedOut, "worker did not drain in workers.stop_timeout, killing it"};
    case NoteKind::kUnkillable:
      return {kError, LogEvent::kWorkerUnkillable,
              "worker does not die of SIGKILL (stuck in the kernel), going on without"};
    case NoteKind::kTemplateRestart: return {kError, LogEvent::kTemplateLost, "template lost, starting another"};
    case NoteKind::kTemplateSilent:
      return {kError, LogEvent::kTemplateSilent, "template did not fork in time, killing it"};
    case NoteKind::kScaled: return {kInfo, LogEvent::kScaled, "scaled"};
    case NoteKind::kScaleRefused: return {kError, LogEvent::kScaleRefused, "cannot scale up"};
    case NoteKind::kGivingUp: return {kError, LogEvent::kGivingUp, "giving up"};
  }
  return {kInfo, LogEvent::kStarting, ""};
}

// Which members of a note are set depends on its kind: see NoteKind.
std::vector<LogField> fields_of(const action::Note& note) {
  const LogField slot("slot", note.slot);
  const LogField delay_ms("delay_ms", common::ceil_milliseconds(note.delay));
  const LogField text("reason", note.text);
  const std::string_view name = note.reason ? name_of(*note.reason) : std::string_view("-");
  const LogField recycle("recycle", name);
  switch (note.kind) {
    case NoteKind::kScaled: return {{"workers", note.workers}};
    case NoteKind::kScaleRefused: return {slot, {"workers", note.workers}, text};
    case NoteKind::kGivingUp: return {text};
    case NoteKind::kTemplateRestart: return {delay_ms, text};
    case NoteKind::kRestartLater: return {slot, delay_ms, text};
    case NoteKind::kRestartNow:
    case NoteKind::kSuccessorTakesOver:
    case NoteKind::kLeaverCrashed: return {slot, text};
    case NoteKind::kReplacementAbandoned: return {slot, recycle, delay_ms, text};
    case NoteKind::kReplacementQueued:
    case NoteKind::kReplacementStarted:
    case NoteKind::kReplacementDone:
    case NoteKind::kReplacementPostponed:
    case NoteKind::kRecycleRefused: return {slot, recycle, LogField::to_filter_by("reason", name)};
    case NoteKind::kDrainTimedOut:
    case NoteKind::kUnkillable:
    case NoteKind::kTemplateSilent: return {slot};
  }
  return {};
}

}  // namespace

void log_note(const action::Note& note, std::optional<std::uint32_t> generation) {
  const auto [level, event, text] = wording_of(note.kind);
  std::vector<LogField> fields = fields_of(note);
  if (generation) fields.push_back(LogField::to_filter_by("generation", *generation));
  common::log({.level = level, .event = event, .message = text, .fields = fields});
}

}  // namespace master
