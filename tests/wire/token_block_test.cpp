#include "wire/token_block.hpp"

#include "wire/changes.hpp"

namespace ticket::wire {

namespace {

sys_seconds at(int second) { return sys_seconds(seconds(second)); }

// Two epochs: both types of key, then the ristretto one alone.
struct Sample {
  Bytes location = Bytes(32, std::byte{1}), later_location = Bytes(32, std::byte{7}),
        rsa = Bytes(rsa_token_key_size, std::byte{2}), scalar = Bytes(32, std::byte{3});
  TokenBlock block;

  Sample() {
    block.issuer = "issuer.example";
    block.origin_info = "a.test,b.test";
    block.ristretto_type = 5;
    block.record = TokenRecord::redis;
    block.redeemer = 7;
    block.epochs.push_back({1,
                            {std::byte{9}},
                            at(1),
                            at(2),
                            at(3),
                            at(4),
                            1'000'000,
                            {std::byte{4}},
                            location,
                            {},
                            rsa,
                            scalar});
    block.epochs.push_back({2,
                            {std::byte{8}},
                            at(1),
                            at(3),
                            at(4),
                            at(9),
                            5,
                            {std::byte{5}},
                            later_location,
                            {},
                            {},
                            scalar});
  }
};

std::string written(const TokenBlock& block) { return hex(write_token_block(block).expose()); }

}  // namespace

TEST_SUITE("token block") {
  TEST_CASE("it comes back as it went") {
    const Sample sample;
    const auto bytes = write_token_block(sample.block);

    const auto block = parse_token_block(bytes.expose());
    REQUIRE(block.has_value());
    CHECK(block->issuer == "issuer.example");
    CHECK(block->origin_info == "a.test,b.test");
    CHECK(block->record == TokenRecord::redis);
    CHECK(block->redeemer == 7);
    REQUIRE(block->epochs.size() == 2);
    CHECK(block->epochs[0].redeems_until == at(4));
    CHECK(block->epochs[0].capacity == 1'000'000);
    CHECK(block->epochs[1].capacity == 5);
    CHECK(std::ranges::equal(block->epochs[0].blind_rsa, sample.rsa));
    CHECK(block->epochs[1].blind_rsa.empty());
    CHECK(std::ranges::equal(block->epochs[1].ristretto, sample.scalar));
    refuses_every_truncation(bytes.expose(), parse_token_block);
    no_flipped_bit_goes_unseen(bytes.expose(), parse_token_block, [&](const TokenBlock& p) {
      return std::ranges::equal(write_token_block(p).expose(), bytes.expose());
    });
  }

  TEST_CASE("what no keyd writes is malformed") {
    const struct {
      const char* what;
      void (*change)(TokenBlock&);
    } changes[] = {
        {"no issuer", [](TokenBlock& b) { b.issuer = ""; }},
        {"no capacity", [](TokenBlock& b) { b.epochs[1].capacity = 0; }},
        {"numbers that do not grow", [](TokenBlock& b) { b.epochs[1].number = 1; }},
        {"no number", [](TokenBlock& b) { b.epochs[0].number = 0; }},
        {"an id twice", [](TokenBlock& b) { b.epochs[1].id = b.epochs[0].id; }},
        {"issuing ends before it begins", [](TokenBlock& b) { b.epochs[0].issues_from = at(9); }},
        {"redemption ends before issuing",
         [](TokenBlock& b) { b.epochs[0].redeems_until = at(2); }},
        {"a short key",
         [](TokenBlock& b) { b.epochs[0].blind_rsa = b.epochs[0].blind_rsa.first(341); }},
        {"a short scalar",
         [](TokenBlock& b) { b.epochs[0].ristretto = b.epochs[0].ristretto.first(31); }},
    };
    for (const auto& change : changes) {
      CAPTURE(change.what);
      Sample sample;
      change.change(sample.block);
      CHECK(parse_token_block(write_token_block(sample.block).expose()).error() ==
            Rejection::malformed);
    }
  }

  TEST_CASE("promise 11: all-zero and repeated location keys are refused") {
    Sample sample;
    const Bytes zero(32, std::byte{0});
    for (const BytesView key : {BytesView(zero), BytesView(sample.location)}) {
      sample.block.epochs[1].location_key = key;
      CHECK(parse_token_block(write_token_block(sample.block).expose()).error() ==
            Rejection::bad_key);
    }
  }

  TEST_CASE("an epoch goes when its redemption is over") {
    const Sample sample;
    const auto bytes = write_token_block(sample.block);
    auto second_alone = sample.block;
    second_alone.epochs.erase(second_alone.epochs.begin());

    CHECK(hex(without_ended(bytes.expose(), at(3)).expose()) == written(sample.block));
    CHECK(hex(without_ended(bytes.expose(), at(4)).expose()) == written(second_alone));
    CHECK(parse_token_block(without_ended(bytes.expose(), at(9)).expose())->epochs.empty());
    CHECK(without_ended(as_bytes("nonsense"), at(0)).size() == 0);
  }

  TEST_CASE("a full block is what max_token_block_size says") {
    Sample sample;
    const std::string issuer(max_name_size, 'i'), origins(max_origin_info, 'o');
    sample.block.issuer = issuer;
    sample.block.origin_info = origins;
    sample.block.epochs.resize(max_token_epochs, sample.block.epochs[0]);
    for (auto& epoch : sample.block.epochs) epoch = sample.block.epochs[0];
    CHECK(write_token_block(sample.block).size() == max_token_block_size());

    sample.block.epochs.push_back(sample.block.epochs[0]);
    CHECK_THROWS_AS(write_token_block(sample.block), std::length_error);
  }
}

}  // namespace ticket::wire
