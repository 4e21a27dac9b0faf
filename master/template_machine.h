// The template machine: the states of the process that forks workers, and what each event makes of each of them.
#pragma once

#include <optional>

namespace master {

//            start           ready          unresponsive
//   absent ---------> loading -----> ready --------------> broken
//                      ^  |            |                     |
//             deadline |  | lost       | lost                | lost (SIGKILL has been sent)
//                      |  v            v                     v
//                      backoff <-----------------------------+
//
//   stop:  loading, ready --> terminating --deadline--> killed --lost, deadline--> gone
//          broken --> killed;  absent, backoff --> gone;  terminating --lost--> gone
//   kill:  like stop, without `terminating`
enum class TemplateState {
  kAbsent,       // before event::Started
  kLoading,      // load() runs, for as long as it likes
  kReady,        // forks when asked
  kBroken,       // did not fork in time and was killed; its end is awaited before the next one starts
  kBackoff,      // none; the next is started at the deadline
  kTerminating,  // SIGTERM sent, never to come back; SIGKILL at the deadline
  kKilled,       // SIGKILL sent, never to come back; not waited for beyond the deadline
  kGone,
};

enum class TemplateEvent { kStart, kReady, kLost, kUnresponsive, kStop, kKill, kDeadline };

enum class TemplateEffect { kNone, kLaunch, kTerminate, kKill, kBackOff };

struct TemplateMove {
  TemplateState next;
  TemplateEffect effect;

  bool operator==(const TemplateMove&) const = default;
};

// Total over (state, event); nullopt = cannot happen, so a caller that meets it has a bug. What a foreign process
// says at an odd moment (kReady, kLost) is never impossible, only without consequence.
std::optional<TemplateMove> decide_template_move(TemplateState state, TemplateEvent event);

}  // namespace master
