#include "wire/secrets.hpp"

#include "wire/cursor.hpp"

namespace ticket::wire {

namespace {

constexpr std::uint8_t version = 2;
constexpr std::size_t entry_size = 4 + 16 + epoch_secret_size;

}  // namespace

SecretBytes write_secrets(const BundleSecrets& secrets) {
  SecretBytes bytes(3 + secrets.epochs.size() * entry_size + 4 + secrets.tokens.size());
  Writer writer(bytes.fill());
  writer.integer(version).integer(static_cast<std::uint16_t>(secrets.epochs.size()));
  for (const auto& epoch : secrets.epochs) {
    writer.integer(epoch.number).bytes(epoch.id).bytes(epoch.secret);
  }
  writer.long_field(secrets.tokens);
  return bytes;
}

Checked<BundleSecrets> parse_secrets(BytesView bytes) {
  Cursor cursor(bytes);
  if (TRY(cursor.integer<std::uint8_t>()) != version) return reject(Rejection::malformed);
  const auto count = TRY(cursor.integer<std::uint16_t>());
  if (count > max_epochs) return reject(Rejection::malformed);
  BundleSecrets secrets;
  secrets.epochs.resize(count);
  for (auto& epoch : secrets.epochs) {
    epoch.number = TRY(cursor.integer<std::uint32_t>());
    epoch.id = TRY(cursor.take(16));
    epoch.secret = TRY(cursor.take(epoch_secret_size));
  }
  secrets.tokens = TRY(cursor.long_field());
  TRY(cursor.end());
  return secrets;
}

SecretBytes write_wrap(BytesView content_key, std::uint16_t member) {
  SecretBytes bytes(wrap_size);
  Writer(bytes.fill()).bytes(content_key).integer(member);
  return bytes;
}

Checked<Wrap> parse_wrap(BytesView bytes) {
  Cursor cursor(bytes);
  Wrap wrap;
  wrap.content_key = TRY(cursor.take(32));
  wrap.member = TRY(cursor.integer<std::uint16_t>());
  TRY(cursor.end());
  return wrap;
}

}  // namespace ticket::wire
