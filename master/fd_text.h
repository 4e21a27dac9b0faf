// Fd text: the JSON of GET /fds for people: per worker its groups of descriptors, worst first. Pure.
#pragma once

#include <cstdint>
#include <string>

#include "common/json.h"

namespace master {

enum class FdDetail : std::uint8_t {
  kGroups,  // what descriptors have in common
  kAll,     // and every single one
};

// Of one report, or of {"workers": [...]}. Members that are missing or of another type are shown as "-" or left out: a
// newer or older supervisor may answer.
std::string render_fds(const common::Json& answer, FdDetail detail);

}  // namespace master
