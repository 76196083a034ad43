#include "ring/counters.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstring>
#include <fstream>
#include <string>
#include <system_error>
#include <thread>

namespace ticket::ring {

const char* to_text(Counter counter) {
  constexpr const char* names[] = {"sealed",
                                   "not_sealed",
                                   "resumed_announced",
                                   "resumed_sealing",
                                   "resumed_opening",
                                   "unknown_key",
                                   "context",
                                   "expired",
                                   "forged",
                                   "malformed",
                                   "lineage",
                                   "revoked",
                                   "name",
                                   "token_ok",
                                   "token_missing",
                                   "token_malformed",
                                   "token_wrong_audience",
                                   "token_early",
                                   "token_expired",
                                   "token_unknown_key",
                                   "token_invalid",
                                   "token_replay",
                                   "token_unknown"};
  static_assert(std::size(names) == counter_count);
  return counter < Counter::count_ ? names[static_cast<std::size_t>(counter)] : "unknown counter";
}

Counter counter_of(Rejection why) {
  switch (why) {
    case Rejection::malformed:
      return Counter::malformed;
    case Rejection::context:
      return Counter::context;
    case Rejection::expired:
      return Counter::expired;
    case Rejection::forged:
      return Counter::forged;
    case Rejection::lineage:
      return Counter::lineage;
    case Rejection::revoked:
      return Counter::revoked;
    case Rejection::name:
      return Counter::name;
    case Rejection::no_key:
      return Counter::not_sealed;
    default:
      return Counter::unknown_key;
  }
}

namespace {

constexpr char magic[8] = {'t', 'k', 't', 'c', 'o', 'u', 'n', 't'};
constexpr std::uint32_t layout_version = 2;

struct FileHeader {
  char magic[8];
  std::uint32_t version;
  std::uint32_t counters;
};

struct Slot {
  std::uint64_t owner = 0;
  Counts counts{};
};

constexpr std::size_t gathered = 0;      // the slot of what ended processes counted
constexpr std::size_t max_slots = 4096;  // processes that live at once

off_t offset_of(std::size_t slot) {
  return static_cast<off_t>(sizeof(FileHeader) + slot * sizeof(Slot));
}

bool read_slot(int file, std::size_t index, Slot& slot) {
  return pread(file, &slot, sizeof(slot), offset_of(index)) == static_cast<ssize_t>(sizeof(slot));
}

bool write_slot(int file, std::size_t index, const Slot& slot) {
  return pwrite(file, &slot, sizeof(slot), offset_of(index)) == static_cast<ssize_t>(sizeof(slot));
}

bool valid(int file) {
  FileHeader header{};
  return pread(file, &header, sizeof(header), 0) == static_cast<ssize_t>(sizeof(header)) &&
         std::memcmp(header.magic, magic, sizeof(magic)) == 0 && header.version == layout_version &&
         header.counters == counter_count;
}

// Field 22 of /proc/PID/stat: tells a process from a later one of the same
// number. 0 when there is no such process (or no /proc).
std::uint64_t start_time(std::uint32_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string text{std::istreambuf_iterator<char>(file), {}};
  auto at = text.rfind(')');  // the name may hold spaces and brackets
  for (int field = 2; field < 22 && at != std::string::npos; ++field) at = text.find(' ', at + 1);
  if (at == std::string::npos) return 0;
  std::uint64_t value = 0;
  std::from_chars(text.data() + at + 1, text.data() + text.size(), value);
  return value;
}

std::uint64_t owner_of(std::uint32_t pid) { return pid | (start_time(pid) << 32); }

bool ended(std::uint64_t owner) { return owner != owner_of(static_cast<std::uint32_t>(owner)); }

Counts sum_of(Counts a, const Counts& b) {
  for (std::size_t i = 0; i < counter_count; ++i) a[i] += b[i];
  return a;
}

Counts difference(Counts a, const Counts& b) {
  for (std::size_t i = 0; i < counter_count; ++i) a[i] -= b[i];
  return a;
}

// Moves a slot's counts to the gathered ones. Under the lock.
void gather(int file, std::size_t index, const Slot& slot) {
  Slot total;
  if (!read_slot(file, gathered, total)) return;
  total.counts = sum_of(total.counts, slot.counts);
  write_slot(file, gathered, total);
  write_slot(file, index, Slot{});
}

// Held for some microseconds by whoever is honest. Anybody who may read the file can
// hold it for ever: nobody waits for that.
class Lock {
 public:
  // Asks again for so many milliseconds.
  explicit Lock(int file, int patience = 50) : file_(file) {
    for (int i = 0; !(held_ = flock(file, LOCK_EX | LOCK_NB) == 0) && i < patience; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }
  ~Lock() {
    if (held_) flock(file_, LOCK_UN);
  }
  Lock(const Lock&) = delete;
  bool held() const { return held_; }

 private:
  int file_;
  bool held_ = false;
};

}  // namespace

Counters::Counters(std::filesystem::path path) : path_(std::move(path)) { fork_.forked(); }

Counters::~Counters() {
  flush();
  if (!file_ || slot_ == 0 || !still_mine()) return;
  const Lock lock(file_.get());
  Slot mine;
  if (!lock.held()) return;  // whoever takes the next slot gathers it
  if (read_slot(file_.get(), slot_, mine)) gather(file_.get(), slot_, mine);
}

Counts Counters::own() const {
  Counts counts;
  for (std::size_t i = 0; i < counter_count; ++i) {
    counts[i] = counts_[i].load(std::memory_order_relaxed) - inherited_[i];
  }
  return counts;
}

void Counters::flush() noexcept {
  if (path_.empty()) return;
  const std::lock_guard guard(flushing_);
  if (fork_.forked()) {
    // what stands in the parent's slot is the parent's; and so is the open
    // file, to which flock belongs
    inherited_ = sum_of(inherited_, sum_of(elsewhere_, in_slot_));
    elsewhere_ = in_slot_ = {};
    slot_ = 0;
    file_ = Fd();
  }
  if (slot_ != 0 && !file_.is_at(path_)) {  // removed, perhaps made anew: all counts go there
    elsewhere_ = in_slot_ = {};
    slot_ = 0;
  }
  if (slot_ != 0 && own() == sum_of(elsewhere_, in_slot_)) return;
  if (slot_ != 0 && !still_mine()) {
    // someone who cannot see us (another pid namespace) took us for ended
    elsewhere_ = sum_of(elsewhere_, in_slot_);
    in_slot_ = {};
    slot_ = 0;
  }
  if (slot_ == 0 && !take_slot()) return;
  const auto counts = difference(own(), elsewhere_);
  if (write_slot(file_.get(), slot_, {owner_, counts})) in_slot_ = counts;
}

bool Counters::still_mine() const {
  Slot slot;
  return read_slot(file_.get(), slot_, slot) && slot.owner == owner_;
}

bool Counters::take_slot() {
  Fd file(open(path_.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!file || !valid(file.get())) return false;
  const Lock lock(file.get(), 0);
  if (!lock.held()) return false;  // the next flush tries again
  owner_ = owner_of(static_cast<std::uint32_t>(getpid()));
  for (std::size_t index = gathered + 1; index < max_slots; ++index) {
    Slot slot;
    const bool stands = read_slot(file.get(), index, slot);
    if (stands && slot.owner != 0 && !ended(slot.owner)) continue;
    if (stands && slot.owner != 0) gather(file.get(), index, slot);
    if (!write_slot(file.get(), index, {owner_, {}})) return false;
    file_ = std::move(file);
    slot_ = index;
    return true;
  }
  return false;
}

void Counters::create(const std::filesystem::path& path, int group) {
  const Fd file(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0660));
  const auto failed = [&path] {
    return std::system_error(errno, std::generic_category(), "counters file " + path.string());
  };
  if (!file) throw failed();
  const Lock lock(file.get());
  struct stat status {};
  if (fstat(file.get(), &status) != 0) throw failed();
  // what is not ours is left as it is, its mode too
  if (!S_ISREG(status.st_mode) || (status.st_size != 0 && !valid(file.get()))) {
    throw std::runtime_error("counters file " + path.string() +
                             ": not one of this version; remove it and start again");
  }
  if (fchown(file.get(), static_cast<uid_t>(-1), static_cast<gid_t>(group)) != 0 ||
      fchmod(file.get(), 0660) != 0) {
    throw failed();
  }
  if (status.st_size == 0) {
    if (!lock.held()) {
      throw std::runtime_error("counters file " + path.string() +
                               ": another process keeps it locked");
    }
    FileHeader header{};
    std::memcpy(header.magic, magic, sizeof(magic));
    header.version = layout_version;
    header.counters = counter_count;
    if (pwrite(file.get(), &header, sizeof(header), 0) != static_cast<ssize_t>(sizeof(header)) ||
        !write_slot(file.get(), gathered, Slot{})) {
      throw failed();
    }
  }
}

Counts Counters::sum(const std::filesystem::path& path) {
  Counts total{};
  const Fd file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file || !valid(file.get())) return total;
  Slot slot;
  for (std::size_t index = 0; index < max_slots && read_slot(file.get(), index, slot); ++index) {
    total = sum_of(total, slot.counts);
  }
  return total;
}

}  // namespace ticket::ring
