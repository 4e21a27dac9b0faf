// Notes: one table from kinds to levels and words.
#include "master/notes.h"

#include "common/log.h"

namespace master {
namespace {

struct Wording {
  common::LogLevel level;
  std::string_view text;
};

Wording wording_of(NoteKind kind) {
  using enum common::LogLevel;
  switch (kind) {
    case NoteKind::kRestartNow: return {kError, "worker died, restarting it now"};
    case NoteKind::kRestartLater: return {kError, "worker failed, restarting it later"};
    case NoteKind::kSuccessorTakesOver: return {kError, "worker died, its replacement takes over"};
    case NoteKind::kLeaverCrashed: return {kError, "worker died while it drained; its requests are lost"};
    case NoteKind::kReplacementQueued: return {kInfo, "recycle queued"};
    case NoteKind::kReplacementStarted: return {kInfo, "recycling: a replacement starts"};
    case NoteKind::kReplacementDone: return {kInfo, "recycled: the replacement serves, the old worker drains"};
    case NoteKind::kReplacementPostponed: return {kInfo, "recycle postponed: the template went away"};
    case NoteKind::kReplacementAbandoned:
      return {kWarn, "recycle abandoned: the replacement failed, the old one stays"};
    case NoteKind::kRecycleRefused: return {kWarn, "recycle refused: no worker serves in this slot"};
    case NoteKind::kDrainTimedOut: return {kWarn, "worker did not drain in workers.stop_timeout, killing it"};
    case NoteKind::kUnkillable:
      return {kError, "worker does not die of SIGKILL (stuck in the kernel), going on without"};
    case NoteKind::kTemplateRestart: return {kError, "template lost, starting another"};
    case NoteKind::kTemplateSilent: return {kError, "template did not fork in time, killing it"};
    case NoteKind::kScaled: return {kInfo, "scaled"};
    case NoteKind::kScaleRefused: return {kError, "cannot scale up"};
    case NoteKind::kGivingUp: return {kError, "giving up"};
  }
  return {kInfo, ""};
}

}  // namespace

void log_note(const action::Note& note) {
  const auto [level, text] = wording_of(note.kind);
  const auto delay_ms = common::ceil_milliseconds(note.delay);
  const std::string_view reason = note.reason ? name_of(*note.reason) : std::string_view("-");
  switch (note.kind) {
    case NoteKind::kScaled: return common::log(level, text, {{"workers", note.workers}});
    case NoteKind::kScaleRefused:
      return common::log(level, text, {{"slot", note.slot}, {"workers", note.workers}, {"reason", note.text}});
    case NoteKind::kGivingUp: return common::log(level, text, {{"reason", note.text}});
    case NoteKind::kTemplateRestart: return common::log(level, text, {{"delay_ms", delay_ms}, {"reason", note.text}});
    case NoteKind::kRestartLater:
      return common::log(level, text, {{"slot", note.slot}, {"delay_ms", delay_ms}, {"reason", note.text}});
    case NoteKind::kRestartNow:
    case NoteKind::kSuccessorTakesOver:
    case NoteKind::kLeaverCrashed: return common::log(level, text, {{"slot", note.slot}, {"reason", note.text}});
    case NoteKind::kReplacementAbandoned:
      return common::log(level, text,
                         {{"slot", note.slot}, {"recycle", reason}, {"delay_ms", delay_ms}, {"reason", note.text}});
    case NoteKind::kReplacementQueued:
    case NoteKind::kReplacementStarted:
    case NoteKind::kReplacementDone:
    case NoteKind::kReplacementPostponed:
    case NoteKind::kRecycleRefused: return common::log(level, text, {{"slot", note.slot}, {"recycle", reason}});
    case NoteKind::kDrainTimedOut:
    case NoteKind::kUnkillable:
    case NoteKind::kTemplateSilent: return common::log(level, text, {{"slot", note.slot}});
  }
}

}  // namespace master
