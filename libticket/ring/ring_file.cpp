#include "ring/ring_file.hpp"

#include <fcntl.h>
#include <sodium.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>

#include "crypto/digest.hpp"
#include "wire/cursor.hpp"
#include "wire/ring_slot.hpp"

namespace ticket::ring {

Fd& Fd::operator=(Fd&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

Fd::~Fd() {
  if (fd_ >= 0) close(fd_);
}

bool Fd::is_at(const std::filesystem::path& path) const {
  struct stat opened {
  }, named{};
  return stat(path.c_str(), &named) == 0 && fstat(fd_, &opened) == 0 &&
         opened.st_ino == named.st_ino && opened.st_dev == named.st_dev;
}

const char* to_text(RingFileState state) {
  switch (state) {
    case RingFileState::ok:
      return "ok";
    case RingFileState::missing:
      return "ring file missing";
    case RingFileState::unreadable:
      return "ring file unreadable: check its mode and group";
    case RingFileState::truncated:
      return "ring file truncated";
    case RingFileState::not_a_ring:
      return "not a ring file";
    case RingFileState::other_version:
      return "ring file of another layout version";
    case RingFileState::empty:
      return "ring file holds no ring yet";
    case RingFileState::torn:
      return "ring file torn";
    case RingFileState::other_pool:
      return "ring file of another pool";
    case RingFileState::bad_keys:
      return "ring file holds keys that no door takes (all zero, or twice)";
  }
  return "unknown state";
}

namespace {

constexpr char magic[8] = {'t', 'k', 't', 'r', 'i', 'n', 'g', '\0'};
constexpr std::uint32_t layout_version = 3;
constexpr std::size_t page = 4096;

struct FileHeader {
  char magic[8];
  std::uint32_t version;
  std::uint32_t slot_size;
  std::uint64_t index;
  std::int64_t heartbeat;
  std::uint8_t pool_length;
  char pool[255];
};
static_assert(sizeof(FileHeader) == 288 && offsetof(FileHeader, index) == 16);

constexpr std::size_t slot_head = 8 + 4 + 32;

std::size_t slot_size() {
  return (slot_head + wire::max_ring_slot_size() + page - 1) / page * page;
}

off_t slot_offset(std::uint64_t index) {
  return static_cast<off_t>(page + (index & 1) * slot_size());
}

std::size_t file_size() { return page + 2 * slot_size(); }

// The whole of `out`, or false.
bool read_at(int file, std::span<std::byte> out, off_t offset) {
  std::size_t done = 0;
  while (done < out.size()) {
    const auto n =
        pread(file, out.data() + done, out.size() - done, offset + static_cast<off_t>(done));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    done += static_cast<std::size_t>(n);
  }
  return true;
}

void write_at(int file, BytesView bytes, off_t offset) {
  std::size_t done = 0;
  while (done < bytes.size()) {
    const auto n =
        pwrite(file, bytes.data() + done, bytes.size() - done, offset + static_cast<off_t>(done));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) throw std::system_error(errno, std::generic_category(), "ring file: write");
    done += static_cast<std::size_t>(n);
  }
}

template <class T>
bool read_value(int file, T& value, std::size_t offset) {
  return read_at(file, std::as_writable_bytes(std::span(&value, 1)), static_cast<off_t>(offset));
}

template <class T>
void write_value(int file, const T& value, std::size_t offset) {
  write_at(file, std::as_bytes(std::span(&value, 1)), static_cast<off_t>(offset));
}

bool is_blank(const FileHeader& header) { return all_zero(std::as_bytes(std::span(&header, 1))); }

// Empty, or allocated by a writer that was killed before it wrote the header.
bool is_new(int file) {
  struct stat status {};
  FileHeader header{};
  return fstat(file, &status) == 0 &&
         (status.st_size == 0 || (read_value(file, header, 0) && is_blank(header)));
}

RingFileState check(int file, FileHeader& header) {
  if (!read_value(file, header, 0)) return RingFileState::truncated;
  if (std::memcmp(header.magic, magic, sizeof(magic)) != 0) return RingFileState::not_a_ring;
  if (header.version != layout_version || header.slot_size != slot_size()) {
    return RingFileState::other_version;
  }
  struct stat status {};
  if (fstat(file, &status) != 0 || static_cast<std::size_t>(status.st_size) < file_size()) {
    return RingFileState::truncated;
  }
  return RingFileState::ok;
}

std::uint32_t to_seconds(seconds duration) { return static_cast<std::uint32_t>(duration.count()); }

wire::RingSlot to_slot(const Ring& ring) {
  wire::RingSlot slot;
  slot.generation = ring.generation;
  slot.member = ring.member;
  slot.issued_at = ring.issued_at;
  slot.not_after = ring.not_after;
  wire::Writer(slot.policy)
      .integer(to_seconds(ring.policy.rotate_every))
      .integer(to_seconds(ring.policy.lifetime))
      .integer(to_seconds(ring.policy.publish_ahead))
      .integer(to_seconds(ring.policy.stretch))
      .integer(to_seconds(ring.policy.lineage))
      .integer(static_cast<std::uint8_t>(ring.policy.unattributed));
  for (const auto& epoch : ring.epochs) {
    slot.epochs.push_back({epoch.number, epoch.id, epoch.made, epoch.seals_from, epoch.seals_until,
                           epoch.opens_until, static_cast<std::uint8_t>(epoch.burned ? 1 : 0)});
  }
  slot.secrets = SecretBytes::copy_of(ring.secrets.expose());
  slot.tokens = SecretBytes::copy_of(ring.tokens.expose());
  for (const auto& r : ring.revocations) slot.revocations.push_back({r.minter, r.from, r.until});
  return slot;
}

Checked<Policy> parse_policy(BytesView bytes) {
  wire::Cursor cursor(bytes);
  Policy policy;
  for (auto* field : {&policy.rotate_every, &policy.lifetime, &policy.publish_ahead,
                      &policy.stretch, &policy.lineage}) {
    *field = seconds(TRY(cursor.integer<std::uint32_t>()));
  }
  const auto unattributed = TRY(cursor.integer<std::uint8_t>());
  if (unattributed > 1) return reject(Rejection::malformed);
  policy.unattributed = static_cast<Unattributed>(unattributed);
  return policy;
}

Checked<Ring> to_ring(wire::RingSlot slot, std::string pool) {
  Ring ring;
  ring.pool = std::move(pool);
  ring.generation = slot.generation;
  ring.member = slot.member;
  ring.issued_at = slot.issued_at;
  ring.not_after = slot.not_after;
  ring.policy = TRY(parse_policy(slot.policy));
  for (const auto& e : slot.epochs) {
    ring.epochs.push_back(
        {e.number, e.id, e.made, e.seals_from, e.seals_until, e.opens_until, (e.flags & 1) != 0});
  }
  ring.secrets = std::move(slot.secrets);
  ring.tokens = std::move(slot.tokens);
  for (const auto& r : slot.revocations) ring.revocations.push_back({r.minter, r.from, r.until});
  TRY(check_keys(ring));
  return ring;
}

// The slot that `index` names; torn when it does not (or no longer) hold it.
tl::expected<Ring, RingFileState> read_slot(int file, std::uint64_t index, std::string pool) {
  const auto torn = tl::unexpected(RingFileState::torn);
  ByteArray<slot_head> head;
  if (!read_at(file, head, slot_offset(index))) return tl::unexpected(RingFileState::truncated);
  std::uint64_t filled_by = 0;
  std::uint32_t length = 0;
  std::memcpy(&filled_by, head.data(), 8);
  std::memcpy(&length, head.data() + 8, 4);
  if (filled_by != index || length > wire::max_ring_slot_size()) return torn;

  SecretBytes body(length);
  if (!read_at(file, body.fill(), slot_offset(index) + static_cast<off_t>(slot_head))) {
    return tl::unexpected(RingFileState::truncated);
  }
  const auto hash = crypto::sha256(body.expose());
  if (!std::equal(hash.begin(), hash.end(), head.begin() + 12)) return torn;
  auto slot = wire::parse_ring_slot(body.expose());
  if (!slot) return torn;
  auto ring = to_ring(std::move(*slot), std::move(pool));
  if (!ring && ring.error() == Rejection::bad_key) return tl::unexpected(RingFileState::bad_keys);
  if (!ring) return torn;
  return std::move(*ring);
}

// The file, made when there is none, with its lock; no file when it is taken.
Fd open_locked(const std::filesystem::path& path) {
  Fd file(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640));
  if (!file) throw std::system_error(errno, std::generic_category(), "ring file " + path.string());
  struct stat status {};
  if (fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode)) {
    throw std::runtime_error("ring file " + path.string() + ": not a regular file");
  }
  return flock(file.get(), LOCK_EX | LOCK_NB) == 0 ? std::move(file) : Fd();
}

Fd open_locked_or_throw(const std::filesystem::path& path) {
  Fd file = open_locked(path);
  if (!file) {
    throw std::runtime_error("ring file " + path.string() +
                             " has a writer already: is another agent running?");
  }
  return file;
}

}  // namespace

RingWriter::RingWriter(const std::filesystem::path& path, std::string_view pool, int group)
    : RingWriter(path, pool, open_locked_or_throw(path), group) {}

std::optional<RingWriter> RingWriter::unless_taken(const std::filesystem::path& path,
                                                   std::string_view pool, int group) {
  Fd file = open_locked(path);
  // removed or replaced between open and lock: whoever did it has the newer one
  if (!file || !file.is_at(path)) return std::nullopt;
  return RingWriter(path, pool, std::move(file), group);
}

bool RingWriter::in_place() const {
  FileHeader header{};
  return file_.is_at(path_) && check(file_.get(), header) == RingFileState::ok;
}

void RingWriter::reopen(Moment now) {
  if (file_.is_at(path_)) {  // still ours and locked, but no longer whole
    if (is_new(file_.get())) return start_new();
    throw std::runtime_error("ring file " + path_.string() +
                             " was damaged by somebody: remove it, and it is written anew");
  }
  const auto kept = current();
  RingWriter anew(path_, pool_, group_);
  if (kept && !anew.current() && !anew.publish(*kept, now)) {
    throw std::runtime_error("ring file " + path_.string() + ": holds keys that no door takes");
  }
  wipe();
  *this = std::move(anew);
}

RingWriter::RingWriter(const std::filesystem::path& path, std::string_view pool, Fd locked,
                       int group)
    : path_(path), pool_(pool), group_(group), file_(std::move(locked)) {
  const bool fresh = is_new(file_.get());
  if (!fresh) take_over();  // what is not ours is left as it is, its mode too
  if (fchown(file_.get(), static_cast<uid_t>(-1), static_cast<gid_t>(group)) != 0 ||
      fchmod(file_.get(), 0640) != 0) {
    throw std::system_error(errno, std::generic_category(),
                            "ring file " + path.string() + ": set mode and group");
  }
  if (fresh) start_new();
}

void RingWriter::start_new() {
  if (pool_.empty() || pool_.size() > wire::max_name_size) {
    throw std::runtime_error("ring file " + path_.string() + ": a pool's name has 1-255 bytes");
  }
  // all of it now, so that a full tmpfs is found here and not in a rotation
  const int failed = posix_fallocate(file_.get(), 0, static_cast<off_t>(file_size()));
  if (failed != 0) {
    throw std::system_error(failed, std::generic_category(),
                            "ring file " + path_.string() + ": allocate");
  }
  write_header(0, {});
  start_index();
}

void RingWriter::write_header(std::uint64_t index, sys_seconds heartbeat) {
  FileHeader header{};
  std::memcpy(header.magic, magic, sizeof(magic));
  header.version = layout_version;
  header.slot_size = static_cast<std::uint32_t>(slot_size());
  header.index = index;
  header.heartbeat = heartbeat.time_since_epoch().count();
  header.pool_length = static_cast<std::uint8_t>(pool_.size());
  std::ranges::copy(pool_, header.pool);
  write_value(file_.get(), header, 0);
}

// Anywhere, or who followed an earlier file of this name might take this one for it.
void RingWriter::start_index() {
  randombytes_buf(&index_, sizeof(index_));
  index_ &= 0x7fff'ffff'ffff'fffe;
}

void RingWriter::take_over() {
  FileHeader header{};
  const auto state = check(file_.get(), header);
  if (state != RingFileState::ok) {
    throw std::runtime_error("ring file " + path_.string() + ": " + to_text(state) +
                             "; remove it and start again");
  }
  if (std::string_view(header.pool, header.pool_length) != pool_) {
    throw std::runtime_error("ring file " + path_.string() + " belongs to pool " +
                             std::string(header.pool, header.pool_length) + ", not to " + pool_);
  }
  index_ = header.index;
  if (index_ == 0) start_index();
  wipe_slot(index_ + 1);  // what a writer that was killed between flip and wipe left
}

void RingWriter::wipe() {
  if (index_ != 0) wipe_slot(index_);
}

void RingWriter::wipe_slot(std::uint64_t index) {
  const std::vector<std::byte> zeros(slot_size());
  write_at(file_.get(), zeros, slot_offset(index));
}

Checked<bool> RingWriter::publish(const Ring& ring, Moment now) {
  TRY(check_keys(ring));
  if (ring.pool != pool_) return reject(Rejection::other_pool);
  const auto body = wire::write_ring_slot(to_slot(ring));
  const auto next = index_ + 1;
  const auto offset = slot_offset(next);
  const auto length = static_cast<std::uint32_t>(body.size());
  const auto hash = crypto::sha256(body.expose());

  ByteArray<slot_head> head;
  std::memcpy(head.data(), &next, 8);
  std::memcpy(head.data() + 8, &length, 4);
  std::ranges::copy(hash, head.begin() + 12);
  write_at(file_.get(), body.expose(), offset + static_cast<off_t>(slot_head));
  write_at(file_.get(), head, offset);
  write_header(next, now.latest);
  index_ = next;
  wipe_slot(next + 1);
  return true;
}

void RingWriter::heartbeat(Moment now) {
  const std::int64_t time = now.latest.time_since_epoch().count();
  write_value(file_.get(), time, offsetof(FileHeader, heartbeat));
}

std::optional<Ring> RingWriter::current() const {
  if (index_ == 0) return std::nullopt;
  auto ring = read_slot(file_.get(), index_, pool_);
  if (!ring) return std::nullopt;
  return std::move(*ring);
}

RingReader::RingReader(const std::filesystem::path& path) : path_(path) {
  // a pipe that was put there must not keep us waiting
  file_ = Fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file_) {
    state_ = errno == ENOENT ? RingFileState::missing : RingFileState::unreadable;
    return;
  }
  FileHeader header{};
  state_ = check(file_.get(), header);
  if (state_ == RingFileState::ok && header.index == 0) state_ = RingFileState::empty;
}

std::uint64_t RingReader::index() const {
  std::uint64_t index = 0;
  if (file_ && !read_value(file_.get(), index, offsetof(FileHeader, index))) index = 0;
  return index;
}

sys_seconds RingReader::heartbeat() const {
  std::int64_t time = 0;
  if (file_ && !read_value(file_.get(), time, offsetof(FileHeader, heartbeat))) time = 0;
  return sys_seconds(seconds(time));
}

tl::expected<Ring, RingFileState> RingReader::read() const {
  if (!file_) return tl::unexpected(state_);
  // a slot is torn only while a publish overtakes us: ask for the newer one
  constexpr int tries = 8;
  auto why = RingFileState::torn;
  for (int i = 0; i < tries; ++i) {
    FileHeader header{};
    const auto state = check(file_.get(), header);
    if (state != RingFileState::ok) return tl::unexpected(state);
    if (header.index == 0) return tl::unexpected(RingFileState::empty);
    auto ring = read_slot(file_.get(), header.index, {header.pool, header.pool_length});
    if (ring) return ring;
    why = ring.error();
  }
  return tl::unexpected(why);
}

bool RingReader::replaced() const {
  struct stat named {};
  if (stat(path_.c_str(), &named) != 0) return false;  // gone: keep what we have
  return !file_ || !file_.is_at(path_);
}

}  // namespace ticket::ring
