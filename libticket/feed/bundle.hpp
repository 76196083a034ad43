// What keyd publishes for a pool: a manifest that anybody may read, a signature,
// secrets under a content key, and for each member a wrap of that key. Sealing
// (keyd) and opening (agent) stand side by side here. No network.
#pragma once

#include <string>
#include <vector>

#include "base/checked.hpp"
#include "crypto/digest.hpp"
#include "crypto/sealing.hpp"
#include "crypto/signature.hpp"
#include "ring/ring.hpp"

namespace ticket::feed {

struct MemberEntry {
  std::uint16_t number = 0;  // 1-65535
  std::string name;
  bool operator==(const MemberEntry&) const = default;
};

// An epoch of token keys, as anybody may know it.
struct TokenEpochNotice {
  struct Key {
    std::uint16_t type = 0;  // code point
    crypto::Sha256 id{};     // SHA-256 of the token key
    bool operator==(const Key&) const = default;
  };
  std::uint32_t number = 0;
  ByteArray<16> id{};
  sys_seconds issues_from, issues_until, redeems_until;
  std::vector<Key> keys;  // none: it has ended, what is left of it goes next
  bool operator==(const TokenEpochNotice&) const = default;
};

// What people are told of a pool's tokens. Redeemers go by the token block among the
// secrets.
struct TokenNotice {
  std::string issuer;
  std::string origins;  // names with commas between them
  std::vector<TokenEpochNotice> epochs;
  bool operator==(const TokenNotice&) const = default;
};

// Nothing in it is secret. As JSON it is what is signed, to the byte.
struct Manifest {
  std::string pool;
  std::uint64_t generation = 0;
  sys_seconds issued_at;
  sys_seconds not_after;  // the last opens_until
  ring::Policy policy;
  std::vector<ring::Epoch> epochs;  // oldest first, burned ones too
  std::vector<MemberEntry> members;
  std::vector<ring::Revocation> revocations;
  std::optional<crypto::SignerPublic> next_signer;
  std::optional<TokenNotice> tokens;
};

std::string write_manifest(const Manifest& manifest);
[[nodiscard]] Checked<Manifest> parse_manifest(std::string_view json);

// The common part: the same for all members, and safe to store anywhere.
struct Bundle {
  std::string manifest;  // JSON as signed
  crypto::Signature signature{};
  Bytes secrets;  // XChaCha20-Poly1305 under the content key
};

std::string write_bundle(const Bundle& bundle);
[[nodiscard]] Checked<Bundle> parse_bundle(std::string_view json);

using ContentKey = Secret<32>;

// Seals one generation. `secrets` holds 32 bytes an epoch, in the manifest's
// order; those of burned epochs stay behind. `tokens` is a token block, or empty.
Bundle seal_bundle(const Manifest& manifest, const SecretBytes& secrets,
                   const crypto::SignerSeed& signer, const ContentKey& content_key,
                   BytesView tokens = {});
// The content key for one member.
Bytes seal_wrap(const crypto::BoxPublic& to, const ContentKey& content_key, std::uint16_t member);

// What a member already applied: the high-water mark that survives restarts.
struct Applied {
  std::uint64_t generation = 0;
  crypto::Sha256 manifest{};
};

struct Expectation {
  std::string pool;
  crypto::SignerPublic signer{};
  Applied applied;
};

// Verifies and parses without secrets (relays, ticketctl). Order of checks:
// signature (forged), shape (malformed), other_pool, rollback, equivocation,
// expired. The generation already applied is fine when it is the same manifest.
[[nodiscard]] Checked<Manifest> verify_bundle(const Bundle& bundle, const Expectation& expected,
                                              Moment now);

struct Opened {
  Manifest manifest;
  ring::Ring ring;
  Applied applied;  // what to expect from now on
};

// Verifies and opens with a member's sealing key; also not_a_member and bad_key.
[[nodiscard]] Checked<Opened> open_bundle(const Bundle& bundle, BytesView wrap,
                                          const crypto::BoxSecret& sealing_key,
                                          const Expectation& expected, Moment now);

}  // namespace ticket::feed
