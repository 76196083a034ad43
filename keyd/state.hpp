// All that the keeper must not lose: epochs and their secrets, members, numbers
// that are never used again. Laid out in wire/layout.hpp, "Keeper state".
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/checked.hpp"
#include "base/secret.hpp"
#include "crypto/digest.hpp"
#include "crypto/sealing.hpp"
#include "ring/ring.hpp"
#include "token_state.hpp"

namespace keyd {

struct Member {
  std::uint16_t number = 0;
  std::string name;
  std::string fingerprint;  // of the certificate that it last enrolled with
  ticket::crypto::BoxPublic sealing_key{};
  ticket::sys_seconds enrolled_at;  // the time that its last enrolment was signed for
};

// A member that was expelled. It stays out under this name until it is
// readmitted, and for ever with this certificate.
struct Expelled {
  std::uint16_t number = 0;
  std::string name;
  std::string fingerprint;
  ticket::sys_seconds at;
  bool readmitted = false;
};

struct PoolState {
  std::string name;
  std::uint64_t generation = 0;   // 0 = nothing published yet
  std::uint32_t last_epoch = 0;   // the highest number ever given
  std::uint16_t last_member = 0;  // the same of members
  // What this generation's members were told, to the byte: a keeper that starts
  // again publishes the same, because another manifest would be equivocation.
  std::string manifest;
  ticket::Secret<32> content_key;
  std::vector<ticket::ring::Epoch> epochs;  // oldest first
  ticket::SecretBytes secrets;              // 32 bytes an epoch, in the same order; burned: zero
  std::vector<Member> members;
  std::vector<Expelled> expelled;
  std::vector<ticket::ring::Revocation> revocations;
  PoolTokens tokens;

  PoolState copy() const;
  const Member* member(std::string_view member_name) const;
};

// What the audit log's file must hold, so that a line taken out of it shows.
struct AuditHead {
  std::uint64_t count = 0;        // lines ever written
  ticket::crypto::Sha256 last{};  // of the last line; zero when there is none
  // The newest lines, each without its end, that the file may lack still: they
  // are decided here, with the state, and copied out afterwards.
  std::vector<std::string> unwritten;
};

struct KeeperState {
  std::uint64_t counter = 0;  // grows with each store; 0 = never stored
  AuditHead audit;
  std::vector<PoolState> pools;
  // Of a state that may be an older copy, and is not stored: what it says was
  // published is not the newest, so a new generation is due.
  bool restored = false;

  KeeperState copy() const;
  PoolState* pool(std::string_view name);
  const PoolState* pool(std::string_view name) const;
};

// Makes a state that was loaded fit to go on from when it is an older copy, or
// may be one: `newest` is the counter that was stored last, if that is known.
// Epoch numbers that may have been given since are left out. Returns how many
// stores are missing; nullopt when that is unknown.
std::optional<std::uint64_t> go_on_from(KeeperState& state, std::optional<std::uint64_t> newest,
                                        ticket::sys_seconds now);

// The counter is no part of it: it stands in the file's head.
ticket::SecretBytes write_state(const KeeperState& state);
[[nodiscard]] ticket::Checked<KeeperState> parse_state(ticket::BytesView bytes,
                                                       std::uint64_t counter);

enum class Kdf : std::uint8_t { none = 0, argon2id = 1 };
using Salt = ticket::ByteArray<16>;

// What a state is sealed under; `salt` is zero unless a passphrase made the key.
struct StateKey {
  ticket::Secret<32> key;
  Kdf kdf = Kdf::none;
  Salt salt{};
};

struct StateHead {
  Kdf kdf = Kdf::none;
  Salt salt{};
  std::uint64_t counter = 0;
};

// The whole file: head and sealed state.
ticket::Bytes seal_state(const StateKey& key, const KeeperState& state);
// Anybody can read it: it says which key is needed. malformed when it is none, unsupported
// of another version of keyd.
[[nodiscard]] ticket::Checked<StateHead> parse_state_head(ticket::BytesView file);
// malformed, or forged for another key and for any byte that was altered.
[[nodiscard]] ticket::Checked<KeeperState> open_state(const StateKey& key, ticket::BytesView file);

}  // namespace keyd
