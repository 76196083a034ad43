#include "wire/token_block.hpp"

#include <algorithm>
#include <set>
#include <stdexcept>

#include "wire/cursor.hpp"

namespace ticket::wire {

namespace {

constexpr std::uint8_t version = 2;
constexpr std::size_t ristretto_key_size = 32;
constexpr std::size_t head_size = 1 + 1 + 2 + 2 + 1 + 2 + 1;  // beside its two texts
constexpr std::size_t epoch_size = 4 + 16 + 4 * 8 + 4 + 32 + 32 + 16 + 2 + 1;  // beside its keys

void write_epoch(Writer& writer, const TokenBlockEpoch& epoch) {
  writer.integer(epoch.number)
      .bytes(epoch.id)
      .time(epoch.made)
      .time(epoch.issues_from)
      .time(epoch.issues_until)
      .time(epoch.redeems_until)
      .integer(epoch.capacity)
      .bytes(epoch.context)
      .bytes(epoch.location_key)
      .bytes(epoch.sentinel)
      .integer(static_cast<std::uint16_t>(epoch.blind_rsa.size()))
      .bytes(epoch.blind_rsa)
      .short_field(epoch.ristretto);
}

bool fits(BytesView key, std::size_t size) { return key.empty() || key.size() == size; }

Checked<TokenBlockEpoch> parse_epoch(Cursor& cursor) {
  TokenBlockEpoch epoch;
  epoch.number = TRY(cursor.integer<std::uint32_t>());
  epoch.id = TRY(cursor.array<16>());
  for (auto* time : {&epoch.made, &epoch.issues_from, &epoch.issues_until, &epoch.redeems_until}) {
    *time = TRY(cursor.time());
  }
  epoch.capacity = TRY(cursor.integer<std::uint32_t>());
  epoch.context = TRY(cursor.array<32>());
  epoch.location_key = TRY(cursor.take(32));
  epoch.sentinel = TRY(cursor.array<16>());
  epoch.blind_rsa = TRY(cursor.take(TRY(cursor.integer<std::uint16_t>())));
  epoch.ristretto = TRY(cursor.short_field());
  const bool sizes =
      fits(epoch.blind_rsa, rsa_token_key_size) && fits(epoch.ristretto, ristretto_key_size);
  const bool times =
      epoch.issues_from <= epoch.issues_until && epoch.issues_until <= epoch.redeems_until;
  const bool numbers = epoch.number != 0 && epoch.capacity != 0;
  if (!sizes || !times || !numbers) return reject(Rejection::malformed);
  return epoch;
}

Checked<TokenRecord> parse_record(std::uint8_t value) {
  if (value > static_cast<std::uint8_t>(TokenRecord::redis)) return reject(Rejection::malformed);
  return static_cast<TokenRecord>(value);
}

bool consistent(const TokenBlock& block) {
  std::set<ByteArray<16>> ids;
  std::uint32_t number = 0;
  for (const auto& epoch : block.epochs) {
    if (epoch.number <= number || !ids.insert(epoch.id).second) return false;
    number = epoch.number;
  }
  return !block.issuer.empty();
}

// No door takes keys that were never drawn, or one for two epochs.
bool fit_keys(const std::vector<TokenBlockEpoch>& epochs) {
  for (std::size_t i = 0; i < epochs.size(); ++i) {
    if (all_zero(epochs[i].id) || all_zero(epochs[i].location_key)) return false;
    for (std::size_t other = 0; other < i; ++other) {
      if (sodium_memcmp(epochs[i].location_key.data(), epochs[other].location_key.data(), 32) == 0)
        return false;
    }
  }
  return true;
}

std::size_t size_of(const TokenBlock& block) {
  auto size = head_size + block.issuer.size() + block.origin_info.size();
  for (const auto& epoch : block.epochs) {
    size += epoch_size + epoch.blind_rsa.size() + epoch.ristretto.size();
  }
  return size;
}

}  // namespace

SecretBytes write_token_block(const TokenBlock& block) {
  if (block.origin_info.size() > max_origin_info || block.epochs.size() > max_token_epochs) {
    throw std::length_error("a token block with more origins or epochs than fit");
  }
  SecretBytes bytes(size_of(block));
  Writer writer(bytes.fill());
  writer.integer(version)
      .short_field(as_bytes(block.issuer))
      .integer(static_cast<std::uint16_t>(block.origin_info.size()))
      .bytes(as_bytes(block.origin_info))
      .integer(block.ristretto_type)
      .integer(static_cast<std::uint8_t>(block.record))
      .integer(block.redeemer)
      .integer(static_cast<std::uint8_t>(block.epochs.size()));
  for (const auto& epoch : block.epochs) write_epoch(writer, epoch);
  return bytes;
}

Checked<TokenBlock> parse_token_block(BytesView bytes) {
  Cursor cursor(bytes);
  if (TRY(cursor.integer<std::uint8_t>()) != version) return reject(Rejection::malformed);
  TokenBlock block;
  block.issuer = as_text(TRY(cursor.short_field()));
  const auto origins = TRY(cursor.integer<std::uint16_t>());
  if (origins > max_origin_info) return reject(Rejection::malformed);
  block.origin_info = as_text(TRY(cursor.take(origins)));
  block.ristretto_type = TRY(cursor.integer<std::uint16_t>());
  block.record = TRY(parse_record(TRY(cursor.integer<std::uint8_t>())));
  block.redeemer = TRY(cursor.integer<std::uint16_t>());
  const auto count = TRY(cursor.integer<std::uint8_t>());
  if (count > max_token_epochs) return reject(Rejection::malformed);
  for (std::size_t i = 0; i < count; ++i) block.epochs.push_back(TRY(parse_epoch(cursor)));
  TRY(cursor.end());
  if (!consistent(block)) return reject(Rejection::malformed);
  if (!fit_keys(block.epochs)) return reject(Rejection::bad_key);
  return block;
}

SecretBytes without_ended(BytesView bytes, sys_seconds now) {
  auto block = parse_token_block(bytes);
  if (!block) return {};
  std::erase_if(block->epochs,
                [now](const TokenBlockEpoch& epoch) { return now >= epoch.redeems_until; });
  return write_token_block(*block);
}

std::size_t max_token_block_size() {
  return head_size + max_name_size + max_origin_info +
         max_token_epochs * (epoch_size + rsa_token_key_size + ristretto_key_size);
}

}  // namespace ticket::wire
