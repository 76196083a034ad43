#include "wire/ring_slot.hpp"

#include <algorithm>

#include "wire/cursor.hpp"
#include "wire/token_block.hpp"

namespace ticket::wire {

namespace {

constexpr std::uint8_t version = 3;
constexpr std::size_t head_size = 1 + 8 + 2 + 8 + 8 + 21;
constexpr std::size_t epoch_size = 4 + 16 + 4 * 8 + 1 + epoch_secret_size;
constexpr std::size_t revocation_size = 2 + 8 + 8;

std::size_t slot_size(std::size_t epochs, std::size_t revocations, std::size_t tokens) {
  return head_size + 2 + epochs * epoch_size + 2 + revocations * revocation_size + 4 + tokens;
}

Checked<SlotEpoch> parse_epoch(Cursor& cursor, std::span<std::byte> secret) {
  SlotEpoch epoch;
  epoch.number = TRY(cursor.integer<std::uint32_t>());
  epoch.id = TRY(cursor.array<16>());
  for (auto* time : {&epoch.made, &epoch.seals_from, &epoch.seals_until, &epoch.opens_until}) {
    *time = TRY(cursor.time());
  }
  epoch.flags = TRY(cursor.integer<std::uint8_t>());
  std::ranges::copy(TRY(cursor.take(epoch_secret_size)), secret.begin());
  return epoch;
}

}  // namespace

std::size_t max_ring_slot_size() {
  return slot_size(max_epochs, max_revocations, max_token_block_size());
}

SecretBytes write_ring_slot(const RingSlot& slot) {
  SecretBytes bytes(slot_size(slot.epochs.size(), slot.revocations.size(), slot.tokens.size()));
  Writer writer(bytes.fill());
  writer.integer(version)
      .integer(slot.generation)
      .integer(slot.member)
      .time(slot.issued_at)
      .time(slot.not_after)
      .bytes(slot.policy);
  writer.integer(static_cast<std::uint16_t>(slot.epochs.size()));
  auto secrets = slot.secrets.expose();
  for (const auto& epoch : slot.epochs) {
    writer.integer(epoch.number)
        .bytes(epoch.id)
        .time(epoch.made)
        .time(epoch.seals_from)
        .time(epoch.seals_until)
        .time(epoch.opens_until)
        .integer(epoch.flags)
        .bytes(secrets.first(epoch_secret_size));
    secrets = secrets.subspan(epoch_secret_size);
  }
  writer.integer(static_cast<std::uint16_t>(slot.revocations.size()));
  for (const auto& revocation : slot.revocations) {
    writer.integer(revocation.minter).time(revocation.from).time(revocation.until);
  }
  writer.long_field(slot.tokens.expose());
  return bytes;
}

Checked<RingSlot> parse_ring_slot(BytesView body) {
  Cursor cursor(body);
  if (TRY(cursor.integer<std::uint8_t>()) != version) return reject(Rejection::malformed);
  RingSlot slot;
  slot.generation = TRY(cursor.integer<std::uint64_t>());
  slot.member = TRY(cursor.integer<std::uint16_t>());
  slot.issued_at = TRY(cursor.time());
  slot.not_after = TRY(cursor.time());
  slot.policy = TRY(cursor.array<21>());

  const auto epochs = TRY(cursor.integer<std::uint16_t>());
  if (epochs > max_epochs) return reject(Rejection::malformed);
  slot.secrets = SecretBytes(epochs * epoch_secret_size);
  for (std::size_t i = 0; i < epochs; ++i) {
    const auto secret = slot.secrets.fill().subspan(i * epoch_secret_size, epoch_secret_size);
    slot.epochs.push_back(TRY(parse_epoch(cursor, secret)));
  }

  const auto revocations = TRY(cursor.integer<std::uint16_t>());
  if (revocations > max_revocations) return reject(Rejection::malformed);
  for (std::size_t i = 0; i < revocations; ++i) {
    SlotRevocation revocation;
    revocation.minter = TRY(cursor.integer<std::uint16_t>());
    revocation.from = TRY(cursor.time());
    revocation.until = TRY(cursor.time());
    slot.revocations.push_back(revocation);
  }
  const auto tokens = TRY(cursor.long_field());
  if (tokens.size() > max_token_block_size()) return reject(Rejection::malformed);
  slot.tokens = SecretBytes::copy_of(tokens);
  TRY(cursor.end());
  return slot;
}

}  // namespace ticket::wire
