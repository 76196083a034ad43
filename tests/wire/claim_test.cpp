#include "wire/claim.hpp"

#include "wire/changes.hpp"

namespace ticket::wire {

namespace {

Claim a_claim() {
  Claim claim{.number = 0x01020304};
  claim.epoch.fill(std::byte{5});
  claim.location.fill(std::byte{6});
  claim.id.fill(std::byte{7});
  return claim;
}

}  // namespace

TEST_SUITE("claims socket") {
  TEST_CASE("a claim comes back as it went, and has one length") {
    const auto claim = a_claim();
    const auto bytes = write_claim(claim);

    CHECK(hex(BytesView(bytes).first(6)) == "010203040505");
    const auto parsed = parse_claim(bytes);
    REQUIRE(parsed.has_value());
    CHECK(*parsed == claim);
    refuses_every_truncation(bytes, parse_claim);
    no_flipped_bit_goes_unseen(bytes, parse_claim, [&](const Claim& p) { return p == claim; });
    auto longer = to_bytes(bytes);
    longer.push_back({});
    CHECK(parse_claim(longer).error() == Rejection::malformed);
  }

  TEST_CASE("an answer comes back as it went, and says one of three things") {
    using enum ClaimAnswer::Verdict;
    for (const auto verdict : {fresh, replay, unknown}) {
      const ClaimAnswer answer{0xfffffffe, verdict};
      const auto bytes = write_claim_answer(answer);
      const auto parsed = parse_claim_answer(bytes);
      REQUIRE(parsed.has_value());
      CHECK(*parsed == answer);
      refuses_every_truncation(bytes, parse_claim_answer);
      no_flipped_bit_goes_unseen(bytes, parse_claim_answer,
                                 [&](const ClaimAnswer& p) { return p == answer; });
    }
    CHECK(parse_claim_answer(*from_hex("0000000003")).error() == Rejection::malformed);
    CHECK(parse_claim_answer(*from_hex("000000000000")).error() == Rejection::malformed);
  }
}

}  // namespace ticket::wire
