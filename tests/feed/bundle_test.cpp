#include "feed/bundle.hpp"

#include <doctest/doctest.h>

#include "support/rings.hpp"
#include "support/token_blocks.hpp"

namespace ticket::feed {

using namespace test;

namespace {

struct Pool {
  crypto::SignerSeed signer = crypto::SignerSeed::random();
  crypto::BoxSecret sealing_key = crypto::BoxSecret::random();
  ContentKey content_key = ContentKey::random();

  Manifest manifest(std::uint64_t generation = 10) const {
    const auto ring = ring_of(hourly(1, 3));
    Manifest manifest;
    manifest.pool = "web";
    manifest.generation = generation;
    manifest.issued_at = noon;
    manifest.not_after = ring.not_after;
    manifest.epochs = ring.epochs;
    manifest.members = {{1, "web1"}, {2, "web2"}};
    manifest.revocations = {{2, noon, noon + 1h}};
    return manifest;
  }
  Bundle seal(const Manifest& manifest) const {
    return seal_bundle(manifest, ring_of(manifest.epochs).secrets, signer, content_key);
  }
  Bytes wrap() const { return seal_wrap(crypto::box_public(sealing_key), content_key, 2); }
  Expectation expected() const { return {"web", crypto::signer_public(signer), {}}; }

  Checked<Opened> open(const Bundle& bundle, Moment now = noon) const {
    return open_bundle(bundle, wrap(), sealing_key, expected(), now);
  }
};

}  // namespace

TEST_SUITE("bundle") {
  TEST_CASE("a member opens what the authority sealed") {
    const Pool pool;
    const auto bundle = pool.seal(pool.manifest());

    const auto opened = pool.open(*parse_bundle(write_bundle(bundle)));
    REQUIRE(opened.has_value());
    CHECK(opened->ring.member == 2);
    CHECK(opened->ring.generation == 10);
    CHECK(opened->ring.epochs == pool.manifest().epochs);
    CHECK(
        std::ranges::equal(opened->ring.secrets.expose(), ring_of(hourly(1, 3)).secrets.expose()));
    CHECK(opened->ring.revocations == pool.manifest().revocations);
    CHECK(opened->applied.generation == 10);
  }

  TEST_CASE("promise 16: a burned epoch travels by name, without its secret") {
    const Pool pool;
    auto manifest = pool.manifest();
    manifest.epochs[0].burned = manifest.epochs[2].burned = true;

    const auto opened = pool.open(pool.seal(manifest));

    REQUIRE(opened.has_value());
    CHECK(opened->manifest.epochs == manifest.epochs);
    REQUIRE(opened->ring.epochs.size() == 1);
    CHECK(opened->ring.epochs[0] == manifest.epochs[1]);
    CHECK(std::ranges::equal(opened->ring.secret(0), ring_of(hourly(1, 3)).secret(1)));
  }

  TEST_CASE("no secret stands in the clear in what is published") {
    const Pool pool;
    const auto text = write_bundle(pool.seal(pool.manifest()));
    const auto ring = ring_of(hourly(1, 3));
    for (std::size_t i = 0; i < 3; ++i) {
      CHECK(text.find(hex(ring.secret(i))) == std::string::npos);
      CHECK(text.find(base64url(ring.secret(i))) == std::string::npos);
    }
  }

  TEST_CASE("promise 8: an older generation is refused, the same one again is not") {
    const Pool pool;
    const auto now_applied = pool.open(pool.seal(pool.manifest(10)))->applied;
    auto expected = pool.expected();
    expected.applied = now_applied;
    const auto open = [&](std::uint64_t generation) {
      return open_bundle(pool.seal(pool.manifest(generation)), pool.wrap(), pool.sealing_key,
                         expected, noon);
    };

    CHECK(open(9).error() == Rejection::rollback);
    CHECK(open(10).has_value());
    CHECK(open(11).has_value());
  }

  TEST_CASE("promise 8: the same generation with another manifest is equivocation") {
    const Pool pool;
    auto expected = pool.expected();
    expected.applied = pool.open(pool.seal(pool.manifest(10)))->applied;
    auto other = pool.manifest(10);
    other.issued_at += 1s;

    CHECK(open_bundle(pool.seal(other), pool.wrap(), pool.sealing_key, expected, noon).error() ==
          Rejection::equivocation);
  }

  TEST_CASE("promise 8: another signer, another pool, and what is past not_after are refused") {
    const Pool pool, stranger;
    const auto bundle = pool.seal(pool.manifest());

    CHECK(stranger.open(bundle).error() == Rejection::forged);
    auto elsewhere = pool.manifest();
    elsewhere.pool = "mail";
    CHECK(pool.open(pool.seal(elsewhere)).error() == Rejection::other_pool);
    CHECK(pool.open(bundle, pool.manifest().not_after - 1s).has_value());
    CHECK(pool.open(bundle, pool.manifest().not_after).error() == Rejection::expired);
  }

  TEST_CASE("promise 8: no part can be altered") {
    const Pool pool;
    const auto bundle = pool.seal(pool.manifest());
    for (std::size_t at = 0; at < bundle.manifest.size(); at += 7) {
      auto altered = bundle;
      altered.manifest[at] = static_cast<char>(altered.manifest[at] ^ 1);
      CHECK(pool.open(altered).error() == Rejection::forged);
    }
    for (std::size_t at = 0; at < bundle.secrets.size(); ++at) {
      auto altered = bundle;
      altered.secrets[at] ^= std::byte{0x80};
      CHECK(pool.open(altered).error() == Rejection::forged);
    }
    for (std::size_t at = 0; at < bundle.signature.size(); ++at) {
      auto altered = bundle;
      altered.signature[at] ^= std::byte{0x10};
      CHECK(pool.open(altered).error() == Rejection::forged);
    }
  }

  TEST_CASE("a bundle brings the token block, and none that does not parse") {
    const Pool pool;
    const auto manifest = pool.manifest();
    const auto block = token_block(1, 2);
    const auto with = [&](BytesView tokens) {
      return seal_bundle(manifest, ring_of(manifest.epochs).secrets, pool.signer, pool.content_key,
                         tokens);
    };

    const auto opened = pool.open(with(block.expose()));
    REQUIRE(opened.has_value());
    CHECK(std::ranges::equal(opened->ring.tokens.expose(), block.expose()));
    CHECK(pool.open(pool.seal(manifest))->ring.tokens.size() == 0);
    CHECK(pool.open(with(block.expose().first(block.size() - 1))).error() == Rejection::malformed);
  }

  TEST_CASE("promise 17: a bundle opens for nobody without a wrap of their own") {
    const Pool pool;
    const auto bundle = pool.seal(pool.manifest());
    const auto other = crypto::BoxSecret::random();

    CHECK(open_bundle(bundle, pool.wrap(), other, pool.expected(), noon).error() ==
          Rejection::not_a_member);
    CHECK(open_bundle(bundle, {}, pool.sealing_key, pool.expected(), noon).error() ==
          Rejection::not_a_member);
    const auto wrong_key = seal_wrap(crypto::box_public(other), ContentKey::random(), 2);
    CHECK(open_bundle(bundle, wrong_key, other, pool.expected(), noon).error() ==
          Rejection::forged);
  }

  TEST_CASE("promise 11: a signed bundle with all-zero or repeated keys is refused") {
    const Pool pool;
    const auto manifest = pool.manifest();
    auto zero = ring_of(manifest.epochs).secrets;
    std::ranges::fill(zero.fill().first(32), std::byte{0});
    auto repeated = ring_of(manifest.epochs).secrets;
    std::ranges::copy(repeated.expose().first(32), repeated.fill().subspan(32).begin());

    for (const auto* secrets : {&zero, &repeated}) {
      const auto bundle = seal_bundle(manifest, *secrets, pool.signer, pool.content_key);
      CHECK(pool.open(bundle).error() == Rejection::bad_key);
    }
  }
}

}  // namespace ticket::feed
