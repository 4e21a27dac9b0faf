// Crowd: many connections at once, more than one loopback address has ports for.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "support/http_client.h"

namespace incidents {

using Crowd = std::vector<support::HttpClient>;

// `count` connections that have said nothing yet. Those that cannot be made are reported as failures of the test.
Crowd connect_crowd(const std::string& address, std::size_t count);

// How many of these connections the server has not ended yet; what it sent stays unread.
std::size_t count_open(const Crowd& crowd);

}  // namespace incidents
