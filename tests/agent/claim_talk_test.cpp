#include "claim_talk.hpp"

#include <doctest/doctest.h>

#include "agent/fake_desk.hpp"

using keyd::ClaimTalk;
using test::FakeDesk;
using test::Verdict;
using ticket::Bytes;
using ticket::BytesView;
namespace wire = ticket::wire;

namespace {

wire::Claim claim(std::uint32_t number) {
  wire::Claim claim;
  claim.number = number;
  claim.epoch.fill(std::byte{1});
  claim.location.fill(std::byte{static_cast<std::uint8_t>(number)});
  claim.id.fill(std::byte{3});
  return claim;
}

Bytes claims(std::uint32_t first, std::uint32_t last) {
  Bytes bytes;
  for (auto i = first; i <= last; ++i) {
    const auto one = wire::write_claim(claim(i));
    bytes.insert(bytes.end(), one.begin(), one.end());
  }
  return bytes;
}

std::vector<wire::ClaimAnswer> answers(const Bytes& bytes) {
  std::vector<wire::ClaimAnswer> answers;
  REQUIRE(bytes.size() % wire::claim_answer_size == 0);
  for (std::size_t i = 0; i < bytes.size(); i += wire::claim_answer_size) {
    const auto one = wire::parse_claim_answer(BytesView(bytes).subspan(i, wire::claim_answer_size));
    REQUIRE(one.has_value());
    answers.push_back(*one);
  }
  return answers;
}

using Told = wire::ClaimAnswer::Verdict;

}  // namespace

TEST_SUITE("claim talk") {
  TEST_CASE("each verdict is said to the claim that it is for") {
    FakeDesk desk;
    const auto talk = std::make_shared<ClaimTalk>(desk);
    const std::pair<Verdict, Told> cases[] = {{Verdict::fresh, Told::fresh},
                                              {Verdict::replay, Told::replay},
                                              {Verdict::unknown, Told::unknown}};
    std::uint32_t number = 7;
    for (const auto& [verdict, told] : cases) {
      desk.verdict = verdict;

      talk->take(claims(number, number));

      CHECK(answers(talk->take_output()) == std::vector<wire::ClaimAnswer>{{number, told}});
      CHECK(desk.claimed.back() == claim(number));
      ++number;
    }
  }

  TEST_CASE("claims come in whatever pieces") {
    FakeDesk desk;
    const auto talk = std::make_shared<ClaimTalk>(desk);
    for (const auto byte : claims(1, 3)) talk->take(BytesView(&byte, 1));
    CHECK(answers(talk->take_output()).size() == 3);
    CHECK(talk->idle());

    talk->take(BytesView(claims(4, 4)).first(67));
    CHECK(talk->midway());
    CHECK(desk.claimed.size() == 3);
  }

  TEST_CASE("answers go out in the order in which they come") {
    FakeDesk desk;
    desk.at_once = false;
    const auto talk = std::make_shared<ClaimTalk>(desk);
    int woken = 0;
    talk->on_answer([&woken] { ++woken; });
    talk->take(claims(1, 3));
    CHECK(talk->take_output().empty());

    desk.answer_last();
    desk.answer_first();

    const auto told = answers(talk->take_output());
    REQUIRE(told.size() == 2);
    CHECK(told[0].number == 3);
    CHECK(told[1].number == 1);
    CHECK(woken == 2);
    CHECK(talk->busy());
  }

  TEST_CASE("no more claims are taken than may wait, and the next one when one is answered") {
    FakeDesk desk;
    desk.at_once = false;
    const auto talk = std::make_shared<ClaimTalk>(desk);
    const auto most = static_cast<std::uint32_t>(ClaimTalk::most_claims);

    talk->take(claims(1, most + 5));

    CHECK(desk.claimed.size() == most);
    CHECK_FALSE(talk->wants());
    desk.answer_first();
    CHECK(desk.claimed.size() == most + 1);
  }

  TEST_CASE("a peer that never reads is asked no more") {
    FakeDesk desk;
    const auto talk = std::make_shared<ClaimTalk>(desk);
    std::size_t sent = 0;
    for (; talk->wants() && sent < 100'000; ++sent) talk->take(claims(1, 1));
    CHECK(sent < 64 * 1024 / wire::claim_answer_size + 1000);
    const auto unread = talk->take_output().size();
    CHECK(unread <= (64 << 10) + wire::claim_answer_size);
    CHECK(talk->wants());
  }

  TEST_CASE("what had no room for its answer is handled when the peer reads") {
    FakeDesk desk;
    const auto talk = std::make_shared<ClaimTalk>(desk);
    talk->take(claims(1, 20'000));
    CHECK(desk.claimed.size() < 14'000);

    std::size_t answered = 0;
    for (auto out = talk->take_output(); !out.empty(); out = talk->take_output()) {
      answered += out.size() / wire::claim_answer_size;
    }
    CHECK(answered == 20'000);
  }

  TEST_CASE("an answer after the peer is gone goes nowhere") {
    FakeDesk desk;
    desk.at_once = false;
    auto talk = std::make_shared<ClaimTalk>(desk);
    talk->take(claims(1, 2));

    talk->hang_up();
    desk.answer_first();
    CHECK(talk->take_output().empty());
    talk.reset();
    desk.answer_first();
  }

  TEST_CASE("a long row of claims that are answered at once takes no stack") {
    FakeDesk desk;
    const auto talk = std::make_shared<ClaimTalk>(desk);
    std::size_t answered = 0;
    talk->take(claims(1, 800));
    for (int i = 0; i < 100; ++i) {
      answered += talk->take_output().size() / wire::claim_answer_size;
      talk->take(claims(1, 800));
    }
    CHECK(answered == 100 * 800);
  }
}
