#include "crypto/hmac.hpp"

#include <doctest/doctest.h>
#include <openssl/hmac.h>

#include "crypto/seal_cipher.hpp"

namespace ticket::crypto {

namespace {

std::string tag_of(BytesView key, BytesView message) {
  ByteArray<32> tag;
  HmacSha256(key).tag(message, tag);
  return hex(tag);
}

}  // namespace

TEST_SUITE("hmac") {
  TEST_CASE("the test cases of RFC 4231, section 4, with keys of up to a block") {
    const struct {
      std::string key, message, tag;
    } cases[] = {
        // 4.2
        {std::string(20, '\x0b'), "Hi There",
         "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
        // 4.3
        {"Jefe", "what do ya want for nothing?",
         "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
        // 4.4
        {std::string(20, '\xaa'), std::string(50, '\xdd'),
         "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"},
    };
    for (const auto& c : cases) {
      CAPTURE(c.tag);
      CHECK(tag_of(as_bytes(c.key), as_bytes(c.message)) == c.tag);
    }
  }

  TEST_CASE("messages of every length, as OpenSSL's HMAC has them") {
    const std::string key(32, 'k');
    for (std::size_t size = 0; size < 300; ++size) {
      const std::string message(size, 'm');
      ByteArray<32> expected;
      unsigned length = 0;
      HMAC(EVP_sha256(), key.data(), 32, raw(as_bytes(message)), size, raw(expected), &length);
      CHECK(tag_of(as_bytes(key), as_bytes(message)) == hex(expected));
    }
  }

  TEST_CASE("a key of more than a block is refused") {
    CHECK_THROWS_AS(HmacSha256(as_bytes(std::string(65, 'k'))), std::invalid_argument);
  }

  TEST_CASE("tags are compared as a whole") {
    ByteArray<32> a{}, b{};
    CHECK(same_tag(a, b));
    for (std::size_t at = 0; at < a.size(); ++at) {
      b = a;
      b[at] ^= std::byte{1};
      CHECK_FALSE(same_tag(a, b));
    }
  }
}

TEST_SUITE("seal cipher") {
  TEST_CASE("what is encrypted in one call opens in pieces, whatever went before") {
    const std::string hmac_key(32, 'h'), aes_key(32, 'a');
    const SealCipher cipher(as_bytes(hmac_key), as_bytes(aes_key));
    for (int round = 0; round < 5; ++round) {
      Bytes blocks(160, std::byte{'p'}), out(160);
      {
        SealCipher::Loan loan(cipher);
        REQUIRE(loan.encrypt(blocks));
      }
      SealCipher::Loan loan(cipher);
      for (std::size_t at = 0; at < blocks.size(); at += 32) {
        REQUIRE(loan.decrypt(BytesView(blocks).subspan(at, 32), std::span(out).subspan(at, 32)));
      }
      CHECK(as_text(BytesView(out).subspan(16)) == std::string(144, 'p'));
    }
  }

  TEST_CASE("a half block is refused") {
    const std::string key(32, 'k');
    const SealCipher cipher(as_bytes(key), as_bytes(key));
    SealCipher::Loan loan(cipher);
    Bytes blocks(40);
    CHECK_FALSE(loan.encrypt(blocks));
  }

  TEST_CASE("keys of another length are refused") {
    const std::string key(32, 'k');
    CHECK_THROWS(SealCipher(as_bytes(key), as_bytes(key.substr(1))));
  }
}

}  // namespace ticket::crypto
