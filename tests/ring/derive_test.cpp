#include "ring/derive.hpp"

#include <doctest/doctest.h>
#include <openssl/hmac.h>

#include <set>

namespace ticket::ring {

namespace {

std::string stek(std::string_view purpose, std::string_view pool, std::string_view context,
                 std::uint8_t secret = 1) {
  const Bytes bytes(32, std::byte{secret});
  ByteArray<80> out;
  derive_stek(bytes, purpose, pool, context, out);
  return hex(out);
}

}  // namespace

TEST_SUITE("derive") {
  TEST_CASE("the first block is HMAC(secret, info | 0x01), RFC 5869 section 2.3") {
    const std::string info(
        "libticket 1\x0btls/openssl\x03web\x01"
        "a\x01",
        30);
    const Bytes secret(32, std::byte{1});
    Bytes block(32);
    HMAC(EVP_sha256(), secret.data(), 32, raw(as_bytes(info)), info.size(), raw(block), nullptr);

    CHECK(stek(purpose::openssl, "web", "a").substr(0, 64) == hex(block));
  }

  TEST_CASE("purpose, pool, context and secret each give other keys, wherever a byte moves") {
    std::set<std::string> seen;
    CHECK(seen.insert(stek("tls/openssl", "web", "a")).second);
    CHECK(seen.insert(stek("tls/wolfssl", "web", "a")).second);
    CHECK(seen.insert(stek("tls/openssl", "wea", "b")).second);
    CHECK(seen.insert(stek("tls/openssl", "we", "ba")).second);
    CHECK(seen.insert(stek("tls/openssl", "web", "")).second);
    CHECK(seen.insert(stek("tls/openss", "lweb", "a")).second);
    CHECK(seen.insert(stek("tls/openssl", "web", "a", 2)).second);
    CHECK_FALSE(seen.insert(stek("tls/openssl", "web", "a")).second);
  }

  TEST_CASE("the name key stands behind the others, and changes none of them") {
    const Bytes secret(32, std::byte{1});
    ByteArray<key_material_size> whole;
    derive_stek(secret, purpose::openssl, "web", "a", whole);
    CHECK(hex(BytesView(whole).first(80)) == stek(purpose::openssl, "web", "a"));
    CHECK_FALSE(all_zero(BytesView(whole).last(16)));
  }

  TEST_CASE("a name of more than 255 bytes is a caller's mistake") {
    CHECK_THROWS(stek("tls/openssl", "web", std::string(256, 'x')));
  }
}

}  // namespace ticket::ring
