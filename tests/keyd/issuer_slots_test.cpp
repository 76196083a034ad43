// At most eight token epochs stand at a time: whatever takes one, others must be able to
// follow without a break.
#include "issuer_fixture.hpp"
#include "token_schedule.hpp"

using test::IssuingHouse;
using test::rotate_issuer;
using test::Schedule;
using test::tokens_config;
using namespace ticket;
using namespace std::chrono_literals;

namespace {

// Of ristretto alone, whose keys cost nothing: each epoch has another one.
keyd::TokensConfig ristretto_config() {
  auto config = tokens_config(true, true);
  config.blind_rsa = false;
  return config;
}

// How long nothing issues in the next days: looked at whenever anything may change.
seconds time_without(IssuingHouse& house, seconds time) {
  seconds without{0};
  for (const auto end = house.now + time; house.now < end;) {
    house.follow();
    const auto next =
        std::clamp(house.authority->next(house.now), std::min(house.now + 1s, end), end);
    if (house.issuing() == 0) without += next - house.now;
    house.now = next;
  }
  house.follow();
  return without;
}

}  // namespace

TEST_SUITE("issuer's slots") {
  TEST_CASE("a rotation that would stop issuing later is refused, and the others stop nothing") {
    for (const auto between : {seconds(2min), seconds(2h)}) {
      CAPTURE(between.count());
      IssuingHouse house(ristretto_config());
      house.run(1h);
      int carried_out = 0;
      std::string refused;
      for (int i = 0; i < 8; ++i) {
        const auto answer = house.order(rotate_issuer());
        answer.at("ok") == true ? void(++carried_out)
                                : void(refused = answer.at("error").get<std::string>());
        house.run(between);
      }
      CHECK(carried_out == 6);
      CHECK(refused.find("issuing would stop in ") != std::string::npos);
      CHECK(refused.find("8 token epochs") != std::string::npos);
      CHECK(house.issuing() != 0);
      CHECK(time_without(house, 72h) == 0s);
      CHECK(house.order(rotate_issuer()).at("ok") == true);
    }
  }

  TEST_CASE("where eight stand the alarm says so, and until when") {
    IssuingHouse house(tokens_config(true));
    house.run(1h);
    auto state = house.store.state();
    auto& tokens = state.pool("web")->tokens;
    for (std::uint32_t number = 2; number <= 8; ++number) {
      auto epoch = tokens.epochs.front();
      epoch.number = number;
      epoch.id[0] ^= std::byte(number);
      tokens.epochs.push_back(epoch);
      tokens.secrets.emplace_back(Secret<32>::random().expose(), BytesView(), BytesView());
    }
    for (auto& epoch : tokens.epochs) epoch.issues_until = house.now, epoch.closed = true;
    tokens.last_epoch = 8;
    house.authority = house.begin(std::move(state));
    house.authority->configure(house.pools(), house.now);
    house.tend();
    CHECK(house.alarm("issuing") ==
          "no token epoch issues: 8 token epochs stand already, the first ends in 47 hours");
  }

  TEST_CASE("a type that is added takes no slot that issuing will want") {
    IssuingHouse house(ristretto_config());
    house.run(1h);
    for (int i = 0; i < 6; ++i) {
      REQUIRE(house.order(rotate_issuer()).at("ok") == true);
      house.run(10s);
    }
    house.config.blind_rsa = true;
    house.reload();
    CHECK(time_without(house, 72h) == 0s);
    CHECK(house.ask() == 200);
  }

  TEST_CASE("a type that is added while its record is not reachable stops nothing") {
    for (const bool redis : {true, false}) {
      CAPTURE(redis);
      IssuingHouse house(tokens_config(redis));
      house.run(3h);
      house.store_lives = house.member_lives = false;
      house.config.ristretto = true;
      house.reload();
      for (int i = 0; i < 60; ++i) {
        house.run(10s);
        REQUIRE(house.issuing() == 1);
      }
      CHECK(house.ask() == 200);
      house.store_lives = house.member_lives = true;
      house.run(40s);
      CHECK(house.issuing() == 2);
      CHECK(house.ask(test::TokenType::ristretto) == 200);
    }
  }

  TEST_CASE("an order to rotate while the record is not reachable stops nothing, and is kept") {
    for (int i = 0; i < 4; ++i) {
      const bool redis = i % 2 != 0;
      const bool restarted = i / 2 != 0;
      CAPTURE(redis);
      CAPTURE(restarted);
      IssuingHouse house(tokens_config(redis));
      house.run(3h);
      house.store_lives = house.member_lives = false;
      REQUIRE(house.order(rotate_issuer()).at("ok") == true);
      for (int time = 0; time < 60; ++time) {
        house.run(10s);
        REQUIRE(house.issuing() == 1);
      }
      if (restarted) house.begin_again();
      house.store_lives = house.member_lives = true;
      house.run(40s);
      CHECK(house.issuing() == 2);
      CHECK(house.ask() == 200);
      house.run(2h);
      CHECK(house.issuing() == 2);
    }
  }

  TEST_CASE("a shorter policy leaves no room for gaps, and an order to rotate is carried out") {
    IssuingHouse house(ristretto_config());
    house.run(30h);
    house.config.issue_for = house.config.redeem_for = 1h;
    house.config.publish_ahead = 30min;
    house.reload();
    CHECK(house.order(rotate_issuer()).at("ok") == true);
    CHECK(time_without(house, 72h) == 0s);
  }

  TEST_CASE("when a gap comes, for policies with few slots to spare") {
    struct {
      keyd::TokenPolicy policy;
      int rotations;  // before one more would make a gap
    } const policies[] = {{{24h, 24h, 1h}, 6}, {{24h, 120h, 1h}, 2}, {{1h, 30min, 2min}, 6}};
    for (const auto& one : policies) {
      const auto& policy = one.policy;
      CAPTURE(policy.redeem_for.count());
      Schedule pool(true);
      pool.policy = policy;
      pool.live(2min);
      int count = 0;
      while (true) {
        CHECK(pool.issuing() != nullptr);
        auto next = pool;
        next.sight.rotate = true;
        next.settle();
        next.live(10s);
        if (next.issuing()->number == pool.issuing()->number) break;  // it waits for its time
        pool = next;
        ++count;
      }
      CHECK(count == one.rotations);
      // as foreseen
      for (int i = 0; i < 600; ++i) {
        CHECK(pool.issuing() != nullptr);
        pool.live(policy.issue_for / 60);
      }
    }
  }
}
