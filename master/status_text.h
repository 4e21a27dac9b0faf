// Status text: the JSON of GET /status as a table for people. Pure.
#pragma once

#include <string>

#include "common/json.h"

namespace master {

// Members that are missing or of another type are shown as "-": a newer or older supervisor may answer.
std::string render_status(const common::Json& status);

// "4s", "5m12s", "3h07m", "12d04h"
std::string render_age(double seconds);

// "512 B", "1.5 MiB"
std::string render_bytes(double bytes);

}  // namespace master
