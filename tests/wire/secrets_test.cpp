#include "wire/secrets.hpp"

#include "wire/changes.hpp"
#include "wire/signed.hpp"

namespace ticket::wire {

namespace {

bool equal(BytesView a, BytesView b) { return std::ranges::equal(a, b); }

}  // namespace

TEST_SUITE("secrets") {
  TEST_CASE("epoch secrets come back as they went") {
    const Bytes id(16, std::byte{1}), other_id(16, std::byte{2});
    const Bytes secret(32, std::byte{3}), other_secret(32, std::byte{4});
    const auto bytes =
        write_secrets({{{1, id, secret}, {2, other_id, other_secret}}, as_bytes("tokens")});

    const auto parsed = parse_secrets(bytes.expose());
    REQUIRE(parsed.has_value());
    REQUIRE(parsed->epochs.size() == 2);
    CHECK(parsed->epochs[1].number == 2);
    CHECK(equal(parsed->epochs[0].id, id));
    CHECK(equal(parsed->epochs[1].secret, other_secret));
    CHECK(as_text(parsed->tokens) == "tokens");
    refuses_every_truncation(bytes.expose(), parse_secrets);
    no_flipped_bit_goes_unseen(bytes.expose(), parse_secrets, [&](const auto& p) {
      return equal(write_secrets(p).expose(), bytes.expose());
    });
  }

  TEST_CASE("more epochs than any policy allows are malformed") {
    CHECK(parse_secrets(*from_hex("020041")).error() == Rejection::malformed);
  }

  TEST_CASE("a wrap comes back as it went") {
    const Bytes key(32, std::byte{5});
    const auto bytes = write_wrap(key, 0x0102);

    const auto wrap = parse_wrap(bytes.expose());
    REQUIRE(wrap.has_value());
    CHECK(wrap->member == 0x0102);
    CHECK(equal(wrap->content_key, key));
    refuses_every_truncation(bytes.expose(), parse_wrap);
  }

  TEST_CASE("what is signed keeps its fields apart") {
    const ByteArray<32> one{std::byte{1}}, two{std::byte{2}};
    const sys_seconds time(seconds(9));

    CHECK(bundle_message(one, two) != bundle_message(two, one));
    CHECK(as_text(enrol_message(one, "web", two, time)).starts_with(enrol_prefix));
    CHECK(enrol_message(one, "web", two, time).size() == 18 + 32 + 1 + 3 + 32 + 8);
    CHECK(enrol_message(one, "web", two, time) != enrol_message(one, "we", two, time));
  }
}

}  // namespace ticket::wire
