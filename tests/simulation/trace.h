// Trace: an event or an action of the simulation in a few words.
#pragma once

#include <string>

#include "master/supervision.h"

namespace master {

std::string words_of(const Event& event, common::TimePoint now);
std::string words_of(const Action& action);

}  // namespace master
