#include "feed/bundle.hpp"

#include <algorithm>
#include <stdexcept>

#include "wire/secrets.hpp"
#include "wire/signed.hpp"
#include "wire/token_block.hpp"

namespace ticket::feed {

namespace {

Bytes signed_message(const crypto::Sha256& manifest_hash, BytesView secrets) {
  return wire::bundle_message(manifest_hash, crypto::sha256(secrets));
}

// The manifest's epochs that are not burned, with the secrets that the bundle
// brings for them.
Checked<ring::Ring> to_ring(const Manifest& manifest, const SecretBytes& plain,
                            std::uint16_t member) {
  ring::Ring ring;
  ring.pool = manifest.pool;
  ring.generation = manifest.generation;
  ring.member = member;
  ring.issued_at = manifest.issued_at;
  ring.not_after = manifest.not_after;
  ring.policy = manifest.policy;
  ring.revocations = manifest.revocations;
  for (const auto& epoch : manifest.epochs) {
    if (!epoch.burned) ring.epochs.push_back(epoch);
  }
  const auto [secrets, tokens] = TRY(wire::parse_secrets(plain.expose()));
  if (!tokens.empty()) TRY(wire::parse_token_block(tokens));
  ring.tokens = SecretBytes::copy_of(tokens);
  if (secrets.size() != ring.epochs.size()) return reject(Rejection::malformed);
  ring.secrets = SecretBytes(secrets.size() * 32);
  for (std::size_t i = 0; i < secrets.size(); ++i) {
    const auto& epoch = ring.epochs[i];
    if (secrets[i].number != epoch.number || !std::ranges::equal(secrets[i].id, epoch.id)) {
      return reject(Rejection::malformed);
    }
    std::ranges::copy(secrets[i].secret, ring.secrets.fill().subspan(i * 32).begin());
  }
  TRY(ring::check_keys(ring));
  return ring;
}

}  // namespace

Bundle seal_bundle(const Manifest& manifest, const SecretBytes& secrets,
                   const crypto::SignerSeed& signer, const ContentKey& content_key,
                   BytesView tokens) {
  if (secrets.size() != manifest.epochs.size() * 32) {
    throw std::invalid_argument("seal_bundle: not one secret an epoch");
  }
  std::vector<wire::EpochSecret> epochs;
  for (std::size_t i = 0; i < manifest.epochs.size(); ++i) {
    const auto& epoch = manifest.epochs[i];
    if (epoch.burned) continue;
    epochs.push_back({epoch.number, epoch.id, secrets.expose().subspan(i * 32, 32)});
  }

  Bundle bundle;
  bundle.manifest = write_manifest(manifest);
  const auto hash = crypto::sha256(as_bytes(bundle.manifest));
  bundle.secrets =
      crypto::aead_seal(content_key, wire::write_secrets({epochs, tokens}).expose(), hash);
  bundle.signature = crypto::sign(signer, signed_message(hash, bundle.secrets));
  return bundle;
}

Bytes seal_wrap(const crypto::BoxPublic& to, const ContentKey& content_key, std::uint16_t member) {
  return crypto::box_seal(to, wire::write_wrap(content_key.expose(), member).expose());
}

Checked<Manifest> verify_bundle(const Bundle& bundle, const Expectation& expected, Moment now) {
  const auto hash = crypto::sha256(as_bytes(bundle.manifest));
  if (!crypto::verify(expected.signer, signed_message(hash, bundle.secrets), bundle.signature)) {
    return reject(Rejection::forged);
  }
  auto manifest = TRY(parse_manifest(bundle.manifest));
  if (manifest.pool != expected.pool) return reject(Rejection::other_pool);
  if (manifest.generation < expected.applied.generation) return reject(Rejection::rollback);
  if (manifest.generation == expected.applied.generation && hash != expected.applied.manifest) {
    return reject(Rejection::equivocation);
  }
  if (now.latest >= manifest.not_after) return reject(Rejection::expired);
  return manifest;
}

Checked<Opened> open_bundle(const Bundle& bundle, BytesView wrap,
                            const crypto::BoxSecret& sealing_key, const Expectation& expected,
                            Moment now) {
  Opened opened;
  opened.manifest = TRY(verify_bundle(bundle, expected, now));
  opened.applied = {opened.manifest.generation, crypto::sha256(as_bytes(bundle.manifest))};

  const auto unwrapped = crypto::box_open(sealing_key, wrap);
  if (!unwrapped) return reject(Rejection::not_a_member);
  const auto parsed = TRY(wire::parse_wrap(unwrapped->expose()));
  const auto content_key = ContentKey::copy_of(parsed.content_key.first<32>());

  const auto plain = TRY(crypto::aead_open(content_key, bundle.secrets, opened.applied.manifest));
  opened.ring = TRY(to_ring(opened.manifest, plain, parsed.member));
  return opened;
}

}  // namespace ticket::feed
