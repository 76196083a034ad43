#include "ring/live_ring.hpp"

#include <algorithm>
#include <cstring>

#include "wire/layout.hpp"

namespace ticket::ring {

// Key names are pseudo-random, so their first byte spreads well over 256 slots.
const Stek* ContextKeys::find(const unsigned char* key_name) const noexcept {
  for (std::uint8_t at = key_name[0]; slots_[at] != 0; ++at) {
    const auto& stek = steks_[slots_[at] - 1u];
    if (std::memcmp(stek.name.data(), key_name, stek.name.size()) == 0) return &stek;
  }
  return nullptr;
}

const Stek* ContextKeys::by_epoch(std::uint32_t number) const noexcept {
  for (const auto& stek : steks_) {
    if (stek.epoch->number == number) return &stek;
  }
  return nullptr;
}

const Stek* ContextKeys::sealing(Moment now) const noexcept {
  for (auto stek = steks_.rbegin(); stek != steks_.rend(); ++stek) {
    const auto& epoch = *stek->epoch;
    if (epoch.burned || epoch.seals_from > now.steady) continue;
    const bool seals = now.steady < epoch.seals_until + stretch_ && now.latest < epoch.opens_until;
    return seals ? &*stek : nullptr;
  }
  return nullptr;
}

void ContextKeys::add(Stek stek) {
  auto at = std::to_integer<std::uint8_t>(stek.name[0]);
  while (slots_[at] != 0) ++at;
  steks_.push_back(std::move(stek));
  slots_[at] = static_cast<std::uint8_t>(steks_.size());
}

Rejection Snapshot::why_unknown(const unsigned char* key_name) const noexcept {
  for (const auto& keys : contexts) {
    if (keys.find(key_name) != nullptr) return Rejection::context;
  }
  return Rejection::unknown_key;
}

LiveRing::LiveRing(Options options, Unread)
    : options_(std::move(options)),
      counters_(options_.counters),
      source_(options_.source ? std::move(options_.source)
                              : std::make_unique<FileSource>(options_.path)),
      at_fork_([this] { tending_.lock(); },
               [this](bool in_child) {
                 if (in_child) source_->forked();
                 tending_.unlock();
               }) {
  fork_.forked();
}

LiveRing::~LiveRing() { publish(nullptr); }

void LiveRing::log(int level, const std::string& text) const {
  if (options_.log) options_.log(level, text);
}

int LiveRing::context(std::string_view purpose, std::string_view name) {
  if (purpose.size() > wire::max_name_size || name.size() > wire::max_name_size) return -1;
  const auto key = std::string(purpose) + '\0' + std::string(name);
  const std::lock_guard guard(tending_);
  const auto known = numbers_.find(key);
  if (known != numbers_.end()) return known->second;
  if (contexts_.size() == max_contexts) return -1;

  const auto number = static_cast<int>(contexts_.size());
  contexts_.emplace_back(purpose, name);
  numbers_.emplace(key, number);
  wanted_anew_ = true;  // a thousand of them are derived at once, not one by one
  due_ = 0;
  return number;
}

void LiveRing::listen(TokenListener& listener) {
  const std::lock_guard guard(tending_);
  listeners_.push_back(&listener);
  wanted_anew_ = true;
  due_ = 0;
}

void LiveRing::leave(TokenListener& listener) {
  const std::lock_guard guard(tending_);
  std::erase(listeners_, &listener);
}

sys_seconds LiveRing::tend(Moment now) {
  std::unique_lock guard(tending_, std::defer_lock);
  if (wanted_anew_) {
    guard.lock();  // whoever came needs what the ring has for it now
  } else if (!guard.try_lock()) {
    return now.latest + seconds(1);
  }

  source_->follow(now);
  heartbeat_ = source_->heartbeat();
  // a forked child's memory is not locked until it is allocated anew
  const bool forked = fork_.forked();
  if (forked || wanted_anew_ || changed(now)) reload(now);
  wanted_anew_ = false;  // not sooner: whoever waits for a context's keys waits for this
  for (auto* listener : listeners_) listener->tend_tokens(now);
  counters_.flush();
  tell_follower(now);

  const auto next = std::min(next_change_, now.latest + seconds(1));
  // a second of grace, so that a thread or timer of its own does the work
  due_ = std::min(next_change_, now.latest + seconds(2)).time_since_epoch().count();
  return next;
}

void LiveRing::follow(Follower follower) {
  const std::lock_guard guard(tending_);
  follower_ = std::move(follower);
  tell_follower(now());
}

void LiveRing::tell_follower(Moment now) const {
  const auto* snapshot = snapshot_.load();
  if (follower_ && snapshot != nullptr) follower_(snapshot->ring, now);
}

bool LiveRing::changed(Moment now) const {
  const auto* snapshot = snapshot_.load();
  return snapshot == nullptr || source_->index() != snapshot->index || now.latest >= next_change_ ||
         file_state_ != RingFileState::ok;
}

void LiveRing::reload(Moment now) {
  const auto index = source_->index();
  auto ring = source_->read();
  file_state_ = ring ? RingFileState::ok : ring.error();
  if (ring) {
    adopt(index, ring->without_expired(now), now);
  } else {
    drop_ended(now);
  }
  say_once(file_state_);  // only now: who reads "ok" finds the keys there
}

void LiveRing::adopt(std::uint64_t index, Ring ring, Moment now) {
  const auto next_change = ring.next_change(now);
  const auto secrets = std::move(ring.secrets);
  const auto tokens = std::move(ring.tokens);
  publish(build(index, std::move(ring),
                [&](const Ring& of, std::size_t context, std::size_t epoch,
                    std::span<std::byte, key_material_size> out) {
                  const auto& [purpose, name] = contexts_[context];
                  derive_stek(secrets.expose().subspan(epoch * 32, 32), purpose, of.pool, name,
                              out);
                }));
  next_change_ = next_change;  // only now: building may throw, and is then tried again
  for (auto* listener : listeners_) {
    listener->take_tokens(tokens.expose(), snapshot_.load()->ring.member, now);
  }
}

// The file is gone or unusable: go on with the keys that are known, less those
// that have ended.
void LiveRing::drop_ended(Moment now) {
  const auto* old = snapshot_.load();
  if (old == nullptr) return;
  next_change_ = old->ring.next_change(now);
  Ring left = old->ring.without_secrets();
  std::erase_if(left.epochs, [now](const Epoch& e) { return now.latest >= e.opens_until; });
  const auto& before = old->ring.epochs;
  if (left.epochs.size() == before.size()) return;

  const auto contexts = old->contexts.size();
  publish(build(
      old->index, std::move(left),
      [&](const Ring& of, std::size_t context, std::size_t epoch,
          std::span<std::byte, key_material_size> out) {
        if (context >= contexts) return;
        const auto was = static_cast<std::size_t>(
            std::ranges::find(before, of.epochs[epoch].number, &Epoch::number) - before.begin());
        const auto at = (context * before.size() + was) * key_material_size;
        std::ranges::copy(old->material.expose().subspan(at, key_material_size), out.begin());
      }));
}

namespace {

Stek make_stek(std::span<const std::byte, key_material_size> material, const Epoch& epoch,
               std::string_view purpose) {
  const auto hmac_key = material.subspan<16, 32>(), aes_key = material.subspan<48, 32>();
  Stek stek{to_array(material.first<wire::key_name_size>()), &epoch,
            crypto::TicketCipher(hmac_key, aes_key), material.last<16>(), nullptr};
  if (purpose.starts_with(purpose::seal_prefix)) {
    stek.seal_cipher = std::make_unique<crypto::SealCipher>(hmac_key, aes_key);
  }
  return stek;
}

}  // namespace

std::unique_ptr<Snapshot> LiveRing::build(std::uint64_t index, Ring ring,
                                          const Derive& derive) const {
  auto snapshot = std::make_unique<Snapshot>();
  snapshot->index = index;
  snapshot->ring = std::move(ring);
  const auto& epochs = snapshot->ring.epochs;
  snapshot->material = SecretBytes(contexts_.size() * epochs.size() * key_material_size);
  snapshot->contexts.resize(contexts_.size());
  auto material = snapshot->material.fill();
  for (std::size_t context = 0; context < contexts_.size(); ++context) {
    auto& keys = snapshot->contexts[context];
    keys.set_stretch(snapshot->ring.policy.stretch);
    for (std::size_t epoch = 0; epoch < epochs.size(); ++epoch) {
      const auto stek = material.first<key_material_size>();
      material = material.subspan(key_material_size);
      derive(snapshot->ring, context, epoch, stek);
      if (!all_zero(stek)) keys.add(make_stek(stek, epochs[epoch], contexts_[context].first));
    }
  }
  return snapshot;
}

void LiveRing::publish(std::unique_ptr<Snapshot> snapshot) {
  const auto* old = snapshot_.exchange(snapshot.release());
  if (old == nullptr) return;
  wait_until_unpinned(old);
  delete old;
}

void LiveRing::say_once(RingFileState state) {
  if (said_ == state) return;
  const bool ok = state == RingFileState::ok;
  if (!ok || said_) log(ok ? 2 : 1, options_.path.string() + ": " + to_text(state));
  said_ = state;
}

LiveRing::Status LiveRing::status() const {
  const std::lock_guard guard(tending_);
  return {file_state_, heartbeat_, next_change_, source_->trouble()};
}

}  // namespace ticket::ring
