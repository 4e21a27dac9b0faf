// Judgement: what went wrong in a history, by kind of wrong. Pure: it looks at nothing but its argument.
//
// What counts as a loss is stricter than HTTP: a client may repeat a request on another connection only when the server
// said that it would not answer it ("Connection: close" before it), or when it had closed a connection that had been
// silent for longer than the grace of a drain.
//
// A generation may answer from when it was asked for until the reload that replaced it was answered. After that its
// workers may drain: the connections they had are served as long as that takes, and no new one.
//
// What is excused, and why:
//  - a failed attempt on a connection that a killed worker held when it died. Over TCP that is known exactly, from the
//    census of its connections. A unix socket's peer has no name: there the pid that answered before on the connection
//    says it, and a connection without an answer may have been anybody's who died while it was open;
//  - a worker that was made short of descriptors may answer 503, and close connections that have nothing in flight. A
//    request that crosses such a close on the way is excused if the application never began with it: it does not start
//    what it cannot answer.
#pragma once

#include <array>
#include <cstdint>
#include <iosfwd>
#include <string>
#include <vector>

#include "history.h"

namespace lifecycle {

struct Judgement {
  std::uint64_t attempts = 0;
  std::array<std::uint64_t, kKinds> answered{};  // by kind
  std::array<std::uint64_t, kEndings> failed{};  // attempts by ending, those that are excused left out
  std::uint64_t resent = 0;  // kNotAccepted, and kNotSent after the grace: not losses
  std::uint64_t hasty = 0;  // kNotSent before the grace was over
  std::uint64_t excused_by_death = 0;
  std::uint64_t excused_by_shortage = 0;
  std::uint64_t wrong_generation = 0;  // answered by a generation that was not allowed then
  std::uint64_t answered_twice = 0;  // ids
  std::uint64_t executed_twice = 0;  // ids
  std::uint64_t never_executed = 0;  // ids with an answer all the same
  std::uint64_t forgotten = 0;  // ids that were never tried to the end: a mistake of the client
  std::vector<std::string> examples;  // of the first findings, in words

  std::uint64_t failures(Ending ending) const { return failed[static_cast<std::size_t>(ending)]; }
  std::uint64_t answers() const;
  // All of it but what is excused and what was sent again.
  std::uint64_t findings() const;
};
std::ostream& operator<<(std::ostream& out, const Judgement& judgement);

Judgement judge(const History& history);

}  // namespace lifecycle
