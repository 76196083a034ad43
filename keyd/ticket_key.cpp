#include "ticket_key.hpp"

#include <sodium.h>

#include <algorithm>

#include "ring/derive.hpp"

namespace keyd {

using ticket::BytesView;
using ticket::SecretBytes;
using ticket::ring::Epoch;
using ticket::ring::Ring;

namespace {

constexpr auto base64_variant = sodium_base64_VARIANT_ORIGINAL;

// STEK material: name 16 | hmac 32 | aes 32.
SecretBytes in_layout(const SecretBytes& material, KeyLayout layout) {
  const auto from = material.expose();
  const auto name = from.first(key_name_size), hmac = from.subspan(16, 32), aes = from.last(32);
  SecretBytes key(key_size(layout));
  auto to = key.fill().begin();
  const auto append = [&to](BytesView part) { to = std::ranges::copy(part, to).out; };
  append(name);
  switch (layout) {
    case KeyLayout::nginx:
      append(hmac);
      append(aes);
      break;
    case KeyLayout::haproxy:
      append(aes);
      append(hmac);
      break;
    case KeyLayout::short48:
      append(hmac.first(16));
      append(aes.first(16));
      break;
  }
  return key;
}

SecretBytes key_of(const Ring& ring, const Epoch& epoch, const std::string& context,
                   KeyLayout layout) {
  const auto purpose = layout == KeyLayout::short48 ? ticket::ring::purpose::openssl_aes128
                                                    : ticket::ring::purpose::openssl;
  SecretBytes material(80);
  const auto index = static_cast<std::size_t>(&epoch - ring.epochs.data());
  ticket::ring::derive_stek(ring.secret(index), purpose, ring.pool, context,
                            material.fill().first<80>());
  return in_layout(material, layout);
}

SecretBytes random_key(KeyLayout layout) {
  SecretBytes key(key_size(layout));
  randombytes_buf(key.fill().data(), key.size());
  return key;
}

std::string mark_of(const Epoch& epoch) {
  return std::to_string(epoch.number) + ":" + ticket::hex(epoch.id) + " ";
}

bool opens(const Epoch& epoch, ticket::Moment now) {
  return !epoch.burned && now.latest < epoch.opens_until;
}

}  // namespace

HeldEpochs held_epochs(const std::vector<Epoch>& epochs, ticket::seconds stretch,
                       ticket::Moment now) {
  HeldEpochs held;
  held.sealing = ticket::ring::sealing_epoch(epochs, stretch, now);
  for (const auto& epoch : epochs) {  // oldest first
    if (&epoch == held.sealing || !opens(epoch, now)) continue;
    const bool later = held.sealing != nullptr ? epoch.number > held.sealing->number
                                               : now.steady < epoch.seals_from;
    if (!later) held.previous.insert(held.previous.begin(), &epoch);
    if (later && held.next == nullptr) held.next = &epoch;
  }
  return held;
}

HeldKeys held_keys(const Ring& ring, const std::string& context, KeyLayout layout,
                   std::size_t slots, ticket::Moment now) {
  const auto epochs = held_epochs(ring.epochs, ring.policy.stretch, now);
  HeldKeys held{.keys = {}, .drawn = epochs.sealing == nullptr, .fingerprint = {}};
  const auto fill = [&](const Epoch* epoch) {
    if (held.keys.size() == slots) return;
    if (epoch != nullptr) {
      held.keys.push_back(key_of(ring, *epoch, context, layout));
      held.fingerprint += mark_of(*epoch);
    } else if (held.drawn) {
      held.keys.push_back(random_key(layout));
      held.fingerprint += "random ";
    } else {
      held.keys.push_back(SecretBytes::copy_of(held.keys.front().expose()));
      held.fingerprint += "again ";
    }
  };
  fill(epochs.sealing);
  fill(epochs.next);
  for (const auto* epoch : epochs.previous) fill(epoch);
  while (held.keys.size() < slots) fill(nullptr);
  return held;
}

SecretBytes base64_lines(const std::vector<const SecretBytes*>& keys) {
  std::size_t size = 0;
  // With the NUL that libsodium writes, whose place the newline takes.
  for (const auto* key : keys) size += sodium_base64_encoded_len(key->size(), base64_variant);
  SecretBytes lines(size);
  auto rest = lines.fill();
  for (const auto* key : keys) {
    const auto length = sodium_base64_encoded_len(key->size(), base64_variant);
    sodium_bin2base64(reinterpret_cast<char*>(rest.data()), length, ticket::raw(key->expose()),
                      key->size(), base64_variant);
    rest[length - 1] = std::byte('\n');
    rest = rest.subspan(length);
  }
  return lines;
}

namespace {

// What it costs that old keys are gone sooner than their tickets end.
std::string cost_of_slots(const ticket::ring::Policy& policy, std::size_t slots) {
  using ticket::ring::to_text;
  // One slot seals and one is the next; a ticket of the sealing key's first second
  // lives through each slot that is left, one of its last second through one less.
  const auto previous = static_cast<int>(slots) - 2;
  const auto always = std::max(previous, 0) * policy.rotate_every;
  if (policy.lifetime <= always) return {};
  return "tickets are good for " + to_text(policy.lifetime) + " in this pool, but with " +
         std::to_string(slots) + (slots == 1 ? " key" : " keys") + " and a rotation every " +
         to_text(policy.rotate_every) + " those older than " + to_text(always) + " to " +
         to_text(always + policy.rotate_every) +
         " are full handshakes here; a longer rotate_every keeps them longer";
}

}  // namespace

std::string cost_of_feeding(const ticket::ring::Policy& policy, std::size_t slots) {
  auto cost = cost_of_slots(policy, slots);
  if (policy.unattributed == ticket::ring::Unattributed::refuse) {
    cost += (cost.empty() ? "" : "; ");
    cost +=
        "the pool refuses unattributed tickets, so those sealed here are full handshakes at "
        "the servers that embed libticket or have nginx's module";
  }
  return cost;
}

}  // namespace keyd
