#include "crypto/digest.hpp"

#include <doctest/doctest.h>

#include "crypto/short_hash.hpp"

namespace ticket::crypto {

TEST_SUITE("digest") {
  TEST_CASE("SHA-256 of abc, FIPS 180-4") {
    CHECK(hex(sha256(as_bytes("abc"))) ==
          "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  }

  TEST_CASE("SipHash-2-4 of 0 to 14 under 0 to 15, Aumasson and Bernstein, appendix A") {
    ByteArray<short_hash_key_size> key;
    for (std::size_t i = 0; i < key.size(); ++i) key[i] = static_cast<std::byte>(i);
    CHECK(hex(short_hash(key, BytesView(key).first(15))) == "e545be4961ca29a1");
  }

  TEST_CASE("HKDF-Expand, RFC 5869 appendices A.1 to A.3") {
    struct {
      const char *prk, *info, *okm;
    } const cases[] = {
        {"077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5", "f0f1f2f3f4f5f6f7f8f9",
         "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"},
        {"19ef24a32c717b167f33a91d6f648bdf96596776afdb6377ac434c1c293ccb04", "",
         "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"},
    };
    for (const auto& test : cases) {
      CAPTURE(test.prk);
      Bytes out(42);
      hkdf_expand(*from_hex(test.prk), *from_hex(test.info), out);
      CHECK(hex(out) == test.okm);
    }
  }
}

}  // namespace ticket::crypto
