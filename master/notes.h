// Notes: the words of the log for what Supervision decided.
#pragma once

#include "master/supervision_action.h"

namespace master {

// One line per note, at the level an operator would expect.
void log_note(const action::Note& note);

}  // namespace master
