#include "ring/embedded.hpp"

#include <system_error>

#include "ring/generation.hpp"

namespace ticket::ring {

namespace {

constexpr int warning = 1, information = 2;  // tkt_log_level

// A writer shows itself with every look at the ring, four times a second or so.
constexpr seconds silent_writer{5};

Ring first_of(const std::string& pool) {
  Ring ring;
  ring.pool = pool;
  return ring;
}

}  // namespace

// ---- in memory

MemoryPool::MemoryPool(std::string pool, Policy policy)
    : policy_(policy), ring_(first_of(pool)), next_(sys_seconds::min()) {}

void MemoryPool::follow(Moment now) {
  if (!orphaned_) {
    heartbeat_ = now.latest;
    if (now.latest < next_) return;
    if (auto next = next_ring(ring_, policy_, now, next_)) adopt(std::move(*next));
  } else if (ring_.next_change(heartbeat_) <= now.latest) {
    heartbeat_ = now.latest;  // of the last look: an orphan has no other use for it
    adopt(ring_.without_expired(now));
  }
}

void MemoryPool::adopt(Ring ring) {
  ring_ = std::move(ring);
  ++index_;
}

tl::expected<Ring, RingFileState> MemoryPool::read() const {
  Ring copy = ring_.without_secrets();
  copy.secrets = SecretBytes::copy_of(ring_.secrets.expose());
  copy.tokens = SecretBytes::copy_of(ring_.tokens.expose());
  return copy;
}

std::string MemoryPool::trouble() const {
  return orphaned_ ? "forked: no new keys in this child; give a ring_path" : "";
}

// ---- in a file

FilePool::FilePool(std::filesystem::path path, std::string pool, Policy policy, Log log)
    : path_(path), pool_(std::move(pool)), policy_(policy), log_(std::move(log)), file_(path) {}

// What cannot be written takes nothing away: the keys that are there have their
// times, and none is made that others could not know.
void FilePool::follow(Moment now) {
  followed_ = now.latest;
  try {
    write(now);
  } catch (const std::system_error& failure) {
    writer_.reset();
    say("ring file not written: " + failure.code().message(), failure.what());
  } catch (const std::runtime_error& failure) {
    writer_.reset();
    say("ring file not usable: see the log", failure.what());
  }
  file_.follow(now);
}

void FilePool::write(Moment now) {
  leave_lost_file();
  drop_ended(now);
  if (!writer_) take_lock();
  if (!writer_) return forget_lost_file();  // another process makes the keys: ours have no future
  rotate(now);
  forget_lost_file();
  writer_->heartbeat(now);
  say("", "");
}

void FilePool::leave_lost_file() {
  if (lost_ && lost_->in_place()) {  // it was put back
    writer_ = std::exchange(lost_, {});
    next_ = sys_seconds::min();
  }
  if (!writer_ || writer_->in_place()) return;
  rescued_ = writer_->current();
  // one that was damaged where it stands is let go: its lock would keep out nobody but us
  if (!writer_->is_named()) lost_ = std::move(writer_);
  writer_.reset();
  if (log_) log_(warning, path_.string() + ": removed or replaced by somebody; taken up anew");
}

// What was rescued may wait for its file for long: somebody else's stands there, say.
void FilePool::drop_ended(Moment now) {
  if (!rescued_) return;
  auto left = rescued_->without_expired(now);
  if (left.epochs.size() == rescued_->epochs.size()) return;
  rescued_ = std::move(left);
  if (lost_) lost_->wipe();
}

void FilePool::forget_lost_file() {
  rescued_.reset();
  if (auto lost = std::exchange(lost_, {}); lost && !lost->is_named()) lost->wipe();
}

void FilePool::take_lock() {
  writer_ = RingWriter::unless_taken(path_, pool_);
  if (!writer_) return;
  // Somebody removed the file that another process writes, and we are the first to see it.
  if (!rescued_ && !writer_->current()) rescue();
  next_ = sys_seconds::min();
  if (log_) log_(information, path_.string() + ": this process makes the keys now");
}

// The file that we read last, which has no name any more.
void FilePool::rescue() {
  if (auto ring = read()) rescued_ = std::move(*ring);
}

void FilePool::rotate(Moment now) {
  if (now.latest < next_) return;
  auto ring = writer_->current();
  const bool new_file = !ring;
  if (new_file) ring = rescued_ ? std::exchange(rescued_, {}) : first_of(pool_);
  sys_seconds next;
  auto after = next_ring(*ring, policy_, now, next);
  const bool changed = after.has_value();
  if (changed) ring = std::move(after);
  if ((changed || new_file) && !writer_->publish(*ring, now)) {
    throw std::runtime_error(path_.string() + ": holds keys that no door takes; remove it");
  }
  next_ = next;  // only now: what was not written is tried again
}

tl::expected<Ring, RingFileState> FilePool::read() const {
  auto ring = file_.read();
  if (ring && ring->pool != pool_) return tl::unexpected(RingFileState::other_pool);
  return ring;
}

std::string FilePool::trouble() const {
  // one who may only read has nothing to complain of while another writes
  const bool written = followed_ - file_.heartbeat() <= silent_writer;
  return written ? "" : trouble_;
}

void FilePool::say(const std::string& trouble, const std::string& text) {
  if (trouble == trouble_) return;
  trouble_ = trouble;
  if (log_ && !text.empty()) log_(warning, text);
}

}  // namespace ticket::ring
