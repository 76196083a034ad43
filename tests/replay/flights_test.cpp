#include "replay/flights.hpp"

#include <doctest/doctest.h>

#include "samples.hpp"
#include "support/rings.hpp"

namespace ticket::replay {

namespace {

namespace fs = std::filesystem;
using samples::edit_header;

const Moment now(test::noon + seconds(600));

// Two epochs: one seals, one comes in 50 minutes.
ring::Ring ring_now() { return test::ring_of(test::hourly(7, 8)); }

Flights::Options in(const fs::path& folder) {
  return {.folder = folder, .capacity = 100, .log = {}};
}

fs::path file_of(const fs::path& folder, const ring::Ring& ring, std::size_t epoch) {
  return flights_path(folder, ring.epochs[epoch].number, ring.epochs[epoch].id);
}

const Bytes flight(32, std::byte{9});

}  // namespace

TEST_SUITE("flights") {
  TEST_CASE("a flight is fresh once under the table that its ticket names, and foreign elsewhere") {
    const support::TempFolder folder;
    Flights one(in(folder / "t")), two(in(folder / "t")), other(in(folder / "o"));
    for (auto* flights : {&one, &two, &other}) flights->tend(ring_now(), now);
    const auto table = one.table_of(7);
    REQUIRE(table.has_value());
    CHECK(two.table_of(7) == table);
    CHECK(other.table_of(7) != table);
    CHECK_FALSE(one.table_of(8).has_value());  // it comes too late to be made yet
    CHECK_FALSE(one.table_of(9).has_value());

    CHECK(other.claim(7, *table, flight) == FlightVerdict::foreign);
    CHECK(two.claim(8, *table, flight) == FlightVerdict::foreign);
    CHECK(two.claim(7, {}, flight) == FlightVerdict::foreign);
    CHECK(two.claim(7, *table, flight) == FlightVerdict::fresh);
    CHECK(two.claim(7, *table, flight) == FlightVerdict::replay);
    CHECK(one.claim(7, *table, flight) == FlightVerdict::replay);
    CHECK(one.claim(7, *table, Bytes(32, std::byte{8})) == FlightVerdict::fresh);
  }

  TEST_CASE("a copy of a file is another table, a memory that was handed on is not") {
    const support::TempFolder folder;
    const TableEpoch epoch{EpochId{std::byte{1}}, by_name};
    const auto first = Table::open(folder / "t", epoch, {100}, now);
    fs::copy(folder / "t", folder / "copy");
    CHECK(Table::open(folder / "t", epoch, {100}, now).name() == first.name());
    CHECK(Table::open(folder / "copy", epoch, {100}, now).name() != first.name());
    CHECK(Table::open(folder / "copy", epoch, {100}, now).seed() == first.seed());

    const auto memory = Table::make(epoch, {100}, now);
    CHECK(memory.state() == TableState::ok);
    CHECK(memory.name() != Table::make(epoch, {100}, now).name());
    CHECK(Table::attach(ring::Fd(dup(memory.file().get())), epoch, now).name() == memory.name());
  }

  TEST_CASE("a table of before a boot is never used, and replaced") {
    const support::TempFolder folder;
    const auto ring = ring_now();
    std::optional<TableName> old;
    {
      Flights flights(in(folder.path()));
      flights.tend(ring, now);
      old = flights.table_of(7);
    }
    edit_header(file_of(folder.path(), ring, 0), 32, Bytes(16, std::byte{5}));  // the boot's id
    Flights flights(in(folder.path()));
    flights.tend(ring, now);
    REQUIRE(flights.table_of(7).has_value());
    CHECK(flights.table_of(7) != old);
    CHECK(flights.claim(7, *old, flight) == FlightVerdict::foreign);
  }

  TEST_CASE("files of epochs that are over go, those that another process made ahead stay") {
    const support::TempFolder folder;
    const auto ring = ring_now();
    auto newer = ring_now();
    newer.epochs.push_back(test::epoch(9, test::noon));
    Flights behind(in(folder.path())), ahead(in(folder.path()));
    ahead.tend(newer, now);
    support::write_text(folder / "6-aa.early", "");
    support::write_text(folder / "notes.txt", "");
    behind.tend(ring, now);
    CHECK(fs::exists(file_of(folder.path(), newer, 2)));
    CHECK_FALSE(fs::exists(folder / "6-aa.early"));
    CHECK(fs::exists(folder / "notes.txt"));

    // and a process that had the old one has none any more
    REQUIRE(behind.table_of(7).has_value());
    auto later = ring_now();
    later.epochs.erase(later.epochs.begin());
    behind.tend(later, now);
    CHECK_FALSE(behind.table_of(7).has_value());
    CHECK_FALSE(fs::exists(file_of(folder.path(), ring, 0)));
  }

  TEST_CASE("a burned epoch takes its early data with it") {
    const support::TempFolder folder;
    Flights flights(in(folder.path()));
    auto ring = ring_now();
    flights.tend(ring, now);
    const auto table = flights.table_of(7);
    ring.epochs[0].burned = true;
    flights.tend(ring, now);
    CHECK(flights.claim(7, *table, flight) == FlightVerdict::foreign);
  }
}

}  // namespace ticket::replay
