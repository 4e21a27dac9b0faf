// Notes: the words of the log for what Supervision decided.
#pragma once

#include <cstdint>
#include <optional>

#include "master/supervision_action.h"

namespace master {

// One line per note, at the level an operator would expect. `generation` is that of the worker it speaks of, if known.
void log_note(const action::Note& note, std::optional<std::uint32_t> generation);

}  // namespace master
