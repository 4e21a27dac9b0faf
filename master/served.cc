// Served: differences that are believed.
#include "master/served.h"

namespace master {
namespace {

std::uint64_t gain(std::uint64_t before, std::uint64_t now) {
  return now >= before && now - before <= kGainMax ? now - before : 0;
}

}  // namespace

Served gained(const Served& before, const Served& now) {
  return {.requests = gain(before.requests, now.requests), .connections = gain(before.connections, now.connections)};
}

Served operator+(const Served& one, const Served& other) {
  return {.requests = one.requests + other.requests, .connections = one.connections + other.connections};
}

}  // namespace master
