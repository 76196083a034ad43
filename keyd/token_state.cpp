#include "token_state.hpp"

#include "wire/layout.hpp"

namespace keyd {

using namespace ticket;
using ticket::wire::Cursor;
using ticket::wire::Writer;

namespace {

constexpr std::size_t element_size = 32;  // of ristretto: a public key, and a scalar
constexpr std::size_t fixed_size =
    4 + 16 + 4 * 8 + 4 + 2 * 8 + 8 + 1 + 32 + 16 + 2 + 1 + 32 + 1 + 2;

enum : std::uint8_t {
  held_flag = 1,
  sentinel_flag = 2,
  begun_flag = 4,
  closed_flag = 8,
  ordered_flag = 16
};
constexpr std::uint8_t all_flags = 31;

std::uint8_t flags_of(const TokenEpoch& epoch) {
  return static_cast<std::uint8_t>(
      (epoch.held ? held_flag : 0) | (epoch.sentinel ? sentinel_flag : 0) |
      (epoch.begun ? begun_flag : 0) | (epoch.closed ? closed_flag : 0) |
      (epoch.ordered ? ordered_flag : 0));
}

Checked<bool> parse_flags(Cursor& in, TokenEpoch& epoch) {
  const auto flags = TRY(in.integer<std::uint8_t>());
  if (flags > all_flags) return reject(Rejection::malformed);
  epoch.held = (flags & held_flag) != 0;
  epoch.sentinel = (flags & sentinel_flag) != 0;
  epoch.begun = (flags & begun_flag) != 0;
  epoch.closed = (flags & closed_flag) != 0;
  epoch.ordered = (flags & ordered_flag) != 0;
  return true;
}

Checked<BytesView> sized(BytesView bytes, std::size_t size) {
  if (!bytes.empty() && bytes.size() != size) return reject(Rejection::malformed);
  return bytes;
}

std::size_t size_of(const TokenEpoch& epoch, const TokenSecrets& secrets) {
  return fixed_size + epoch.blind_rsa.size() + epoch.ristretto.size() +
         secrets.expose_ristretto().size() + secrets.expose_blind_rsa().size();
}

void write_token_epoch(Writer& out, const TokenEpoch& epoch, const TokenSecrets& secrets) {
  out.integer(epoch.number).bytes(epoch.id);
  for (const auto time : {epoch.made, epoch.issues_from, epoch.issues_until, epoch.redeems_until}) {
    out.time(time);
  }
  out.integer(epoch.capacity)
      .integer(epoch.announced_in)
      .integer(epoch.ended_in)
      .time(epoch.ended_at);
  out.integer(flags_of(epoch)).bytes(epoch.context).bytes(epoch.sentinel_value);
  out.integer(static_cast<std::uint16_t>(epoch.blind_rsa.size())).bytes(epoch.blind_rsa);
  out.short_field(epoch.ristretto).bytes(secrets.expose_location_key());
  out.short_field(secrets.expose_ristretto());
  out.integer(static_cast<std::uint16_t>(secrets.expose_blind_rsa().size()));
  out.bytes(secrets.expose_blind_rsa());
}

Checked<std::pair<TokenEpoch, TokenSecrets>> parse_token_epoch(Cursor& in) {
  TokenEpoch epoch;
  epoch.number = TRY(in.integer<std::uint32_t>());
  epoch.id = TRY(in.array<16>());
  for (auto* time : {&epoch.made, &epoch.issues_from, &epoch.issues_until, &epoch.redeems_until}) {
    *time = TRY(in.time());
  }
  epoch.capacity = TRY(in.integer<std::uint32_t>());
  if (epoch.capacity == 0) return reject(Rejection::malformed);
  epoch.announced_in = TRY(in.integer<std::uint64_t>());
  epoch.ended_in = TRY(in.integer<std::uint64_t>());
  epoch.ended_at = TRY(in.time());
  TRY(parse_flags(in, epoch));
  epoch.context = TRY(in.array<32>());
  epoch.sentinel_value = TRY(in.array<16>());
  const auto blind_rsa = TRY(in.take(TRY(in.integer<std::uint16_t>())));
  epoch.blind_rsa = to_bytes(TRY(sized(blind_rsa, wire::rsa_token_key_size)));
  epoch.ristretto = to_bytes(TRY(sized(TRY(in.short_field()), element_size)));
  const auto location_key = TRY(in.take(32));
  const auto scalar = TRY(sized(TRY(in.short_field()), element_size));
  const auto signs = TRY(in.take(TRY(in.integer<std::uint16_t>())));
  return std::pair(std::move(epoch), TokenSecrets(location_key, scalar, signs));
}

}  // namespace

TokenSecrets::TokenSecrets(BytesView location_key, BytesView ristretto, BytesView blind_rsa)
    : bytes_(location_size + ristretto.size() + blind_rsa.size()),
      ristretto_size_(ristretto.size()) {
  Writer(bytes_.fill()).bytes(location_key.first(location_size)).bytes(ristretto).bytes(blind_rsa);
}

TokenSecrets TokenSecrets::copy() const {
  TokenSecrets copy;
  copy.bytes_ = SecretBytes::copy_of(bytes_.expose());
  copy.ristretto_size_ = ristretto_size_;
  return copy;
}

TokenSecrets TokenSecrets::kept_by(const TokenEpoch& epoch) const {
  return {expose_location_key(), epoch.ended() ? BytesView() : expose_ristretto(),
          epoch.closed || epoch.ended() ? BytesView() : expose_blind_rsa()};
}

PoolTokens PoolTokens::copy() const {
  PoolTokens copy;
  copy.last_epoch = last_epoch;
  copy.record = record;
  copy.block = block;
  copy.epochs = epochs;
  for (const auto& each : secrets) copy.secrets.push_back(each.copy());
  return copy;
}

std::size_t size_of(const PoolTokens& tokens) {
  std::size_t size = 4 + 32 + 32 + 1;
  for (std::size_t i = 0; i < tokens.epochs.size(); ++i) {
    size += size_of(tokens.epochs[i], tokens.secrets[i]);
  }
  return size;
}

void write_pool_tokens(Writer& out, const PoolTokens& tokens) {
  out.integer(tokens.last_epoch).bytes(tokens.record).bytes(tokens.block);
  out.integer(static_cast<std::uint8_t>(tokens.epochs.size()));
  for (std::size_t i = 0; i < tokens.epochs.size(); ++i) {
    write_token_epoch(out, tokens.epochs[i], tokens.secrets[i]);
  }
}

Checked<PoolTokens> parse_pool_tokens(Cursor& in) {
  PoolTokens tokens;
  tokens.last_epoch = TRY(in.integer<std::uint32_t>());
  tokens.record = TRY(in.array<32>());
  tokens.block = TRY(in.array<32>());
  const auto count = TRY(in.integer<std::uint8_t>());
  if (count > most_token_epochs) return reject(Rejection::malformed);
  for (std::size_t i = 0; i < count; ++i) {
    auto [epoch, secrets] = TRY(parse_token_epoch(in));
    tokens.epochs.push_back(std::move(epoch));
    tokens.secrets.push_back(std::move(secrets));
  }
  return tokens;
}

}  // namespace keyd
