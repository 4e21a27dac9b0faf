// Judgement: attempt by attempt, and then id by id.
#include "judgement.h"

#include <algorithm>
#include <numeric>
#include <ostream>
#include <unordered_map>

namespace lifecycle {
namespace {

constexpr std::size_t kExamplesMax = 12;
// A client reads an answer, from when on its silence counts, later than the server counts it as given.
constexpr int kGraceShare = 2;

bool is_between(common::TimePoint point, common::TimePoint from, common::TimePoint until) {
  return from <= point && point <= until;
}

bool held_by(const Attempt& attempt, const Death& death) {
  if (!is_between(death.at, attempt.connected, attempt.ended)) return false;
  if (attempt.port != 0) return std::ranges::binary_search(death.ports, attempt.port);
  // Without a port: a unix socket, or no connection at all, which no death excuses.
  if (attempt.kind != Kind::kUnixSocket || attempt.ending == Ending::kRefused) return false;
  return attempt.server == 0 || attempt.server == death.pid;
}

bool overlaps(const Attempt& attempt, const Shortage& shortage) {
  if (attempt.server != 0 && attempt.server != shortage.pid) return false;
  return attempt.sent <= shortage.until && attempt.ended >= shortage.from;
}

// Whether that generation could have written the answer at some moment between the request and the answer's end. Later
// it may do so only as long as its workers drain, on connections that they had before.
bool is_allowed(const Attempt& attempt, const History& history) {
  return std::ranges::any_of(history.epochs, [&](const Epoch& epoch) {
    if (epoch.letter != attempt.letter || epoch.generation != attempt.generation) return false;
    if (epoch.begins > attempt.ended) return false;
    if (epoch.ends >= attempt.sent) return true;
    return attempt.connected <= epoch.ends && attempt.sent - epoch.ends <= history.drain_max;
  });
}

std::string milliseconds(common::Duration duration) {
  return std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(duration).count()) + " ms";
}

struct Fate {  // of an id
  std::uint32_t answers = 0;
  std::uint32_t ends = 0;  // attempts after which it was not tried again
};

class Judge {
 public:
  explicit Judge(const History& history) : history_(history) {}

  Judgement run() {
    judgement_.attempts = history_.attempts.size();
    for (const Attempt& attempt : history_.attempts) look_at(attempt);
    for (const auto& [id, fate] : fates_) look_at(id, fate);
    return std::move(judgement_);
  }

 private:
  void look_at(const Attempt& attempt) {
    Fate& fate = fates_[attempt.id];
    switch (attempt.ending) {
      case Ending::kAnswered:
        ++judgement_.answered[static_cast<std::size_t>(attempt.kind)];
        ++fate.answers;
        ++fate.ends;
        if (!is_allowed(attempt, history_)) find(judgement_.wrong_generation, attempt, "of a generation not due");
        return;
      case Ending::kNotAccepted: ++judgement_.resent; return;
      case Ending::kNotSent: return judge_closed(attempt);
      case Ending::kTurnedAway:
        ++fate.ends;
        if (is_excused_by_shortage(attempt)) return;
        return fail(attempt);
      case Ending::kSurplus: return fail(attempt);
      case Ending::kRefused:
      case Ending::kReset:
      case Ending::kTruncated:
      case Ending::kUnanswered:
      case Ending::kTimedOut:
      case Ending::kWrong: ++fate.ends; return fail(attempt);
    }
  }

  // `sent` is when the connection fell silent: closing it earlier than the grace allows costs a client its request
  // whenever the two cross on the way.
  void judge_closed(const Attempt& attempt) {
    ++judgement_.resent;
    if (attempt.ended - attempt.sent >= history_.grace / kGraceShare) return;
    if (is_excused_by_death(attempt) || is_excused_by_shortage(attempt)) return;
    find(judgement_.hasty, attempt, "closed before its grace was over");
  }

  bool is_excused_by_death(const Attempt& attempt) {
    const auto held = [&](const Death& death) { return held_by(attempt, death); };
    if (!std::ranges::any_of(history_.deaths, held)) return false;
    ++judgement_.excused_by_death;
    return true;
  }

  bool is_excused_by_shortage(const Attempt& attempt) {
    const auto during = [&](const Shortage& shortage) { return overlaps(attempt, shortage); };
    if (!std::ranges::any_of(history_.shortages, during)) return false;
    ++judgement_.excused_by_shortage;
    return true;
  }

  void fail(const Attempt& attempt) {
    const bool may_be_excused = attempt.ending == Ending::kReset || attempt.ending == Ending::kTruncated ||
                                attempt.ending == Ending::kUnanswered;
    if (may_be_excused && is_excused_by_death(attempt)) return;
    const bool may_have_crossed = attempt.ending == Ending::kReset || attempt.ending == Ending::kUnanswered;
    if (may_have_crossed && executed(attempt.id) == 0 && is_excused_by_shortage(attempt)) return;
    find(judgement_.failed[static_cast<std::size_t>(attempt.ending)], attempt, name_of(attempt.ending));
  }

  void look_at(std::uint32_t id, const Fate& fate) {
    const std::uint32_t count = executed(id);
    if (fate.answers > 1) find(judgement_.answered_twice, id, "answered twice");
    if (count > 1) find(judgement_.executed_twice, id, "executed " + std::to_string(count) + " times");
    if (fate.answers > 0 && count == 0) find(judgement_.never_executed, id, "answered and never executed");
    if (fate.ends == 0) find(judgement_.forgotten, id, "given up by its client");
  }

  std::uint32_t executed(std::uint32_t id) const {
    return id < history_.executions.size() ? history_.executions[id] : 0;
  }

  void find(std::uint64_t& counter, const Attempt& attempt, const std::string& what) {
    std::string text = name_of(attempt.kind) + (": " + what) + ", " + milliseconds(attempt.ended - attempt.sent);
    if (attempt.server != 0) text += ", worker " + std::to_string(attempt.server);
    if (attempt.letter != 0) text += std::string(", build ") + attempt.letter;
    if (attempt.generation != 0) text += " of generation " + std::to_string(attempt.generation);
    for (const Epoch& epoch : history_.epochs) {
      if (epoch.generation != attempt.generation) continue;
      text += ", connected " + milliseconds(attempt.connected - epoch.ends) + " and sent " +
              milliseconds(attempt.sent - epoch.ends) + " after its time";
    }
    find(counter, attempt.id, text);
  }

  void find(std::uint64_t& counter, std::uint32_t id, const std::string& what) {
    ++counter;
    if (judgement_.examples.size() >= kExamplesMax) return;
    judgement_.examples.push_back("request " + std::to_string(id) + ": " + what);
  }

  const History& history_;
  std::unordered_map<std::uint32_t, Fate> fates_;
  Judgement judgement_;
};

}  // namespace

const char* name_of(Kind kind) {
  constexpr std::array<const char*, kKinds> kNames = {"new connection", "keep-alive",      "pipelined",
                                                      "slow sender",    "slow reader",     "chunked",
                                                      "unix socket",    "connect and wait"};
  return kNames[static_cast<std::size_t>(kind)];
}

const char* name_of(Ending ending) {
  constexpr std::array<const char*, kEndings> kNames = {"answered",  "not accepted", "not sent",  "turned away",
                                                        "refused",   "reset",        "truncated", "unanswered",
                                                        "timed out", "wrong",        "surplus"};
  return kNames[static_cast<std::size_t>(ending)];
}

std::uint64_t Judgement::answers() const { return std::accumulate(answered.begin(), answered.end(), std::uint64_t{0}); }

std::uint64_t Judgement::findings() const {
  return std::accumulate(failed.begin(), failed.end(), std::uint64_t{0}) + hasty + wrong_generation + answered_twice +
         executed_twice + never_executed + forgotten;
}

std::ostream& operator<<(std::ostream& out, const Judgement& judgement) {
  out << judgement.attempts << " attempts, answered";
  for (std::size_t kind = 0; kind < kKinds; ++kind) {
    out << (kind == 0 ? " " : ", ") << judgement.answered[kind] << " " << name_of(static_cast<Kind>(kind));
  }
  out << "; sent again " << judgement.resent << ", excused by a death " << judgement.excused_by_death
      << ", by a shortage " << judgement.excused_by_shortage << "; findings " << judgement.findings();
  for (std::size_t ending = 0; ending < kEndings; ++ending) {
    if (judgement.failed[ending] == 0) continue;
    out << ", " << name_of(static_cast<Ending>(ending)) << " " << judgement.failed[ending];
  }
  out << ", hasty " << judgement.hasty << ", wrong generation " << judgement.wrong_generation << ", answered twice "
      << judgement.answered_twice << ", executed twice " << judgement.executed_twice << ", never executed "
      << judgement.never_executed << ", forgotten " << judgement.forgotten;
  for (const std::string& example : judgement.examples) out << "\n  " << example;
  return out;
}

Judgement judge(const History& history) { return Judge(history).run(); }

}  // namespace lifecycle
