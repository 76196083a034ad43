#include "seal/ticket.hpp"

#include <sodium.h>

#include <algorithm>
#include <cstring>

#include "crypto/random.hpp"
#include "wire/cursor.hpp"
#include "wire/layout.hpp"

namespace ticket::seal {

namespace {

using ring::Counter;
using Pin = ring::LiveRing::Pin;

constexpr std::size_t block = crypto::SealCipher::block_size;
constexpr std::size_t head_size = wire::attribution_size + 8;  // and when it expires
constexpr std::size_t before_blocks = wire::key_name_size;     // the IV is the first of the blocks
constexpr std::size_t overhead = wire::key_name_size + wire::iv_size + wire::mac_size;

static_assert((max_payload + head_size) / block * block + block + overhead <= 65'535);

// Payload and head, padded to whole blocks by 1 to 16 bytes (PKCS #7).
constexpr std::size_t padded(std::size_t plain) { return plain / block * block + block; }

constexpr std::size_t smallest = overhead + padded(head_size);
constexpr std::size_t largest = overhead + padded(head_size + max_payload);

struct Head {
  wire::Attribution attribution;
  sys_seconds expires;
};

Checked<Head> parse_head(BytesView bytes) {
  wire::Cursor cursor(bytes);
  Head head;
  head.attribution = TRY(wire::parse_attribution(TRY(cursor.take(wire::attribution_size))));
  head.expires = TRY(cursor.time());
  return head;
}

// Promise 4: a ticket outlasts neither its key nor its lineage.
sys_seconds expiry(const ring::Policy& policy, const ring::Epoch& epoch, sys_seconds born,
                   const Wish& wish, Moment now) {
  const auto lifetime = std::min(wish.lifetime.value_or(policy.lifetime), policy.lifetime);
  return std::min({now.latest + lifetime, epoch.opens_until, born + policy.lineage});
}

// Lays out key name | nonce | plain | room for the tag. The nonce becomes the IV.
bool lay_out(const ring::Stek& stek, const wire::Attribution& attribution, sys_seconds expires,
             BytesView payload, std::span<std::byte> out) {
  std::memcpy(out.data(), stek.name.data(), stek.name.size());
  if (!crypto::draw_iv(raw(out.subspan(before_blocks)))) return false;
  const auto plain = out.subspan(before_blocks + wire::iv_size, out.size() - overhead);
  wire::Writer writer(plain);
  wire::write_attribution(attribution, writer);
  writer.time(expires).bytes(payload);
  const auto padding = plain.subspan(writer.written());
  std::memset(padding.data(), static_cast<int>(padding.size()), padding.size());
  return true;
}

bool encrypt_and_tag(const crypto::SealCipher& cipher, std::span<std::byte> out) {
  const auto tagged = out.first(out.size() - wire::mac_size);
  crypto::SealCipher::Loan loan(cipher);
  if (!loan.encrypt(tagged.subspan(before_blocks))) return false;
  cipher.mac().tag(tagged, out.last<wire::mac_size>());
  return true;
}

Checked<bool> seal_uncounted(ring::LiveRing& ring, int context, Moment now, BytesView payload,
                             const Wish& wish, std::span<std::byte> out) {
  const Pin snapshot(ring);
  const auto* keys = snapshot.keys(context);
  const auto* stek = keys == nullptr ? nullptr : keys->sealing(now);
  if (stek == nullptr) return reject(Rejection::no_key);

  const auto& policy = snapshot->ring.policy;
  wire::Attribution attribution;
  attribution.minter = snapshot->ring.member;
  attribution.born = std::min(wish.born.value_or(now.steady), now.steady);
  attribution.sealed = now.steady;
  if (now.latest >= attribution.born + policy.lineage) return reject(Rejection::lineage);
  const auto expires = expiry(policy, *stek->epoch, attribution.born, wish, now);
  if (expires <= now.latest) return reject(Rejection::no_key);

  const bool sealed = lay_out(*stek, attribution, expires, payload, out) &&
                      encrypt_and_tag(*stek->seal_cipher, out);
  if (!sealed) {
    sodium_memzero(out.data(), out.size());  // the payload may stand there in the clear
    return reject(Rejection::no_key);
  }
  return true;
}

bool tag_holds(const crypto::SealCipher& cipher, BytesView ticket) {
  ByteArray<wire::mac_size> tag;
  cipher.mac().tag(ticket.first(ticket.size() - wire::mac_size), tag);
  return crypto::same_tag(tag, ticket.last<wire::mac_size>());
}

// What was decrypted last, wiped with the object.
class Scratch {
 public:
  static constexpr std::size_t room = 1024;  // small tickets in one go

  ~Scratch() { sodium_memzero(bytes_.data(), used_); }
  std::span<std::byte> first(std::size_t size) {
    used_ = std::max(used_, size);
    return std::span(bytes_).first(size);
  }

 private:
  ByteArray<room> bytes_;
  std::size_t used_ = 0;
};

// The last block ends in as many bytes of one value as that value says.
Checked<std::size_t> padding_of(BytesView last_blocks) {
  const auto size = std::to_integer<std::size_t>(last_blocks.back());
  if (size == 0 || size > block) return reject(Rejection::malformed);
  const bool even = std::ranges::all_of(last_blocks.last(size),
                                        [&](std::byte byte) { return byte == last_blocks.back(); });
  if (!even) return reject(Rejection::malformed);
  return size;
}

// Why an authentic ticket is not taken, if so.
std::optional<Rejection> judge(const ring::Ring& ring, const Head& head, Moment now) {
  if (const auto objection = ring.objection(head.attribution, now)) return objection;
  if (now.latest >= head.expires) return Rejection::expired;
  return std::nullopt;
}

void fill_in(const Head& head, Label& label) {
  label.minter = head.attribution.minter;
  label.born = head.attribution.born;
  label.sealed = head.attribution.sealed;
  label.expires = head.expires;
}

// Decrypts piece by piece through a scratch, so that `out` gets the payload alone:
// no head, no padding, and nothing at all of a ticket that is not taken.
Checked<std::size_t> decrypt(const crypto::SealCipher& cipher, const ring::Ring& ring, Moment now,
                             BytesView ticket, std::span<std::byte> out, Label& label,
                             std::size_t& written) {
  auto left = ticket.subspan(before_blocks, ticket.size() - before_blocks - wire::mac_size);
  std::size_t skip = wire::iv_size + head_size;  // of the first piece
  Scratch scratch;
  crypto::SealCipher::Loan loan(cipher);
  while (!left.empty()) {
    const auto in = left.first(std::min(left.size(), Scratch::room));
    left = left.subspan(in.size());
    const auto piece = scratch.first(in.size());
    if (!loan.decrypt(in, piece)) return reject(Rejection::malformed);
    if (skip != 0) {
      const auto head = TRY(parse_head(piece.subspan(wire::iv_size, head_size)));
      fill_in(head, label);
      if (const auto why = judge(ring, head, now)) return reject(*why);
    }
    const auto padding = left.empty() ? TRY(padding_of(piece)) : 0;
    if (skip + padding > piece.size()) return reject(Rejection::malformed);
    const auto plain = piece.subspan(skip, piece.size() - skip - padding);
    if (!plain.empty()) std::memcpy(out.subspan(written).data(), plain.data(), plain.size());
    written += plain.size();
    skip = 0;
  }
  return written;
}

Checked<std::size_t> open_uncounted(ring::LiveRing& ring, int context, Moment now, BytesView ticket,
                                    std::span<std::byte> out, Label& label, Counter& taken) {
  if (!payload_room(ticket.size())) return reject(Rejection::malformed);
  const Pin snapshot(ring);
  const auto* keys = snapshot.keys(context);
  const auto* stek = keys == nullptr ? nullptr : keys->find(raw(ticket));
  if (stek == nullptr) {
    return reject(snapshot ? snapshot->why_unknown(raw(ticket)) : Rejection::unknown_key);
  }
  const auto& epoch = *stek->epoch;
  label.epoch = epoch.number;
  if (now.latest >= epoch.opens_until) return reject(Rejection::expired);
  if (!tag_holds(*stek->seal_cipher, ticket)) return reject(Rejection::forged);

  const auto* sealing = keys->sealing(now);
  const bool announced = epoch.seals_from > now.steady;
  label.renew = sealing != nullptr && sealing != stek && !announced;
  taken = sealing == stek ? Counter::resumed_sealing
          : announced     ? Counter::resumed_announced
                          : Counter::resumed_opening;
  std::size_t written = 0;
  const auto size = decrypt(*stek->seal_cipher, snapshot->ring, now, ticket, out, label, written);
  if (!size) sodium_memzero(out.data(), written);
  return size;
}

}  // namespace

std::size_t ticket_size(std::size_t payload) { return overhead + padded(head_size + payload); }

std::optional<std::size_t> payload_room(std::size_t ticket) {
  if (ticket < smallest || ticket > largest || (ticket - overhead) % block != 0) {
    return std::nullopt;
  }
  return ticket - overhead - head_size - 1;
}

Checked<bool> seal(ring::LiveRing& ring, int context, Moment now, BytesView payload,
                   const Wish& wish, std::span<std::byte> out) {
  const auto sealed = seal_uncounted(ring, context, now, payload, wish, out);
  ring.counters().add(sealed ? Counter::sealed : Counter::not_sealed);
  return sealed;
}

Checked<std::size_t> open(ring::LiveRing& ring, int context, Moment now, BytesView ticket,
                          std::span<std::byte> out, Label& label) {
  Counter taken = Counter::resumed_opening;
  const auto opened = open_uncounted(ring, context, now, ticket, out, label, taken);
  ring.counters().add(opened ? taken : ring::counter_of(opened.error()));
  return opened;
}

}  // namespace ticket::seal
