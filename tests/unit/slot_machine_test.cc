// The slot machine and the template machine: every (state, event), as a table to be read.
#include "master/slot_machine.h"

#include <gtest/gtest.h>

#include <array>

#include "master/template_machine.h"

namespace master {
namespace {

TEST(SlotMachine, IsTotal) {
  using enum SlotEffect;
  using Move = std::optional<SlotMove>;
  using enum SlotState;
  using E = SlotEvent;
  constexpr auto V = kVacant, W = kWaiting, S = kStarting, R = kReady, P = kReplacing, B = kBackoff;
  const std::array states = {V, W, S, R, P, B};
  const Move x = std::nullopt;
  const auto m = [](SlotState next, SlotEffect effect = kNone) { return Move(SlotMove{next, effect}); };
  struct Row {
    SlotEvent event;
    std::array<Move, 6> moves;
  };
  // clang-format off
  const std::array rows = {
      //                       vacant waiting    starting         ready            replacing        backoff
      Row{E::kWanted,          {m(W), m(W),       m(S),            m(R),            m(P),            m(B)}},
      Row{E::kUnwanted,        {m(V), m(V),       m(V, kLeave),    m(V, kLeave),    m(V, kLeave),    m(V)}},
      Row{E::kForkable,        {x,    m(S, kAsk), x,               x,               x,               x}},
      Row{E::kRetryDue,        {x,    x,          x,               x,               x,               m(W)}},
      Row{E::kReplace,         {x,    x,          x,               m(P, kAsk),      x,               x}},
      Row{E::kAwaitedReady,    {x,    x,          m(R, kPromote),  x,               m(R, kHandOver), x}},
      Row{E::kAwaitedFailed,   {x,    x,          m(B, kBackOff),  x,               m(R, kAbandon),  x}},
      Row{E::kAwaitedUnforked, {x,    x,          m(W, kRestart),  x,               m(R, kPostpone), x}},
      Row{E::kAwaitedWithdrawn, {x,   x,          m(W, kWithdraw), x,               m(R, kWithdraw), x}},
      Row{E::kServingLost,     {x,    x,          x,               m(W, kRestart),  m(S, kSucceed),  x}},
      Row{E::kServingFailed,   {x,    x,          x,               m(B, kBackOff),  m(S, kSucceed),  x}},
  };
  // clang-format on
  for (const Row& row : rows) {
    for (std::size_t i = 0; i < states.size(); ++i) {
      EXPECT_EQ(decide_slot_move(states[i], row.event), row.moves[i])
          << "state " << i << ", event " << static_cast<int>(row.event);
    }
  }
}

TEST(TemplateMachine, IsTotal) {
  using enum TemplateEffect;
  using Move = std::optional<TemplateMove>;
  using enum TemplateState;
  using E = TemplateEvent;
  constexpr auto A = kAbsent, L = kLoading, R = kReady, B = kBroken, O = kBackoff, T = kTerminating, K = kKilled;
  constexpr auto G = kGone;
  const Move x = std::nullopt;
  const auto m = [](TemplateState next, TemplateEffect effect = kNone) { return Move(TemplateMove{next, effect}); };
  struct Row {
    TemplateState state;
    std::array<Move, 7> moves;
  };
  const std::array events = {E::kStart, E::kReady, E::kLost, E::kUnresponsive, E::kStop, E::kKill, E::kDeadline};
  // clang-format off
  const std::array rows = {
      //     start          ready lost            unresponsive  stop               kill         deadline
      Row{A, {m(L, kLaunch), m(A), m(A),           x,           m(G),              m(G),        x}},
      Row{L, {x,             m(R), m(O, kBackOff), x,           m(T, kTerminate),  m(K, kKill), x}},
      Row{R, {x,             m(R), m(O, kBackOff), m(B, kKill), m(T, kTerminate), m(K, kKill), x}},
      Row{B, {x,             m(B), m(O, kBackOff), m(B),        m(K),              m(K),        x}},
      Row{O, {x,             m(O), m(O),           x,           m(G),              m(G),        m(L, kLaunch)}},
      Row{T, {x,             m(T), m(G),           m(T),        m(T),              m(K, kKill), m(K, kKill)}},
      Row{K, {x,             m(K), m(G),           m(K),        m(K),              m(K),        m(G)}},
      Row{G, {x,             m(G), m(G),           x,           m(G),              m(G),        x}},
  };
  // clang-format on
  for (const Row& row : rows) {
    for (std::size_t i = 0; i < events.size(); ++i) {
      EXPECT_EQ(decide_template_move(row.state, events[i]), row.moves[i])
          << "state " << static_cast<int>(row.state) << ", event " << i;
    }
  }
}

}  // namespace
}  // namespace master
