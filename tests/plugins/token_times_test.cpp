// One-time tokens at a real agent while time is not kind: the host's clock is set, an epoch
// ends under load.
#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <deque>
#include <thread>

#include "plugins/token_agent.hpp"
#include "redeem/gate.hpp"
#include "wire/token_block.hpp"

using namespace plugins;
using ticket::Moment;
using ticket::redeem::Gate;
using Verdict = ticket::wire::ClaimAnswer::Verdict;

namespace {

std::string redeem(const TokenAgent& agent, const std::string& authorization) {
  return http_get(agent.http, "/redeem?origin=a.test", authorization);
}

// Tokens, and how often each was taken, by whomever.
struct Purse {
  struct Token {
    std::string value;
    std::atomic<int> taken{0};
  };
  Purse(const TokenAgent& agent, std::size_t count) {
    const auto challenge = field(redeem(agent, ""), "WWW-Authenticate");
    for (std::size_t i = 0; i < count; ++i)
      tokens.emplace_back().value = agent.token_for(challenge);
  }
  int taken() const {
    int sum = 0;
    for (const auto& token : tokens) sum += token.taken;
    return sum;
  }
  int most() const {
    int most = 0;
    for (const auto& token : tokens) most = std::max(most, token.taken.load());
    return most;
  }
  std::deque<Token> tokens;
};

// Presents a purse's tokens, and claims as many places of the same epoch: all of before once
// more, then a few that nobody has presented yet.
class Spender {
 public:
  explicit Spender(TokenAgent& agent) : agent_(agent), purse_(agent, 40) {}

  // How many of the new ones were taken, tokens and places.
  int present(std::size_t more) {
    const auto before = places_.size();
    places_.resize(before + more);
    int taken = 0;
    ClaimsClient claims(agent_.claims());
    for (std::size_t i = 0; i < places_.size(); ++i) {
      auto& token = purse_.tokens.at(i);
      if (status_of(redeem(agent_, token.value)) == 200) ++token.taken;
      REQUIRE(claims.send(place(i)));
      const auto answer = claims.answer();
      REQUIRE(answer.has_value());
      if (answer->verdict == Verdict::fresh) ++places_[i];
      if (i >= before) taken += token.taken + places_[i];
    }
    return taken;
  }
  // How often one of them was taken.
  int most() const { return std::max(purse_.most(), *std::ranges::max_element(places_)); }

 private:
  ticket::wire::Claim place(std::size_t i) const {
    ticket::wire::Claim claim;
    claim.number = static_cast<std::uint32_t>(i);
    claim.epoch = agent_.epoch();
    for (std::size_t k = 0; k < claim.location.size(); ++k) {
      claim.location[k] = static_cast<std::byte>((i + 1) * (k + 3) * 97 >> (k % 3));
    }
    return claim;
  }

  TokenAgent& agent_;
  Purse purse_;
  std::vector<int> places_;  // how often each was
};

}  // namespace

TEST_SUITE("tokens and time") {
#ifndef TICKET_SANITIZED  // whose own functions stand in faketime's way
  TEST_CASE("promise 13: however the host's clock is set, nothing is taken twice") {
    TokenAgent agent({.first_epoch = 2h, .turned = true});
    Spender spender(agent);
    REQUIRE(spender.present(5) == 10);
    const struct {
      const char* clock;
      bool restarted;
      int fresh;  // of three tokens and three places that nobody has presented before
      std::string what;
    } steps[] = {
        {"+0", false, 6, "as it was"},
        {"-1h", false, 3, "back, to before the epoch: a place is claimed, no token is taken"},
        {"+0", false, 6, "put right"},
        {"+1h", false, 0, "ahead: its table may be younger than the epoch"},
        {"+0", false, 0, "put right, for who has not seen it"},
        {"+0", true, 6, "such as the next agent"},
        {"+3h", false, 0, "ahead, beyond the epoch's end"},
        {"+0", true, 0, "put right, and another agent: the table is gone"},
        {"-3h", true, 0, "an agent that starts before the epoch, by its clock"},
        {"+0", false, 0, "which is put right"},
    };
    for (const auto& step : steps) {
      CAPTURE(step.what);
      agent.set_clock(step.clock);
      if (step.restarted) {
        agent.kill();
        agent.start();
      }
      std::this_thread::sleep_for(1200ms);  // it looks once a second
      CHECK(spender.present(3) == step.fresh);
      CHECK(spender.most() == 1);
    }
  }
#endif

  TEST_CASE("promise 13: while an epoch ends under load, nothing is taken twice or too late") {
    TokenAgent agent({.first_epoch = 12s});
    constexpr std::size_t count = 400;
    Purse purse(agent, count);
    // when each is presented first: most before the end, the last ones after it
    const auto begins = std::chrono::system_clock::now();
    const auto ends = std::chrono::system_clock::time_point(agent.first_ends());
    REQUIRE(begins + 1s < ends);
    const auto first_at = [&](std::size_t i) { return begins + (ends + 2s - begins) * i / count; };
    const auto over = [&] { return std::chrono::system_clock::now() > ends + 3s; };

    // a server that embeds libticket, beside the agent
    const ticket::SystemClock clock;
    const auto block = *ticket::wire::parse_token_block(agent.token_block().expose());
    auto made = Gate::make(block, 1, agent.at("web.spent"), clock.now(), nullptr);
    REQUIRE(made.has_value());
    const auto gate = std::move(*made);

    std::atomic<int> late{0};  // taken after the end
    const auto spend = [&](std::size_t stride, const auto& takes) {
      while (!over()) {
        for (std::size_t k = 0; k < count; ++k) {
          const auto i = k * stride % count;
          const auto asked = std::chrono::system_clock::now();
          if (asked < first_at(i) || !takes(purse.tokens[i].value)) continue;
          ++purse.tokens[i].taken;
          if (asked > ends + 1s) ++late;  // its clock is of whole seconds
        }
      }
    };
    {
      std::vector<std::jthread> clients;
      for (const std::size_t stride : {1, 3, 7}) {  // none divides 400 but 1
        clients.emplace_back([&, stride] {
          spend(stride, [&](const auto& value) { return status_of(redeem(agent, value)) == 200; });
        });
        clients.emplace_back([&, stride] {
          spend(stride, [&](const auto& value) {
            return gate->check(value, "a.test", clock.now()).outcome == ticket::redeem::Outcome::ok;
          });
        });
      }
      while (!over()) {
        gate->tend(clock.now());
        std::this_thread::sleep_for(100ms);
      }
    }

    CHECK(purse.most() == 1);
    CHECK(late == 0);
    const auto taken = purse.taken();
    CHECK(taken > 100);
    CHECK(taken < static_cast<int>(count));
    // the next epoch is redeemed where that one was, once
    const auto next = agent.token();
    CHECK(gate->check(next, "a.test", clock.now()).outcome == ticket::redeem::Outcome::ok);
    CHECK(status_of(redeem(agent, next)) == 401);
    using std::filesystem::directory_iterator;
    CHECK(std::distance(directory_iterator(agent.at("web.spent")), directory_iterator()) == 1);
  }
}
