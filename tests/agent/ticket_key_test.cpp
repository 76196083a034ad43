#include "ticket_key.hpp"

#include <doctest/doctest.h>

#include "ring/derive.hpp"
#include "support/rings.hpp"

using namespace ticket;
using namespace ticket::test;
using keyd::KeyLayout;

namespace {

unsigned number(const ring::Epoch* epoch) { return epoch == nullptr ? 0 : epoch->number; }

Bytes material(const ring::Ring& ring, std::size_t epoch, std::string_view purpose) {
  Bytes bytes(80);
  ring::derive_stek(ring.secret(epoch), purpose, "web", "default",
                    std::span<std::byte, 80>(bytes.data(), 80));
  return bytes;
}

Bytes joined(std::initializer_list<BytesView> parts) {
  Bytes all;
  for (const auto part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

Bytes key(const keyd::HeldKeys& held, std::size_t slot) {
  return to_bytes(held.keys.at(slot).expose());
}

}  // namespace

TEST_SUITE("ticket key") {
  TEST_CASE("which epoch is in which slot, over the life of a pool") {
    auto epochs = hourly(1, 4);  // each opens for 12 h after its hour
    const struct {
      seconds after_noon;
      unsigned previous, sealing, next;
      const char* when;
    } moments[] = {
        {-1s, 0, 0, 1, "before the first seals"},
        {0s, 0, 1, 2, "the first seals: there is no previous one"},
        {1h, 1, 2, 3, "after a rotation"},
        {3h, 3, 4, 0, "the last seals: there is no next one"},
        {4h + 6h, 3, 4, 0, "the last is stretched"},
        {15h + 30min, 0, 4, 0, "older ones no longer open"},
        {16h, 0, 0, 0, "past the last"},
    };
    for (const auto& moment : moments) {
      CAPTURE(moment.when);
      const auto held = keyd::held_epochs(epochs, 12h, noon + moment.after_noon);
      CHECK(number(held.sealing) == moment.sealing);
      CHECK(number(held.next) == moment.next);
      if (moment.previous == 0) {
        CHECK(held.previous.empty());
      } else {
        REQUIRE_FALSE(held.previous.empty());
        CHECK(number(held.previous.front()) == moment.previous);
      }
    }
  }

  TEST_CASE("older keys stand newest first, burned ones nowhere") {
    auto epochs = hourly(1, 6);
    epochs[1].burned = epochs[4].burned = true;

    const auto held = keyd::held_epochs(epochs, 12h, noon + 3h);

    CHECK(number(held.sealing) == 4);
    CHECK(number(held.next) == 6);
    REQUIRE(held.previous.size() == 2);
    CHECK(number(held.previous[0]) == 3);
    CHECK(number(held.previous[1]) == 1);
  }

  TEST_CASE("each layout is the ring's key, its parts in the server's order") {
    const auto ring = ring_of(hourly(1, 3));
    const auto long_key = material(ring, 1, "tls/openssl");
    const auto short_key = material(ring, 1, "tls/openssl-aes128");
    const BytesView all(long_key), half(short_key);
    const auto sealing = [&](KeyLayout layout) {
      return key(keyd::held_keys(ring, "default", layout, 3, noon + 1h), 0);
    };

    CHECK(sealing(KeyLayout::nginx) == long_key);
    CHECK(sealing(KeyLayout::haproxy) ==
          joined({all.first(16), all.subspan(48), all.subspan(16, 32)}));
    CHECK(sealing(KeyLayout::short48) ==
          joined({half.first(16), half.subspan(16, 16), half.subspan(48, 16)}));
  }

  TEST_CASE("a slot without a key of its own holds the sealing key again") {
    const auto ring = ring_of(hourly(1, 1));

    const auto held = keyd::held_keys(ring, "default", KeyLayout::haproxy, 3, noon);

    CHECK_FALSE(held.drawn);
    CHECK(key(held, 1) == key(held, 0));
    CHECK(key(held, 2) == key(held, 0));
  }

  TEST_CASE("past the last epoch nothing known stands, and never the same twice") {
    const auto ring = ring_of(hourly(1, 3));

    const auto held = keyd::held_keys(ring, "default", KeyLayout::haproxy, 3, noon + 24h);
    const auto again = keyd::held_keys(ring, "default", KeyLayout::haproxy, 3, noon + 24h);

    CHECK(held.drawn);
    CHECK(held.fingerprint == again.fingerprint);
    for (std::size_t slot = 0; slot < 3; ++slot) {
      CHECK(key(held, slot) != key(again, slot));
      CHECK(key(held, slot) != key(held, (slot + 1) % 3));
      for (std::size_t epoch = 0; epoch < 3; ++epoch) {
        const auto known = material(ring, epoch, "tls/openssl");
        CHECK_FALSE(std::equal(known.begin(), known.begin() + 16, key(held, slot).begin()));
      }
    }
  }

  TEST_CASE("when none may seal, those that still open do") {
    const auto ring = ring_of(hourly(1, 2));  // the second: sealed until 14:00, opens until 02:00
    auto strict = ring_of(hourly(1, 2));
    strict.policy.stretch = 0s;

    const auto held = keyd::held_keys(strict, "default", KeyLayout::nginx, 3, noon + 3h);

    CHECK(held.drawn);
    CHECK(key(held, 2) == material(ring, 1, "tls/openssl"));
  }

  TEST_CASE("another context has other keys and another epoch another fingerprint") {
    const auto ring = ring_of(hourly(1, 4));
    const auto at = [&](const char* context, seconds after) {
      return keyd::held_keys(ring, context, KeyLayout::nginx, 3, noon + after);
    };
    CHECK(key(at("a", 0s), 0) != key(at("b", 0s), 0));
    CHECK(at("a", 0s).fingerprint == at("a", 59min).fingerprint);
    CHECK(at("a", 0s).fingerprint != at("a", 1h).fingerprint);
  }

  TEST_CASE("keys as lines of base64") {
    const auto one = SecretBytes::copy_of(as_bytes("key")),
               two = SecretBytes::copy_of(as_bytes("keys"));

    CHECK(as_text(keyd::base64_lines({&one, &two}).expose()) == "a2V5\na2V5cw==\n");
  }

  TEST_CASE("what a lifetime costs where few keys are held") {
    ring::Policy policy;  // 1h and 12h
    const auto cost = keyd::cost_of_feeding(policy, 3);
    CHECK(cost.find("those older than 1h to 2h are full handshakes here") != std::string::npos);

    CHECK(keyd::cost_of_feeding(policy, 14).empty());
    policy.lifetime = policy.rotate_every;
    CHECK(keyd::cost_of_feeding(policy, 3).empty());
    CHECK_FALSE(keyd::cost_of_feeding(policy, 1).empty());

    policy.unattributed = ring::Unattributed::refuse;
    CHECK(keyd::cost_of_feeding(policy, 3).starts_with("the pool refuses unattributed tickets"));
  }
}
