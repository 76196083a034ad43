#include "state.hpp"

#include <algorithm>

#include "wire/cursor.hpp"
#include "wire/layout.hpp"

namespace keyd {

using namespace ticket;
using ticket::wire::Cursor;
using ticket::wire::Writer;

namespace {

constexpr std::uint8_t state_version = 4;
constexpr std::string_view magic = "tktstate";
constexpr std::string_view associated_prefix{"libticket state 1\0", 18};
constexpr std::size_t head_size = 34;
constexpr std::size_t epoch_size = 4 + 16 + 4 * 8 + 1 + 32;
constexpr std::size_t revocation_size = 2 + 8 + 8;
constexpr std::uint8_t burned_flag = 1;
constexpr std::uint8_t readmitted_flag = 1;

std::uint64_t unix_seconds(sys_seconds time) {
  return static_cast<std::uint64_t>(time.time_since_epoch().count());
}

std::size_t size_of(const PoolState& pool) {
  std::size_t size = 1 + pool.name.size() + 8 + 4 + 2 + 4 + pool.manifest.size() + 32;
  size += 2 + pool.epochs.size() * epoch_size + 2;
  for (const auto& member : pool.members) {
    size += 2 + 1 + member.name.size() + 1 + member.fingerprint.size() + 32 + 8;
  }
  size += 2;
  for (const auto& gone : pool.expelled) {
    size += 2 + 1 + gone.name.size() + 1 + gone.fingerprint.size() + 8 + 1;
  }
  return size + 2 + pool.revocations.size() * revocation_size + size_of(pool.tokens);
}

std::size_t size_of(const KeeperState& state) {
  std::size_t size = 1 + 8 + 32 + 2 + 2;
  for (const auto& line : state.audit.unwritten) size += 4 + line.size();
  for (const auto& pool : state.pools) size += size_of(pool);
  return size;
}

void write_epochs(Writer& out, const PoolState& pool) {
  out.integer(static_cast<std::uint16_t>(pool.epochs.size()));
  for (std::size_t i = 0; i < pool.epochs.size(); ++i) {
    const auto& epoch = pool.epochs[i];
    out.integer(epoch.number).bytes(epoch.id);
    for (const auto time : {epoch.made, epoch.seals_from, epoch.seals_until, epoch.opens_until}) {
      out.integer(unix_seconds(time));
    }
    out.integer(epoch.burned ? burned_flag : std::uint8_t{0});
    out.bytes(pool.secrets.expose().subspan(i * 32, 32));
  }
}

Checked<ring::Epoch> parse_epoch(Cursor& in) {
  ring::Epoch epoch;
  epoch.number = TRY(in.integer<std::uint32_t>());
  epoch.id = TRY(in.array<16>());
  for (auto* time : {&epoch.made, &epoch.seals_from, &epoch.seals_until, &epoch.opens_until}) {
    *time = sys_seconds(seconds(TRY(in.integer<std::uint64_t>())));
  }
  const auto flags = TRY(in.integer<std::uint8_t>());
  if (flags > burned_flag) return reject(Rejection::malformed);
  epoch.burned = flags == burned_flag;
  return epoch;
}

Checked<bool> parse_epochs(Cursor& in, PoolState& pool) {
  const std::size_t count = TRY(in.integer<std::uint16_t>());
  if (count > in.remaining() / epoch_size) return reject(Rejection::malformed);
  pool.secrets = SecretBytes(count * 32);
  for (std::size_t i = 0; i < count; ++i) {
    pool.epochs.push_back(TRY(parse_epoch(in)));
    const auto secret = TRY(in.take(32));
    std::copy(secret.begin(), secret.end(), pool.secrets.fill().begin() + i * 32);
  }
  return true;
}

void write_members(Writer& out, const PoolState& pool) {
  out.integer(static_cast<std::uint16_t>(pool.members.size()));
  for (const auto& member : pool.members) {
    out.integer(member.number).short_field(as_bytes(member.name));
    out.short_field(as_bytes(member.fingerprint)).bytes(member.sealing_key);
    out.integer(unix_seconds(member.enrolled_at));
  }
}

Checked<bool> parse_members(Cursor& in, PoolState& pool) {
  const std::size_t count = TRY(in.integer<std::uint16_t>());
  for (std::size_t i = 0; i < count; ++i) {
    Member member;
    member.number = TRY(in.integer<std::uint16_t>());
    member.name = as_text(TRY(in.short_field()));
    member.fingerprint = as_text(TRY(in.short_field()));
    member.sealing_key = TRY(in.array<32>());
    member.enrolled_at = sys_seconds(seconds(TRY(in.integer<std::uint64_t>())));
    pool.members.push_back(std::move(member));
  }
  return true;
}

void write_expelled(Writer& out, const PoolState& pool) {
  out.integer(static_cast<std::uint16_t>(pool.expelled.size()));
  for (const auto& gone : pool.expelled) {
    out.integer(gone.number).short_field(as_bytes(gone.name));
    out.short_field(as_bytes(gone.fingerprint)).integer(unix_seconds(gone.at));
    out.integer(gone.readmitted ? readmitted_flag : std::uint8_t{0});
  }
}

Checked<bool> parse_expelled(Cursor& in, PoolState& pool) {
  const std::size_t count = TRY(in.integer<std::uint16_t>());
  for (std::size_t i = 0; i < count; ++i) {
    Expelled gone;
    gone.number = TRY(in.integer<std::uint16_t>());
    gone.name = as_text(TRY(in.short_field()));
    gone.fingerprint = as_text(TRY(in.short_field()));
    gone.at = sys_seconds(seconds(TRY(in.integer<std::uint64_t>())));
    const auto flags = TRY(in.integer<std::uint8_t>());
    if (flags > readmitted_flag) return reject(Rejection::malformed);
    gone.readmitted = flags == readmitted_flag;
    pool.expelled.push_back(std::move(gone));
  }
  return true;
}

void write_revocations(Writer& out, const PoolState& pool) {
  out.integer(static_cast<std::uint16_t>(pool.revocations.size()));
  for (const auto& revocation : pool.revocations) {
    out.integer(revocation.minter).integer(unix_seconds(revocation.from));
    out.integer(unix_seconds(revocation.until));
  }
}

Checked<bool> parse_revocations(Cursor& in, PoolState& pool) {
  const std::size_t count = TRY(in.integer<std::uint16_t>());
  for (std::size_t i = 0; i < count; ++i) {
    ring::Revocation revocation;
    revocation.minter = TRY(in.integer<std::uint16_t>());
    revocation.from = sys_seconds(seconds(TRY(in.integer<std::uint64_t>())));
    revocation.until = sys_seconds(seconds(TRY(in.integer<std::uint64_t>())));
    pool.revocations.push_back(revocation);
  }
  return true;
}

void write_audit(Writer& out, const AuditHead& audit) {
  out.integer(audit.count).bytes(audit.last);
  out.integer(static_cast<std::uint16_t>(audit.unwritten.size()));
  for (const auto& line : audit.unwritten) out.long_field(as_bytes(line));
}

Checked<AuditHead> parse_audit(Cursor& in) {
  AuditHead audit;
  audit.count = TRY(in.integer<std::uint64_t>());
  audit.last = TRY(in.array<32>());
  const std::size_t count = TRY(in.integer<std::uint16_t>());
  for (std::size_t i = 0; i < count; ++i) {
    audit.unwritten.emplace_back(as_text(TRY(in.long_field())));
  }
  return audit;
}

void write_pool(Writer& out, const PoolState& pool) {
  out.short_field(as_bytes(pool.name)).integer(pool.generation);
  out.integer(pool.last_epoch).integer(pool.last_member);
  out.long_field(as_bytes(pool.manifest)).bytes(pool.content_key.expose());
  write_epochs(out, pool);
  write_members(out, pool);
  write_expelled(out, pool);
  write_revocations(out, pool);
  write_pool_tokens(out, pool.tokens);
}

Checked<PoolState> parse_pool(Cursor& in) {
  PoolState pool;
  pool.name = as_text(TRY(in.short_field()));
  pool.generation = TRY(in.integer<std::uint64_t>());
  pool.last_epoch = TRY(in.integer<std::uint32_t>());
  pool.last_member = TRY(in.integer<std::uint16_t>());
  pool.manifest = as_text(TRY(in.long_field()));
  pool.content_key = Secret<32>::copy_of(TRY(in.take(32)).first<32>());
  TRY(parse_epochs(in, pool));
  TRY(parse_members(in, pool));
  TRY(parse_expelled(in, pool));
  TRY(parse_revocations(in, pool));
  pool.tokens = TRY(parse_pool_tokens(in));
  return pool;
}

Bytes associated_data(std::uint64_t counter) {
  Bytes data(associated_prefix.size() + 8);
  Writer(data).bytes(as_bytes(associated_prefix)).integer(counter);
  return data;
}

}  // namespace

SecretBytes write_state(const KeeperState& state) {
  SecretBytes bytes(size_of(state));
  Writer out(bytes.fill());
  out.integer(state_version);
  write_audit(out, state.audit);
  out.integer(static_cast<std::uint16_t>(state.pools.size()));
  for (const auto& pool : state.pools) write_pool(out, pool);
  return bytes;
}

Checked<KeeperState> parse_state(BytesView bytes, std::uint64_t counter) {
  Cursor in(bytes);
  if (TRY(in.integer<std::uint8_t>()) != state_version) return reject(Rejection::malformed);
  KeeperState state;
  state.counter = counter;
  state.audit = TRY(parse_audit(in));
  const std::size_t pools = TRY(in.integer<std::uint16_t>());
  for (std::size_t i = 0; i < pools; ++i) state.pools.push_back(TRY(parse_pool(in)));
  TRY(in.end());
  return state;
}

std::optional<std::uint64_t> go_on_from(KeeperState& state, std::optional<std::uint64_t> newest,
                                        sys_seconds now) {
  // one store makes no more, and far fewer token epochs
  constexpr std::uint32_t at_once = wire::max_epochs;
  if (newest && *newest <= state.counter) return 0;
  state.restored = true;
  const auto missing = newest ? std::optional(*newest - state.counter) : std::nullopt;
  for (auto& pool : state.pools) {
    // without a note, one epoch a second since the newest is more than anybody makes
    sys_seconds made = now;
    for (const auto& epoch : pool.epochs) made = std::min(made, epoch.made);
    const auto since = static_cast<std::uint64_t>((now - made).count());
    const auto skipped = missing ? *missing * at_once : at_once + since;
    for (auto* last : {&pool.last_epoch, &pool.tokens.last_epoch}) {
      *last += static_cast<std::uint32_t>(
          std::min<std::uint64_t>(skipped, 0xffffffff - *last - at_once));
    }
  }
  return missing;
}

Bytes seal_state(const StateKey& key, const KeeperState& state) {
  const auto sealed =
      crypto::aead_seal(key.key, write_state(state).expose(), associated_data(state.counter));
  Bytes file(head_size + sealed.size());
  Writer out(file);
  out.bytes(as_bytes(magic)).integer(state_version).integer(static_cast<std::uint8_t>(key.kdf));
  out.bytes(key.salt).integer(state.counter).bytes(sealed);
  return file;
}

Checked<StateHead> parse_state_head(BytesView file) {
  Cursor in(file);
  if (as_text(TRY(in.take(magic.size()))) != magic) return reject(Rejection::malformed);
  if (TRY(in.integer<std::uint8_t>()) != state_version) return reject(Rejection::unsupported);
  const auto kdf = TRY(in.integer<std::uint8_t>());
  if (kdf > static_cast<std::uint8_t>(Kdf::argon2id)) return reject(Rejection::malformed);
  StateHead head;
  head.kdf = static_cast<Kdf>(kdf);
  head.salt = TRY(in.array<16>());
  head.counter = TRY(in.integer<std::uint64_t>());
  return head;
}

Checked<KeeperState> open_state(const StateKey& key, BytesView file) {
  const auto head = TRY(parse_state_head(file));
  if (head.kdf != key.kdf || head.salt != key.salt) return reject(Rejection::forged);
  const auto plain =
      TRY(crypto::aead_open(key.key, file.subspan(head_size), associated_data(head.counter)));
  return parse_state(plain.expose(), head.counter);
}

PoolState PoolState::copy() const {
  PoolState copy;
  copy.name = name;
  copy.generation = generation;
  copy.last_epoch = last_epoch;
  copy.last_member = last_member;
  copy.manifest = manifest;
  copy.content_key = Secret<32>::copy_of(content_key.expose());
  copy.epochs = epochs;
  copy.secrets = SecretBytes::copy_of(secrets.expose());
  copy.members = members;
  copy.expelled = expelled;
  copy.revocations = revocations;
  copy.tokens = tokens.copy();
  return copy;
}

const Member* PoolState::member(std::string_view member_name) const {
  const auto found = std::ranges::find(members, member_name, &Member::name);
  return found == members.end() ? nullptr : &*found;
}

KeeperState KeeperState::copy() const {
  KeeperState copy;
  copy.counter = counter;
  copy.audit = audit;
  for (const auto& pool : pools) copy.pools.push_back(pool.copy());
  return copy;
}

const PoolState* KeeperState::pool(std::string_view name) const {
  const auto found = std::ranges::find(pools, name, &PoolState::name);
  return found == pools.end() ? nullptr : &*found;
}

PoolState* KeeperState::pool(std::string_view name) {
  return const_cast<PoolState*>(std::as_const(*this).pool(name));
}

}  // namespace keyd
