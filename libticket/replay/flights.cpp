#include "replay/flights.hpp"

#include <sodium.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <system_error>

#include "ring/pin.hpp"

namespace ticket::replay {

namespace fs = std::filesystem;

namespace {

constexpr auto ending = ".early";
constexpr int warning = 1;
// A table is there before the first ticket of its epoch is sealed.
constexpr seconds ahead{60};
constexpr seconds pause{10};  // after a failure

// Keyed: who knew where a flight is recorded could fill its neighbourhood.
Location location_of(const Table& table, BytesView flight) {
  Location location;
  crypto_generichash(raw(location), location.size(), raw(flight), flight.size(), raw(table.seed()),
                     table.seed().size());
  return location;
}

// The number that a table's name begins with; nullopt for other files.
std::optional<std::uint32_t> number_of(const fs::path& path) {
  const auto name = path.filename().string();
  std::uint32_t number = 0;
  const auto* end = name.data() + name.size();
  const auto [at, error] = std::from_chars(name.data(), end, number);
  const bool ours = error == std::errc() && at != end && *at == '-' && path.extension() == ending;
  return ours ? std::optional(number) : std::nullopt;
}

}  // namespace

fs::path flights_path(const fs::path& folder, std::uint32_t number, const EpochId& id) {
  return folder / (std::to_string(number) + "-" + hex(id) + ending);
}

Flights::Flights(Options options) : options_(std::move(options)) {}

Flights::~Flights() { publish(nullptr); }

// ---- tending

bool Flights::wants_table(const ring::Ring& ring, const ring::Epoch& epoch, Moment now) const {
  if (&epoch == ring::sealing_epoch(ring.epochs, ring.policy.stretch, now)) return true;
  return epoch.seals_from > now.steady && epoch.seals_from - now.steady <= ahead;
}

// Whether what we have of an epoch that seals is what the host's other processes have.
bool Flights::stands(const Entry& entry) const { return entry.table && entry.table->in_place(); }

void Flights::tend(const ring::Ring& ring, Moment now) noexcept try {
  static const Tables none;
  const auto* const current = tables_.load();
  const auto& old = current == nullptr ? none : *current;
  auto next = std::make_unique<Tables>();
  bool changed = false;
  for (const auto& epoch : ring.epochs) {
    if (epoch.burned || now.latest >= epoch.opens_until) continue;
    const auto known = std::ranges::find(old, epoch.id, &Entry::id);
    Entry entry{epoch.id, epoch.number, known == old.end() ? nullptr : known->table};
    const bool make = wants_table(ring, epoch, now);
    // a retry that is further off was set before the clock was set back
    const bool again = now.latest >= retry_ || retry_ > now.latest + pause;
    if (known == old.end() || (make && !stands(entry) && again)) {
      entry.table = find(epoch, make, now);
      changed = true;
    }
    next->push_back(std::move(entry));
  }
  if (!changed && next->size() == old.size()) return;
  publish(std::move(next));
  sweep(ring);
} catch (const std::exception& failure) {  // no memory, say: the next time again
  try {
    say_once(failure.what());
  } catch (...) {
  }
}

// The host's table of an epoch; when it can have none, one of this process alone.
std::shared_ptr<Table> Flights::find(const ring::Epoch& epoch, bool make, Moment now) {
  const TableEpoch of{epoch.id, by_name};
  std::string trouble;
  if (!options_.folder.empty()) {
    try {
      auto table = open_file(of, flights_path(options_.folder, epoch.number, epoch.id), make, now);
      if (table || !make) return table;
    } catch (const std::exception& failure) {
      trouble = failure.what();
    }
  }
  if (!make) return nullptr;
  try {
    auto table = std::make_shared<Table>(Table::make(of, {options_.capacity}, now));
    if (!trouble.empty()) {
      say_once(trouble +
               "; early data is recorded in each process by itself, and taken there only");
    }
    return table;
  } catch (const std::exception& failure) {
    retry_ = now.latest + pause;
    say_once(std::string(failure.what()) + "; no early data is taken");
    return nullptr;
  }
}

// A table that is of no use, of before a restart or garbled, is replaced: whoever has a
// ticket that names it is refused.
std::shared_ptr<Table> Flights::open_file(const TableEpoch& epoch, const fs::path& path, bool make,
                                          Moment now) {
  struct stat status {};
  if (!make && lstat(path.c_str(), &status) != 0) return nullptr;
  if (make && mkdir(options_.folder.c_str(), 0770) != 0 && errno != EEXIST) {
    throw std::system_error(errno, std::generic_category(), options_.folder.string());
  }
  for (int attempt = 0;; ++attempt) {
    std::string trouble;
    try {
      auto table = std::make_shared<Table>(Table::open(path, epoch, {options_.capacity}, now));
      if (table->state() == TableState::ok) return table;
      trouble = to_text(table->state());
    } catch (const std::system_error&) {
      throw;
    } catch (const std::runtime_error& garbled) {
      trouble = garbled.what();
    }
    if (!make) return nullptr;
    if (attempt == 1) throw std::runtime_error(path.string() + ": " + trouble);
    unlink(path.c_str());
  }
}

// Files of epochs that have ended; numbers grow. Not those that this process merely does
// not know: another one may be ahead of it.
void Flights::sweep(const ring::Ring& ring) const {
  if (ring.epochs.empty() || options_.folder.empty()) return;
  const auto oldest = std::ranges::min(ring.epochs, {}, &ring::Epoch::number).number;
  std::error_code gone;
  for (const auto& file : fs::directory_iterator(options_.folder, gone)) {
    const auto number = number_of(file.path());
    if (number && *number < oldest) fs::remove(file.path(), gone);
  }
}

void Flights::publish(std::unique_ptr<const Tables> tables) {
  const auto* old = tables_.exchange(tables.release());
  if (old == nullptr) return;
  ring::wait_until_unpinned(old);
  delete old;
}

void Flights::say_once(const std::string& text) {
  if (text == said_) return;
  said_ = text;
  if (options_.log) options_.log(warning, "early data: " + text);
}

// ---- handshakes

std::optional<TableName> Flights::table_of(std::uint32_t epoch) const noexcept {
  std::optional<TableName> name;
  if (const auto* tables = ring::pin(tables_)) {
    const auto entry = std::ranges::find(*tables, epoch, &Entry::number);
    if (entry != tables->end() && entry->table) name = entry->table->name();
  }
  ring::unpin();
  return name;
}

FlightVerdict Flights::claim(std::uint32_t epoch, const TableName& table,
                             BytesView flight) noexcept {
  auto verdict = FlightVerdict::foreign;
  if (const auto* tables = ring::pin(tables_)) {
    const auto entry = std::ranges::find(*tables, epoch, &Entry::number);
    if (entry != tables->end() && entry->table && entry->table->name() == table) {
      switch (entry->table->claim(location_of(*entry->table, flight), {})) {
        case Verdict::fresh:
          verdict = FlightVerdict::fresh;
          break;
        case Verdict::replay:
          verdict = FlightVerdict::replay;
          break;
        case Verdict::unknown:
          verdict = FlightVerdict::unknown;
          break;
      }
    }
  }
  ring::unpin();
  return verdict;
}

}  // namespace ticket::replay
