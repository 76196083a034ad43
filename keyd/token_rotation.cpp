#include "token_rotation.hpp"

#include <algorithm>
#include <set>
#include <tuple>

namespace keyd {

using namespace ticket;

namespace {

using Epochs = std::vector<TokenEpoch>;

bool lives(const TokenEpoch& epoch) { return !epoch.ended(); }
bool waits(const TokenEpoch& epoch) { return lives(epoch) && !epoch.begun; }

// It was issuing, or about to, when it was ended.
bool cut_short(const TokenEpoch& epoch) {
  return epoch.ended() && epoch.issues_until == epoch.ended_at;
}

bool somebody_issues(const Epochs& epochs, Moment now) {
  return std::ranges::any_of(epochs, [now](const TokenEpoch& e) { return e.issues(now); });
}

Epochs::iterator first_waiting(Epochs& epochs) { return std::ranges::find_if(epochs, waits); }

void shift(TokenEpoch& epoch, seconds by) {
  epoch.issues_from += by;
  epoch.issues_until += by;
  epoch.redeems_until += by;
}

// Moves what waits from `next` on to another start; who issues goes on until then. What began
// by a clock that was ahead begins later than that start: it issues no more.
void move_to(Epochs& epochs, Epochs::iterator next, sys_seconds start) {
  const auto by = start - next->issues_from;
  for (auto epoch = epochs.begin(); epoch != next; ++epoch) {
    const auto until = std::max(start, epoch->issues_from);
    if (epoch->begun) epoch->issues_until = std::min(epoch->issues_until, until);
  }
  std::for_each(next, epochs.end(), [by](TokenEpoch& epoch) {
    if (waits(epoch)) shift(epoch, by);
  });
}

void end(TokenEpoch& epoch, sys_seconds now) {
  epoch.ended_at = now;
  epoch.closed = true;
  epoch.blind_rsa.clear();
  epoch.ristretto.clear();
}

// Before its time.
void cut(TokenEpoch& epoch, sys_seconds now) {
  epoch.redeems_until = std::min(epoch.redeems_until, now);
  epoch.issues_until = std::min(epoch.issues_until, epoch.redeems_until);
  epoch.issues_from = std::min(epoch.issues_from, epoch.issues_until);
  end(epoch, now);
}

// A token block whose times are not in order is no block to members. Older states have
// some: of epochs that had begun by a clock that was ahead, and were to issue no more.
void put_in_order(Epochs& epochs) {
  for (auto& epoch : epochs) {
    epoch.issues_until = std::max(epoch.issues_until, epoch.issues_from);
    epoch.redeems_until = std::max(epoch.redeems_until, epoch.issues_until);
  }
}

void note_sentinels(Epochs& epochs, const TokenOutlook& sight) {
  for (auto& epoch : epochs) {
    if (waits(epoch) && sight.sentinels.contains(epoch.number)) epoch.sentinel = true;
  }
}

bool record_is_gone(const Epochs& epochs, const TokenOutlook& sight) {
  return std::ranges::any_of(epochs, [&sight](const TokenEpoch& epoch) {
    return lives(epoch) && sight.lost.contains(epoch.number);
  });
}

// What began where nobody records any more, or where the record was lost, was never
// spent as far as anybody can tell: it ends. What waits is replaced by epochs with other
// ids and keys: marked in a second store, the first one might say of the same tokens that
// they are fresh, too.
bool unrecorded(const TokenEpoch& epoch, const TokenOutlook& sight, bool gone) {
  if (!epoch.begun) return gone || (epoch.sentinel && !sight.redis);
  return sight.lost.contains(epoch.number) || epoch.sentinel != sight.redis;
}

void end_what_is_over(Epochs& epochs, const TokenOutlook& sight, Moment now) {
  const bool gone = record_is_gone(epochs, sight);
  for (auto& epoch : epochs) {
    if (epoch.ended()) continue;
    if (sight.cut.contains(epoch.number) || unrecorded(epoch, sight, gone)) {
      cut(epoch, now.steady);
    } else if (now.latest >= (epoch.begun ? epoch.redeems_until : epoch.issues_until)) {
      end(epoch, now.steady);
    }
    epoch.closed |= now.latest >= epoch.issues_until;
  }
}

// A member that is dead or behind keeps nothing alive.
void drop_what_ended(Epochs& epochs, const TokenOutlook& sight, Moment now) {
  std::erase_if(epochs, [&](const TokenEpoch& epoch) {
    if (epoch.ended_in == 0) return false;
    return sight.applied >= epoch.ended_in || now.latest >= epoch.ended_at + token_deadline;
  });
}

// When an epoch that is ready may begin. A table bears the time that keyd told its epoch by,
// whose clock may have been ahead.
sys_seconds soon(const TokenEpoch& epoch, const TokenOutlook& sight, Moment now) {
  return sight.redis ? now.steady + token_soon
                     : std::max(now.steady, epoch.made) + token_soon_with_table;
}

// A table that is not older than its epoch by the redeemer's clock lets nothing of it pass
// (replay/table.hpp): an epoch that its redeemer got late begins later.
void note_held(Epochs& epochs, const TokenOutlook& sight, Moment now) {
  for (auto epoch = epochs.begin(); epoch != epochs.end(); ++epoch) {
    if (!waits(*epoch) || epoch->held) continue;
    epoch->held = epoch->announced_in != 0 && sight.holds >= epoch->announced_in;
    const auto earliest = soon(*epoch, sight, now);
    if (epoch->held && !sight.redis && epoch->issues_from < earliest) {
      move_to(epochs, epoch, earliest);
    }
  }
}

// Nobody issues, or an operator is in a hurry: what all hold need not wait. After a loss
// it does not wait for them either.
void hasten(Epochs& epochs, const TokenPolicy& policy, const TokenOutlook& sight, Moment now) {
  const auto next = first_waiting(epochs);
  if (next == epochs.end()) return;
  const auto start = soon(*next, sight, now);
  if (next->issues_from <= start) return;
  const bool gap = !somebody_issues(epochs, now);
  const bool after_loss = sight.redis && std::ranges::any_of(epochs, cut_short);
  const bool ready = next->held || (sight.redis && sight.rotate) || (gap && after_loss);
  if ((gap || sight.rotate) && ready) return move_to(epochs, next, start);
  const bool wanted = sight.hasten || next->ordered;
  if (!wanted || !(sight.redis ? next->sentinel : next->held)) return;
  auto sooner = epochs;
  move_to(sooner, first_waiting(sooner), start);
  if (!first_gap(sooner, policy)) epochs = std::move(sooner);
}

TokenEpoch new_epoch(std::uint32_t number, sys_seconds start, const TokenPolicy& policy,
                     Moment now) {
  TokenEpoch epoch;
  epoch.number = number;
  epoch.made = now.steady;
  epoch.issues_from = start;
  epoch.issues_until = start + policy.issue_for;
  epoch.redeems_until = epoch.issues_until + policy.redeem_for;
  return epoch;
}

// When an epoch should begin that follows those there are. One that is closed issues no more,
// whatever the clock that was ahead then says now.
sys_seconds next_start(const Epochs& epochs, const TokenOutlook& sight, Moment now) {
  const bool hurry = sight.redis && (sight.rotate || std::ranges::any_of(epochs, cut_short));
  auto start = now.steady + (hurry ? token_soon : token_deadline);
  for (const auto& epoch : epochs) {
    if (lives(epoch) && !epoch.closed && epoch.issues_until > now.steady)
      start = epoch.issues_until;
  }
  return start;
}

// The epoch of an order ended before it began: the next one to be made is that order's.
bool order_is_open(const Epochs& epochs) {
  return !epochs.empty() && epochs.back().ended() && epochs.back().ordered && !epochs.back().begun;
}

// Makes epochs until the schedule reaches publish_ahead from now, as far as there are keys;
// and what is to be hastened.
void make_ahead(TokenPlan& plan, const TokenPolicy& policy, const TokenOutlook& sight, Moment now) {
  auto& epochs = plan.epochs;
  for (auto keys = sight.keys; epochs.size() < most_token_epochs; --keys) {
    const auto start = next_start(epochs, sight, now);
    // moved ahead once it can issue: who issues now goes on until then
    const bool first = std::ranges::none_of(epochs, waits);
    const bool ordered = first && (sight.rotate || order_is_open(epochs));
    const bool early = ordered || (first && sight.hasten);
    if (!early && start > now.steady + policy.publish_ahead) return;
    plan.wants_keys = keys == 0;
    if (plan.wants_keys) return;
    epochs.push_back(new_epoch(++plan.last_number, start, policy, now));
    epochs.back().ordered = ordered;
    move_to(epochs, epochs.end() - 1, start);
  }
}

void begin(Epochs& epochs, const TokenOutlook& sight, Moment now) {
  for (auto& epoch : epochs) {
    if (!waits(epoch) || epoch.issues_from > now.steady || now.latest >= epoch.issues_until)
      continue;
    epoch.begun = sight.redis ? epoch.sentinel : epoch.held;
  }
}

// What members see of it.
auto told(const TokenEpoch& epoch) {
  return std::tie(epoch.number, epoch.issues_from, epoch.issues_until, epoch.redeems_until,
                  epoch.blind_rsa, epoch.ristretto);
}

bool untold(const Epochs& before, const Epochs& now) {
  const bool pending = std::ranges::any_of(now, [](const TokenEpoch& epoch) {
    return epoch.announced_in == 0 || (epoch.ended() && epoch.ended_in == 0);
  });
  return pending || !std::ranges::equal(before, now, [](const TokenEpoch& a, const TokenEpoch& b) {
           return told(a) == told(b);
         });
}

// It goes on when members, Redis or the clock of who was seen last have their say.
bool is_waited_for(const TokenEpoch& epoch, const TokenOutlook& sight) {
  return epoch.ended() || (waits(epoch) && (!epoch.held || (sight.redis && !epoch.sentinel)));
}

sys_seconds next_call(const TokenPlan& plan, const TokenPolicy& policy, const TokenOutlook& sight,
                      Moment now) {
  const auto ahead = now.latest - now.steady;  // what ends does so by the later clock
  auto next = now.steady + std::chrono::hours(24);
  const auto consider = [&next, now](sys_seconds time) {
    if (time > now.steady) next = std::min(next, time);
  };
  for (const auto& epoch : plan.epochs) {
    if (is_waited_for(epoch, sight)) consider(now.steady + token_soon);
    if (epoch.ended()) {
      consider(epoch.ended_at + token_deadline - ahead);
      continue;
    }
    consider(epoch.issues_from);
    consider(epoch.issues_until - ahead);
    consider(epoch.redeems_until - ahead);
    consider(epoch.issues_until - policy.publish_ahead);
  }
  return next;
}

}  // namespace

bool TokenEpoch::issues(Moment now) const {
  return begun && !closed && issues_from <= now.steady && now.latest < issues_until;
}

bool TokenEpoch::began_after(sys_seconds time) const {
  return begun && !ended() && issues_from > time;
}

const char* TokenEpoch::state(Moment now) const {
  if (ended()) return "ended";
  if (!begun) return "announced";
  return issues(now) ? "issuing" : "redeeming";
}

// What ends first makes room for the next; it needs a minute each to be dropped and to be told.
std::optional<TokenGap> first_gap(const Epochs& epochs, const TokenPolicy& policy) {
  std::multiset<sys_seconds> ends;
  sys_seconds due{};
  for (const auto& epoch : epochs) {
    if (!lives(epoch)) continue;
    ends.insert(epoch.redeems_until);
    due = epoch.issues_until;
  }
  if (ends.empty()) return std::nullopt;
  const auto last = *ends.rbegin() + 2 * token_deadline;  // later ones follow the policy alone
  for (; due < last; due += policy.issue_for) {
    if (ends.size() == most_token_epochs) {
      const auto room = *ends.begin() + 2 * token_deadline;
      if (room > due) return TokenGap{due, room};
      ends.erase(ends.begin());
    }
    ends.insert(due + policy.issue_for + policy.redeem_for);
  }
  return std::nullopt;
}

TokenPlan plan_tokens(const Epochs& epochs, std::uint32_t last_number, const TokenPolicy& policy,
                      const TokenOutlook& sight, Moment now) {
  TokenPlan plan;
  plan.epochs = epochs;
  plan.last_number = last_number;
  put_in_order(plan.epochs);
  note_sentinels(plan.epochs, sight);
  end_what_is_over(plan.epochs, sight, now);
  if (!sight.holding) {
    drop_what_ended(plan.epochs, sight, now);
    note_held(plan.epochs, sight, now);
    hasten(plan.epochs, policy, sight, now);
    make_ahead(plan, policy, sight, now);
  }
  begin(plan.epochs, sight, now);
  plan.changed = plan.epochs != epochs;
  plan.publish = !sight.holding && untold(epochs, plan.epochs);
  plan.next = next_call(plan, policy, sight, now);
  return plan;
}

}  // namespace keyd
