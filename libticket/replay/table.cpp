#include "replay/table.hpp"

#include <fcntl.h>
#include <sodium.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <fstream>
#include <stdexcept>
#include <system_error>

#include "crypto/digest.hpp"

namespace ticket::replay {

const char* to_text(TableState state) {
  switch (state) {
    case TableState::ok:
      return "ok";
    case TableState::closed:
      return "closed: its epoch is over";
    case TableState::early:
      return "not tended since its epoch began";
    case TableState::replaced:
      return "no longer the file of its path: what others spend is not in it";
    case TableState::younger:
      return "younger than its epoch: what was spent before is not in it";
    case TableState::other_boot:
      return "of before a restart of this machine";
  }
  return "unknown state";
}

namespace {

constexpr char magic[8] = {'t', 'k', 't', 's', 'p', 'e', 'n', 't'};
constexpr std::uint32_t layout_version = 3;
constexpr std::size_t page = 4096;
constexpr std::size_t line_places = 8;
constexpr std::size_t line_size = line_places * 8;
constexpr std::uint64_t reach = 64;  // lines that a walk may visit
constexpr std::size_t max_entries = std::size_t{1} << 32;
// Fuller, walks grow longer; emptier, the table grows: 11.94 bytes an entry.
constexpr double full = 0.67;

using BootId = ByteArray<16>;

struct Header {
  char magic[8];
  std::uint32_t version;
  std::atomic<std::uint32_t> closed;  // the one field that changes
  EpochId epoch;
  BootId boot;
  std::int64_t opened;
  std::int64_t opened_boot;
  std::uint64_t lines;
  ByteArray<16> seed;
  crypto::Sha256 hash;
};
static_assert(sizeof(Header) == 120 && offsetof(Header, closed) == 12);
static_assert(std::atomic<std::uint32_t>::is_always_lock_free &&
              std::atomic<std::uint64_t>::is_always_lock_free);

// Of what never changes.
crypto::Sha256 hash_of(const Header& header) {
  ByteArray<offsetof(Header, hash) - 4> fixed;
  const auto* bytes = reinterpret_cast<const std::byte*>(&header);
  std::copy_n(bytes, 12, fixed.begin());
  std::copy_n(bytes + 16, offsetof(Header, hash) - 16, fixed.begin() + 12);
  return crypto::sha256(fixed);
}

// Of the kernel that runs; nullopt when it does not say.
std::optional<BootId> boot_id() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string text;
  file >> text;
  std::erase(text, '-');
  const auto bytes = from_hex(text);
  if (!bytes || bytes->size() != 16) return std::nullopt;
  return to_array(BytesView(*bytes).first<16>());
}

// In nanoseconds. Nobody sets it, and it does not stop while the machine sleeps.
std::int64_t boot_time() {
  timespec now{};
  clock_gettime(CLOCK_BOOTTIME, &now);
  return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

// Neither clock alone makes an epoch begin.
sys_seconds earlier(Moment now) { return now.steady + std::min(now.apart, seconds(0)); }

[[noreturn]] void fail(const std::string& name) {
  throw std::system_error(errno, std::generic_category(), name);
}

[[noreturn]] void refuse(const std::string& name, const std::string& why) {
  throw std::runtime_error(name + ": " + why);
}

std::uint64_t lines_for(TableSize size) {
  if (size.entries == 0 || size.entries > max_entries) {
    throw std::invalid_argument("a replay table of " + std::to_string(size.entries) +
                                " entries: 1 to 2^32 it may have");
  }
  return static_cast<std::uint64_t>(static_cast<double>(size.entries) / full / line_places) + 1;
}

std::size_t size_of(std::uint64_t lines) { return page + lines * line_size; }

// In huge pages where the system allows them for memory like this; all pages are there
// when this returns, so that no process is ended later because there is no memory left.
void allocate(int file, std::size_t size, const std::string& name) {
  if (ftruncate(file, static_cast<off_t>(size)) != 0) fail(name);
  void* map = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (map != MAP_FAILED) {
    madvise(map, size, MADV_HUGEPAGE);
#ifdef MADV_POPULATE_WRITE
    madvise(map, size, MADV_POPULATE_WRITE);
#endif
    munmap(map, size);
  }
  const int error = posix_fallocate(file, 0, static_cast<off_t>(size));
  if (error != 0) {
    throw std::system_error(error, std::generic_category(),
                            name + ": no room for " + std::to_string(size >> 20) +
                                " MiB; give it fewer entries or a larger file system");
  }
}

void fill(int file, const TableEpoch& epoch, TableSize size, Moment now, const std::string& name) {
  Header header{};
  std::memcpy(header.magic, magic, sizeof(magic));
  header.version = layout_version;
  header.epoch = epoch.id;
  header.boot = boot_id().value_or(BootId{});  // zeros: no boot's, so it says unknown
  header.opened = now.latest.time_since_epoch().count();
  header.opened_boot = boot_time();
  header.lines = lines_for(size);
  randombytes_buf(header.seed.data(), header.seed.size());
  header.hash = hash_of(header);
  allocate(file, size_of(header.lines), name);
  if (pwrite(file, &header, sizeof(header), 0) != static_cast<ssize_t>(sizeof(header))) fail(name);
}

constexpr auto in_memory = "replay table in memory";

std::string name_of(const std::filesystem::path& path) {
  return path.empty() ? in_memory : "replay table " + path.string();
}

ring::Fd open_existing(const std::filesystem::path& path) {
  return ring::Fd(::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
}

// A whole table without a name is given one; nobody sees a part of it. False when the
// name is taken meanwhile.
bool make_file(const std::filesystem::path& path, const TableEpoch& epoch, TableSize size,
               Moment now, int group) {
  const auto name = name_of(path);
  const auto folder = path.has_parent_path() ? path.parent_path() : ".";
  const ring::Fd file(::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0660));
  if (!file) fail(name);
  fill(file.get(), epoch, size, now, name);
  if (fchown(file.get(), static_cast<uid_t>(-1), static_cast<gid_t>(group)) != 0 ||
      fchmod(file.get(), 0660) != 0) {
    fail(name);
  }
  const auto unnamed = "/proc/self/fd/" + std::to_string(file.get());
  if (linkat(AT_FDCWD, unnamed.c_str(), AT_FDCWD, path.c_str(), AT_SYMLINK_FOLLOW) == 0)
    return true;
  if (errno != EEXIST) fail(name);
  return false;
}

// What the file says it is, read without mapping it: a shortened one is an error here,
// not a signal.
void check(int file, const Header& header, const TableEpoch& epoch, const std::string& name) {
  constexpr auto remove_it = "; remove it, and what was spent in its epoch stays unknown";
  struct stat status {};
  if (fstat(file, &status) != 0) fail(name);
  if (!S_ISREG(status.st_mode)) refuse(name, "not a file");
  if (std::memcmp(header.magic, magic, sizeof(magic)) != 0) refuse(name, "not a replay table");
  if (header.version != layout_version) refuse(name, std::string("another version") + remove_it);
  if (hash_of(header) != header.hash || header.lines == 0 ||
      header.lines > lines_for({max_entries})) {
    refuse(name, std::string("garbled") + remove_it);
  }
  if (static_cast<std::uint64_t>(status.st_size) != size_of(header.lines)) {
    refuse(name, std::string("truncated") + remove_it);
  }
  if (header.epoch != epoch.id) refuse(name, "of another epoch; give each epoch a file of its own");
}

// Of what was drawn when the table was made, and of where its bytes are: a copy of the
// file is another table, since what is spent in one is not in the other.
TableName name_of(int file, const Header& header) {
  struct stat status {};
  if (fstat(file, &status) != 0) return {};
  ByteArray<sizeof(header.hash) + 16> parts{};
  std::ranges::copy(header.hash, parts.begin());
  const std::uint64_t place[2] = {status.st_dev, status.st_ino};
  std::memcpy(parts.data() + sizeof(header.hash), place, sizeof(place));
  return to_array(BytesView(crypto::sha256(parts)).first<sizeof(TableName)>());
}

std::uint64_t read_u64(const Location& location, std::size_t at) {
  std::uint64_t value = 0;
  std::memcpy(&value, location.data() + at, sizeof(value));
  return value;
}

// 0 marks a free place.
std::uint64_t fingerprint_of(const Location& location) {
  return std::max<std::uint64_t>(read_u64(location, 8), 1);
}

}  // namespace

void Unmap::operator()(void* map) const noexcept { munmap(map, size); }

Table::Table(ring::Fd file, const TableEpoch& epoch, Moment now, const std::filesystem::path& path)
    : file_(std::move(file)),
      path_(path.empty() ? path : std::filesystem::absolute(path)),
      begins_(epoch.begins) {
  const auto name = name_of(path);
  Header header{};
  if (pread(file_.get(), &header, sizeof(header), 0) != static_cast<ssize_t>(sizeof(header))) {
    refuse(name, "not a replay table");
  }
  check(file_.get(), header, epoch, name);
  const auto size = size_of(header.lines);
  void* map = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, file_.get(), 0);
  if (map == MAP_FAILED) fail(name);
  map_ = {map, Unmap{size}};
  madvise(map, size, MADV_HUGEPAGE);
#ifdef MADV_POPULATE_WRITE
  madvise(map, size, MADV_POPULATE_WRITE);  // no page faults later
#endif
  closed_ = &static_cast<Header*>(map)->closed;
  places_ = reinterpret_cast<Place*>(static_cast<std::byte*>(map) + page);
  lines_ = header.lines;
  // nothing in the file is believed later but its places
  opened_ = sys_seconds(seconds(header.opened));
  opened_boot_ = header.opened_boot;
  seed_ = header.seed;
  name_ = name_of(file_.get(), header);
  if (boot_id() != header.boot) finding_.set(TableState::other_boot);
  tend(now);
}

Table Table::open(const std::filesystem::path& path, const TableEpoch& epoch, TableSize size,
                  Moment now, int group) {
  // twice: somebody may remove what somebody else has just made
  for (int i = 0; i < 2; ++i) {
    if (auto table = find(path, epoch, now)) return std::move(*table);
    make_file(path, epoch, size, now, group);
  }
  auto file = open_existing(path);
  if (!file) fail(name_of(path));
  return Table(std::move(file), epoch, now, path);
}

std::optional<Table> Table::find(const std::filesystem::path& path, const TableEpoch& epoch,
                                 Moment now) {
  if (auto file = open_existing(path)) return Table(std::move(file), epoch, now, path);
  if (errno != ENOENT) fail(name_of(path));
  return std::nullopt;
}

namespace {

constexpr auto unshrinkable = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

}  // namespace

Table Table::make(const TableEpoch& epoch, TableSize size, Moment now) {
  ring::Fd file(memfd_create("replay table", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!file) fail(in_memory);
  fill(file.get(), epoch, size, now, in_memory);
  if (fcntl(file.get(), F_ADD_SEALS, unshrinkable) != 0) fail(in_memory);
  return Table(std::move(file), epoch, now, {});
}

Table Table::attach(ring::Fd file, const TableEpoch& epoch, Moment now) {
  const int seals = fcntl(file.get(), F_GET_SEALS);
  if (seals < 0 || (seals & F_SEAL_SHRINK) == 0) {
    refuse(in_memory, "not sealed against shortening");
  }
  return Table(std::move(file), epoch, now, {});
}

void Table::Finding::set(TableState state) noexcept {
  auto found = get();
  while ((found == TableState::early || (found == TableState::ok && state != TableState::early)) &&
         !state_.compare_exchange_weak(found, state, std::memory_order_relaxed)) {
  }
}

bool Table::in_place() const noexcept {
  if (path_.empty()) return true;
  struct stat mine {
  }, theirs{};
  return fstat(file_.get(), &mine) == 0 && mine.st_nlink > 0 &&
         lstat(path_.c_str(), &theirs) == 0 && mine.st_dev == theirs.st_dev &&
         mine.st_ino == theirs.st_ino;
}

// By what the clocks said then, and by what they say now less the time that is gone: then
// they may have been behind. Rounded so that it is rather too late than too early.
bool Table::made_in_time(Moment now) const noexcept {
  std::int64_t gone = 0;
  if (__builtin_sub_overflow(boot_time(), opened_boot_, &gone)) return false;
  const auto opened = now.latest - std::chrono::floor<seconds>(std::chrono::nanoseconds(gone));
  return std::max(opened_, opened) < begins_;
}

TableState Table::tend(Moment now) noexcept {
  if (begins_ == by_name) {
    finding_.set(TableState::ok);
  } else if (!made_in_time(now)) {
    finding_.set(TableState::younger);
  } else if (!in_place()) {
    finding_.set(TableState::replaced);
  } else if (path_.empty() || earlier(now) >= begins_) {
    finding_.set(TableState::ok);
  }
  return state();
}

TableState Table::state() const noexcept {
  const auto found = finding_.get();
  if (found != TableState::ok) return found;
  return closed_->load(std::memory_order_relaxed) == 0 ? TableState::ok : TableState::closed;
}

template <class On>
Verdict Table::walk(const Location& location, On on) const noexcept {
  // the first 8 bytes as a fraction of all lines
  auto line = static_cast<std::uint64_t>(
      (static_cast<unsigned __int128>(read_u64(location, 0)) * lines_) >> 64);
  for (auto left = std::min(reach, lines_); left > 0; --left) {
    auto* places = places_ + line * line_places;
    for (std::size_t i = 0; i < line_places; ++i) {
      const auto verdict = on(places[i]);
      if (verdict) return *verdict;
    }
    if (++line == lines_) line = 0;
  }
  return Verdict::unknown;  // full
}

bool Table::holds(const Location& location) const noexcept {
  if (state() != TableState::ok) return false;
  const auto fingerprint = fingerprint_of(location);
  const auto verdict = walk(location, [&](Place& place) -> std::optional<Verdict> {
    const auto value = place.load(std::memory_order_relaxed);
    if (value == fingerprint) return Verdict::replay;
    if (value == 0) return Verdict::unknown;
    return std::nullopt;
  });
  return verdict == Verdict::replay;
}

Verdict Table::claim(const Location& location, const ClaimId&) noexcept {
  if (state() != TableState::ok) return Verdict::unknown;
  const auto fingerprint = fingerprint_of(location);
  return walk(location, [&](Place& place) -> std::optional<Verdict> {
    auto value = place.load(std::memory_order_relaxed);
    // relaxed: a place is all there is, it is set once, and who fails to set it reads
    // what was set
    if (value == 0 &&
        place.compare_exchange_strong(value, fingerprint, std::memory_order_relaxed)) {
      return Verdict::fresh;
    }
    if (value == fingerprint) return Verdict::replay;
    return std::nullopt;
  });
}

void Table::close() noexcept { closed_->store(1, std::memory_order_relaxed); }

double Table::load() const noexcept {
  const auto sample = std::min<std::uint64_t>(lines_, 1000);
  std::size_t taken = 0;
  for (std::uint64_t i = 0; i < sample; ++i) {
    auto* places = places_ + i * (lines_ / sample) * line_places;
    taken += static_cast<std::size_t>(std::count_if(places, places + line_places, [](Place& place) {
      return place.load(std::memory_order_relaxed) != 0;
    }));
  }
  return static_cast<double>(taken) / static_cast<double>(sample * line_places);
}

}  // namespace ticket::replay
