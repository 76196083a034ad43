// A fuzzer whose seeds are of yesterday's layout never comes past the first byte.
#include "fixture.hpp"
#include "state.hpp"
#include "support/process.hpp"
#include "wire/ring_slot.hpp"
#include "wire/secrets.hpp"
#include "wire/token_block.hpp"

using namespace test;

namespace {

std::string seed(const std::string& name) {
  const auto text = support::read_text(support::source_root() / "fuzz/corpus" / name);
  REQUIRE_FALSE(text.empty());
  return text;
}

}  // namespace

TEST_SUITE("the fuzzer's seeds") {
  TEST_CASE("they are of today's layouts, tokens too") {
    const auto block = seed("parse_token_block/two-epochs");
    CHECK(wire::parse_token_block(as_bytes(block)));
    CHECK(keyd::parse_state(as_bytes(seed("parse_state/empty")), 1));
    CHECK(keyd::parse_state(as_bytes(seed("parse_state/tokens")), 1));

    const auto slot = wire::parse_ring_slot(as_bytes(seed("parse_ring_slot/tokens")));
    REQUIRE(slot);
    CHECK(wire::parse_token_block(slot->tokens.expose()));

    const auto bytes = seed("parse_secrets/tokens");  // which what is parsed looks into
    const auto secrets = wire::parse_secrets(as_bytes(bytes));
    REQUIRE(secrets);
    CHECK(wire::parse_token_block(secrets->tokens));
  }
}
