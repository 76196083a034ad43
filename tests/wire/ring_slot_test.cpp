#include "wire/ring_slot.hpp"

#include "wire/changes.hpp"
#include "wire/token_block.hpp"

namespace ticket::wire {

namespace {

sys_seconds at(int second) { return sys_seconds(seconds(second)); }

RingSlot slot_of_two() {
  RingSlot slot;
  slot.generation = 42;
  slot.member = 7;
  slot.issued_at = at(100);
  slot.not_after = at(200);
  slot.policy[19] = std::byte{9};
  for (std::uint8_t number : {1, 2}) {
    SlotEpoch epoch{number, {}, at(1), at(2), at(3), at(4), 0};
    epoch.id.fill(std::byte{number});
    slot.epochs.push_back(epoch);
  }
  slot.secrets = SecretBytes(64);
  slot.secrets.fill()[0] = std::byte{1};
  slot.secrets.fill()[32] = std::byte{2};
  slot.revocations = {{3, at(5), at(6)}};
  slot.tokens = SecretBytes::copy_of(as_bytes("tokens"));
  return slot;
}

}  // namespace

TEST_SUITE("ring slot") {
  TEST_CASE("it comes back as it went") {
    const auto bytes = write_ring_slot(slot_of_two());

    const auto slot = parse_ring_slot(bytes.expose());
    REQUIRE(slot.has_value());
    CHECK(slot->generation == 42);
    CHECK(slot->member == 7);
    CHECK(slot->epochs.at(1).number == 2);
    CHECK(slot->epochs.at(1).opens_until == at(4));
    CHECK(slot->secrets.expose()[32] == std::byte{2});
    CHECK(slot->revocations.at(0).until == at(6));
    CHECK(as_text(slot->tokens.expose()) == "tokens");
    refuses_every_truncation(bytes.expose(), parse_ring_slot);
  }

  TEST_CASE("every bit stands for something") {
    const auto bytes = write_ring_slot(slot_of_two());
    no_flipped_bit_goes_unseen(bytes.expose(), parse_ring_slot, [&](const RingSlot& slot) {
      return std::ranges::equal(write_ring_slot(slot).expose(), bytes.expose());
    });
  }

  TEST_CASE("a full slot is what max_ring_slot_size says") {
    RingSlot slot;
    slot.epochs.resize(max_epochs);
    slot.secrets = SecretBytes(max_epochs * 32);
    slot.revocations.resize(max_revocations);
    slot.tokens = SecretBytes(max_token_block_size());
    CHECK(write_ring_slot(slot).size() == max_ring_slot_size());
  }
}

}  // namespace ticket::wire
