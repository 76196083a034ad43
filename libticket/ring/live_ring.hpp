// A ring, of a file or made in this process, put to use in one process: keys derived for each
// context, looked up without a lock, wiped on time.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>

#include "base/at_fork.hpp"
#include "base/clock.hpp"
#include "crypto/seal_cipher.hpp"
#include "crypto/short_hash.hpp"
#include "crypto/ticket_cipher.hpp"
#include "ring/counters.hpp"
#include "ring/derive.hpp"
#include "ring/pin.hpp"
#include "ring/source.hpp"

namespace ticket::ring {

// A session ticket encryption key: one epoch's key for one context.
struct Stek {
  KeyName name;
  const Epoch* epoch;
  crypto::TicketCipher cipher;
  // Of the hash in attributions of what a ticket was made for: the client chooses the
  // server name, and without the key cannot look for two that meet.
  std::span<const std::byte, crypto::short_hash_key_size> name_key;
  std::unique_ptr<crypto::SealCipher> seal_cipher;  // of purposes that begin with "seal/"
};

// The keys of one context, found by name.
class ContextKeys {
 public:
  // nullptr when no key has this name (16 bytes). It may have ended: see
  // Epoch::opens_until.
  const Stek* find(const unsigned char* key_name) const noexcept;
  const Stek* by_epoch(std::uint32_t number) const noexcept;
  // As sealing_epoch().
  const Stek* sealing(Moment now) const noexcept;

  void add(Stek stek);  // oldest epoch first, at most 64
  void set_stretch(seconds stretch) { stretch_ = stretch; }

 private:
  std::vector<Stek> steks_;
  std::array<std::uint8_t, 256> slots_{};  // by the name's first byte, then the next free; 0 = free
  seconds stretch_{0};
};

// One moment of a LiveRing. Immutable; freed, and its keys wiped, when a newer
// one stands in its place and no thread has it pinned.
struct Snapshot {
  std::uint64_t index = 0;  // of the ring file
  Ring ring;                // without its secrets: they are dropped once the keys are derived
  SecretBytes material;     // what the ciphers' MAC keys and the name keys view
  std::vector<ContextKeys> contexts;

  // Of a key name that its own context does not know: another context's of this
  // ring, or nobody's?
  Rejection why_unknown(const unsigned char* key_name) const noexcept;
};

// Whoever puts a pool's tokens to use. Called by whoever tends the ring, one at a time.
class TokenListener {
 public:
  virtual ~TokenListener() = default;

  // A ring was taken over: its token block (empty: the pool has no tokens), which is gone
  // after the call, and this host's member number.
  virtual void take_tokens(BytesView block, std::uint16_t member, Moment now) noexcept = 0;
  // Each time that the ring is tended: what is over by the clock goes then.
  virtual void tend_tokens(Moment now) noexcept = 0;
};

// Shared between threads; sealing and opening take no lock.
class LiveRing {
 public:
  struct Options {
    std::filesystem::path path;
    std::filesystem::path counters;  // empty = this process alone
    const Clock* clock = nullptr;    // must outlive the ring
    // Levels as tkt_log_level. Called from whoever tends, never with a secret.
    std::function<void(int level, const std::string& text)> log;
    // In place of the file at `path`, which then is but a name; nullptr: the file.
    std::unique_ptr<RingSource> source = nullptr;
  };
  // Looks at the ring once; one that is missing or unusable is no error.
  explicit LiveRing(Options options) : LiveRing(std::move(options), Unread{}) { tend(now()); }
  ~LiveRing();

  // The number of a context, made known on first use: its keys are there after
  // the next tend(), which is due at once. -1 beyond max_contexts or for names of
  // more than 255 bytes.
  static constexpr std::size_t max_contexts = 1024;
  int context(std::string_view purpose, std::string_view name);

  // Has a listener told of the pool's tokens: at the next tend(), which is due at once, and
  // from then on. The ring itself keeps none of their secrets. Until leave(), which waits
  // for who is telling it.
  void listen(TokenListener& listener);
  void leave(TokenListener& listener);

  // Takes over a changed ring file, wipes what has ended, flushes the counters.
  // Returns when to be called again at the latest: at a change by the clock, or
  // after a second to follow the file. Any thread; a second one returns at once.
  sys_seconds tend(Moment now);
  // The hot path's question: must tend() be called first? Also when the clock was set back:
  // the ring was looked at in a time that is still to come.
  bool due(Moment now) const noexcept {
    const auto left = due_.load(std::memory_order_relaxed) - now.latest.time_since_epoch().count();
    return static_cast<std::uint64_t>(left - 1) >= furthest_due;
  }

  // Has tend() call `follower` with the ring as it stands, from now on; once before this
  // returns. Under the lock of tend(), so never twice at once and never across a fork.
  // It must not throw.
  using Follower = std::function<void(const Ring& ring, Moment now)>;
  void follow(Follower follower);

  Moment now() const { return options_.clock->now(); }
  Counters& counters() { return counters_; }
  void log(int level, const std::string& text) const;

  // What people are told.
  struct Status {
    RingFileState file = RingFileState::missing;
    sys_seconds heartbeat;
    sys_seconds next_change = sys_seconds::max();
    std::string trouble = {};  // of the source; empty = none
  };
  Status status() const;

  // Keeps the current snapshot alive for a scope. Never nested in one thread,
  // never held while calling tend() or anything that may block.
  class Pin {
   public:
    explicit Pin(const LiveRing& ring) noexcept : snapshot_(pin(ring.snapshot_)) {}
    ~Pin() { unpin(); }
    Pin(const Pin&) = delete;
    Pin& operator=(const Pin&) = delete;
    const Snapshot* operator->() const noexcept { return snapshot_; }
    explicit operator bool() const noexcept { return snapshot_ != nullptr; }
    // The keys of a context; nullptr when there is no ring.
    const ContextKeys* keys(int context) const noexcept {
      const auto number = static_cast<std::size_t>(context);
      return snapshot_ != nullptr && number < snapshot_->contexts.size()
                 ? &snapshot_->contexts[number]
                 : nullptr;
    }

   private:
    const Snapshot* snapshot_;
  };

 private:
  // Not looked at yet. What the first look throws ends a ring that is whole.
  struct Unread {};
  // Seconds: due_ is two ahead at most, and threads do not read the clock at once.
  static constexpr std::uint64_t furthest_due = 4;
  LiveRing(Options options, Unread);

  // All under tending_.
  bool changed(Moment now) const;
  void reload(Moment now);
  void adopt(std::uint64_t index, Ring ring, Moment now);
  void drop_ended(Moment now);
  // Writes one key's material; what it leaves all zero is no key.
  using Derive = std::function<void(const Ring& ring, std::size_t context, std::size_t epoch,
                                    std::span<std::byte, key_material_size> out)>;
  std::unique_ptr<Snapshot> build(std::uint64_t index, Ring ring, const Derive& derive) const;
  void publish(std::unique_ptr<Snapshot> snapshot);
  void say_once(RingFileState state);
  void tell_follower(Moment now) const;

  Options options_;  // its source handed on, the rest constant
  Counters counters_;
  mutable std::mutex tending_;
  std::unique_ptr<RingSource> source_;
  crypto::ForkWatch fork_;
  RingFileState file_state_ = RingFileState::missing;
  std::optional<RingFileState> said_;
  sys_seconds heartbeat_;
  sys_seconds next_change_ = sys_seconds::max();
  Follower follower_;
  std::unordered_map<std::string, int> numbers_;
  std::vector<std::pair<std::string, std::string>> contexts_;  // purpose, name
  std::vector<TokenListener*> listeners_;
  std::atomic<bool> wanted_anew_{false};  // for a context or listener that came
  std::atomic<const Snapshot*> snapshot_{nullptr};
  std::atomic<std::int64_t> due_{0};
  AtFork at_fork_;
};

}  // namespace ticket::ring
