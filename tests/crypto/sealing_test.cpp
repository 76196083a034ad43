#include "crypto/sealing.hpp"

#include <doctest/doctest.h>

#include "crypto/signature.hpp"

namespace ticket::crypto {

namespace {

// Every truncation and every flipped bit of one byte must be refused.
template <class Open>
void refuses_every_change(const Bytes& sealed, Open open) {
  for (std::size_t size = 0; size < sealed.size(); ++size) {
    CAPTURE(size);
    CHECK_FALSE(open(BytesView(sealed).first(size)).has_value());
  }
  for (std::size_t at = 0; at < sealed.size(); ++at) {
    CAPTURE(at);
    auto altered = sealed;
    altered[at] ^= std::byte{0x01};
    CHECK_FALSE(open(altered).has_value());
  }
}

}  // namespace

TEST_SUITE("sealing") {
  TEST_CASE("what one key sealed, it opens with the same associated data only") {
    const auto key = Secret<32>::random();
    const auto sealed = aead_seal(key, as_bytes("plain"), as_bytes("pool"));

    CHECK(as_text(aead_open(key, sealed, as_bytes("pool"))->expose()) == "plain");
    CHECK(aead_open(key, sealed, as_bytes("loop")).error() == Rejection::forged);
    CHECK(aead_open(Secret<32>::random(), sealed, as_bytes("pool")).error() == Rejection::forged);
    refuses_every_change(sealed, [&](BytesView s) { return aead_open(key, s, as_bytes("pool")); });
  }

  TEST_CASE("a box opens for whom it was sealed") {
    const auto key = BoxSecret::random();
    const auto sealed = box_seal(box_public(key), as_bytes("plain"));

    CHECK(as_text(box_open(key, sealed)->expose()) == "plain");
    CHECK(box_open(BoxSecret::random(), sealed).error() == Rejection::forged);
    refuses_every_change(sealed, [&](BytesView s) { return box_open(key, s); });
  }

  TEST_CASE("nothing is sealed to a point of small order") {
    CHECK_THROWS_AS(box_seal(BoxPublic{}, as_bytes("plain")), std::invalid_argument);
  }

  TEST_CASE("Ed25519, RFC 8032 section 7.1, test 2") {
    const auto seed = SignerSeed::copy_of(
        BytesView(*from_hex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"))
            .first<32>());
    const auto message = *from_hex("72");

    CHECK(hex(signer_public(seed)) ==
          "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c");
    const auto signature = sign(seed, message);
    CHECK(hex(signature) ==
          "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
          "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00");
    CHECK(verify(signer_public(seed), message, signature));
    auto altered = signature;
    altered[0] ^= std::byte{1};
    CHECK_FALSE(verify(signer_public(seed), message, altered));
    CHECK_FALSE(verify(signer_public(seed), as_bytes("s"), signature));
  }
}

}  // namespace ticket::crypto
