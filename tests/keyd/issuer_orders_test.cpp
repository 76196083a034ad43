// What an operator orders of a pool's token epochs: to rotate, to burn, to expel.
#include "issuer_fixture.hpp"

using namespace test;
using keyd::Order;

TEST_SUITE("issuer's orders") {
  TEST_CASE("by order the next epoch issues, and the audit log says who wanted it") {
    IssuingHouse house(tokens_config(true));
    CHECK(error(house.order({.kind = Order::Kind::rotate_issuer, .pool = "mail"})) ==
          "no pool is called 'mail'");
    house.run(1h);
    const auto answer = house.order(rotate_issuer());
    REQUIRE(error(answer).empty());
    CHECK(answer.at("epoch") == 2);
    CHECK(house.tells("issuer rotation ordered"));
    CHECK(house.issuing() == 1);
    house.run(5s);
    CHECK(house.issuing() == 2);
    CHECK(stored(house, 1) == "L");

    house.run(23h + 30min);
    CHECK(house.order(rotate_issuer()).at("epoch") == 3);
    house.run(2s);
    // in a hurry still: it begins as soon as it can, and that is what it says
    CHECK(house.order(rotate_issuer()).at("epoch") == 3);
    house.run(3s);
    CHECK(house.issuing() == 3);
  }

  TEST_CASE("an order that cannot be carried out says why, and changes nothing") {
    IssuingHouse house(tokens_config(true));
    house.run(23h);
    house.store_lives = false;
    house.run(30min);
    const auto blob = *house.store.blob;
    CHECK(error(house.order(rotate_issuer())).find("sentinel") != std::string::npos);
    house.authority->order(rotate_issuer(), [&](const json& answer) {
      CHECK(error(answer).find("clock") != std::string::npos);
    });
    house.authority->tend(Moment(house.now, house.now + 400s));
    house.tend();
    CHECK(house.issuing() == 1);

    IssuingHouse keyless(tokens_config(true));
    keyless.run(1h);
    keyless.maker_lives = false;
    for (int i = 0; i < 2; ++i) {
      keyless.order(rotate_issuer());
      keyless.run(6s);
    }
    CHECK(error(keyless.order(rotate_issuer())).find("key is being made") != std::string::npos);

    House plain;
    plain.tend();
    CHECK(error(plain.order(rotate_issuer())).find("issues no tokens") != std::string::npos);
  }

  TEST_CASE("an order for a pool that leaves the configuration meanwhile is refused") {
    IssuingHouse house(tokens_config(true));
    house.run(1h);
    std::string said;
    house.authority->order(rotate_issuer(), [&](const json& answer) { said = error(answer); });
    house.authority->configure({}, house.now);
    house.tend();
    CHECK(said == "no pool is called 'web'");
  }

  TEST_CASE("promise 16: burned by order, tokens of before are taken nowhere, and others issue") {
    for (const bool redis : {true, false}) {
      for (const auto type : {TokenType::blind_rsa, TokenType::ristretto}) {
        CAPTURE(redis);
        CAPTURE(static_cast<int>(type));
        IssuingHouse house(tokens_config(redis, true));
        house.run(23h + 30min);  // epoch 1 issues, 2 is announced
        const auto withdrawal = house.withdrawal(type);
        const auto token =
            withdrawal.finish(*from_base64url(house.ask(withdrawal.request()).body))->front();
        REQUIRE(Redeeming(house).takes(token, house.now));
        const auto before = house.last().generation;

        const auto answer = house.order(burn_tokens());

        REQUIRE(error(answer).empty());
        CHECK(answer.at("burned") == 2);
        CHECK(answer.at("epoch") == 3);
        CHECK(answer.at("generation") > before);
        CHECK(house.tells("tokens burned"));
        CHECK_FALSE(Redeeming(house).takes(token, house.now));
        CHECK(house.issuing() == 0);
        CHECK(house.ask(withdrawal.request()).status == 503);
        for (const std::uint32_t number : {1, 2}) CHECK(stored(house, number) == "L");

        house.run(redis ? 6s : 31s);
        CHECK(house.issuing() == 3);
        for (const std::uint32_t number : {1, 2}) CHECK(stored(house, number) == "-");
        CHECK(house.ask(type) == 200);
        CHECK_FALSE(Redeeming(house).takes(token, house.now));
      }
    }
  }

  TEST_CASE("a burn waits neither for the clock nor for a key") {
    IssuingHouse house(tokens_config(true));
    house.run(1h);
    const auto withdrawal = house.withdrawal();
    const auto token =
        withdrawal.finish(*from_base64url(house.ask(withdrawal.request()).body))->front();
    house.maker_lives = false;
    const auto before = house.last().generation;
    json answer;
    house.authority->order(burn_tokens(), [&](const json& told) { answer = told; });
    house.authority->tend(Moment(house.now, house.now + 400s));
    REQUIRE(error(answer).empty());
    CHECK(answer.at("burned") == 1);
    CHECK(answer.at("epoch") == 0);
    REQUIRE(house.last().generation > before);
    CHECK_FALSE(Redeeming(house).takes(token, house.now));
    CHECK(stored(house, 1) == "L");

    house.maker_lives = true;
    house.run(10s);  // the clocks agree again
    CHECK(house.issuing() == 2);
    CHECK(house.ask() == 200);
  }

  TEST_CASE("promise 16: who is expelled has no private key of an epoch that goes on") {
    for (const bool burn : {true, false}) {
      for (const bool ristretto : {true, false}) {
        CAPTURE(burn);
        CAPTURE(ristretto);
        IssuingHouse house(tokens_config(true, ristretto));
        const Server web2(house.ca, "web2", "ticket:member:web:web2");
        house.run(23h + 30min);
        REQUIRE(house.enrol(web2).status == 200);
        house.order({.kind = Order::Kind::expel, .pool = "web", .member = "web2", .burn = burn});
        house.run(10s);
        const auto tokens = house.state();
        for (const std::uint32_t number : {1, 2}) {
          const auto* epoch = find(tokens, number);
          CHECK((epoch == nullptr || epoch->ended()) == (burn && ristretto));
        }
        CHECK(house.ask(ristretto ? TokenType::ristretto : TokenType::blind_rsa) == 200);
      }
    }
  }
}
