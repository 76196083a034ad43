#include "replay/table.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "samples.hpp"
#include "support/process.hpp"

namespace ticket::replay {

namespace {

using samples::age;
using samples::before;
using samples::edit_header;
using samples::epoch;
using samples::location;
using samples::me;
using samples::noon;

constexpr TableSize small{1000};

std::string refusal(const std::filesystem::path& path, const TableEpoch& of = epoch) {
  try {
    Table::open(path, of, small, before);
    return "opened";
  } catch (const std::exception& failure) {
    return failure.what();
  }
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// A file that was made in time, a minute before its epoch began, which it has.
Table opened(const std::filesystem::path& path) {
  if (!std::filesystem::exists(path)) {
    { const auto made = Table::open(path, epoch, small, before); }
    age(path, seconds(60));
  }
  return Table::open(path, epoch, small, noon);
}

}  // namespace

TEST_SUITE("replay table") {
  TEST_CASE("a location is fresh once, and a replay ever after") {
    auto table = Table::make(epoch, small, before);
    for (std::uint64_t i = 0; i < 1000; ++i) {
      CHECK_FALSE(table.holds(location(i)));
      CHECK(table.claim(location(i), me) == Verdict::fresh);
      CHECK(table.holds(location(i)));
    }
    for (std::uint64_t i = 0; i < 1000; ++i) {
      CHECK(table.claim(location(i), me) == Verdict::replay);
      CHECK(table.claim(location(i), ClaimId{std::byte{1}}) == Verdict::replay);
    }
    CHECK(table.load() > 0.4);
  }

  TEST_CASE("a fingerprint of zero, which marks a free place, is one like others") {
    auto table = Table::make(epoch, small, before);
    const Location zero{};
    CHECK_FALSE(table.holds(zero));
    CHECK(table.claim(zero, me) == Verdict::fresh);
    CHECK(table.holds(zero));
    CHECK(table.claim(zero, me) == Verdict::replay);
  }

  TEST_CASE("the last line goes on at the first") {
    auto table = Table::make(epoch, small, before);
    for (int i = 0; i < 100; ++i) {
      Location at_the_end;
      at_the_end.fill(std::byte{0xff});
      at_the_end[8] = static_cast<std::byte>(i);
      CHECK(table.claim(at_the_end, me) == Verdict::fresh);
      CHECK(table.claim(at_the_end, me) == Verdict::replay);
    }
  }

  TEST_CASE("all that a table is made for fits; full, it is unknown and never fresh") {
    for (const std::size_t entries : {1, 8, 100, 10'000}) {
      CAPTURE(entries);
      auto table = Table::make(epoch, {entries}, before);
      std::uint64_t fresh = 0, unknown = 0, replays = 0;
      for (std::uint64_t i = 0; i < 3 * entries + 50; ++i) {
        const auto verdict = table.claim(location(i), me);
        CHECK((i >= entries || verdict == Verdict::fresh));
        fresh += verdict == Verdict::fresh ? 1 : 0;
        unknown += verdict == Verdict::unknown ? 1 : 0;
      }
      CHECK(unknown > 0);
      for (std::uint64_t i = 0; i < 3 * entries + 50; ++i) {
        const auto verdict = table.claim(location(i), me);
        CHECK(verdict != Verdict::fresh);
        replays += verdict == Verdict::replay ? 1 : 0;
      }
      CHECK(replays == fresh);  // nothing was evicted
    }
  }

  TEST_CASE("at most 12 bytes an entry, and numbers that make no table") {
    const auto table = Table::make(epoch, {100'000}, before);
    CHECK(static_cast<double>(table.bytes()) / 100'000 <= 12);
    CHECK_THROWS_AS(Table::make(epoch, {0}, before), std::invalid_argument);
    CHECK_THROWS_AS(Table::make(epoch, {(std::size_t{1} << 32) + 1}, before),
                    std::invalid_argument);
  }

  TEST_CASE("a table that was not made before its epoch began knows nothing") {
    for (const auto late : {seconds(0), seconds(1), seconds(86400)}) {
      auto table = Table::make(epoch, small, noon + late);
      CHECK(table.state() == TableState::younger);
      CHECK(table.claim(location(1), me) == Verdict::unknown);
      CHECK_FALSE(table.holds(location(1)));
    }
    // the later of two clocks counts
    CHECK(Table::make(epoch, small, Moment(noon - seconds(60), noon)).state() ==
          TableState::younger);
    CHECK(Table::make(epoch, small, Moment(noon, noon - seconds(60))).state() ==
          TableState::younger);
    CHECK(Table::make(epoch, small, noon - seconds(1)).state() == TableState::ok);
  }

  TEST_CASE("closed, it is unknown to everybody who has it") {
    const support::TempFolder folder;
    auto table = opened(folder / "t"), other = opened(folder / "t");
    CHECK(table.claim(location(1), me) == Verdict::fresh);

    table.close();

    CHECK(other.state() == TableState::closed);
    CHECK(other.claim(location(1), me) == Verdict::unknown);
    CHECK(other.claim(location(2), me) == Verdict::unknown);
    CHECK_FALSE(other.holds(location(1)));
    CHECK(opened(folder / "t").state() == TableState::closed);
  }
}

TEST_SUITE("replay table file") {
  TEST_CASE("the file is one table for all who open it, and survives them") {
    const support::TempFolder folder;
    {
      auto a = opened(folder / "t"), b = opened(folder / "t");
      CHECK(b.state() == TableState::ok);  // it was made in time
      CHECK(a.claim(location(1), me) == Verdict::fresh);
      CHECK(b.claim(location(1), me) == Verdict::replay);
    }
    auto again = opened(folder / "t");
    CHECK(again.claim(location(1), me) == Verdict::replay);
    CHECK(again.claim(location(2), me) == Verdict::fresh);
    struct stat status {};
    REQUIRE(stat((folder / "t").c_str(), &status) == 0);
    CHECK((status.st_mode & 07777) == 0660);
  }

  TEST_CASE("nothing is fresh in a file until it was tended after its epoch began") {
    const support::TempFolder folder;
    { const auto made = Table::open(folder / "t", epoch, small, before); }
    age(folder / "t", seconds(60));
    auto table = Table::open(folder / "t", epoch, small, noon - seconds(1));
    CHECK(table.state() == TableState::early);
    CHECK(table.claim(location(1), me) == Verdict::unknown);
    // neither clock alone makes it begin
    CHECK(table.tend(Moment(noon, noon - seconds(1))) == TableState::early);
    CHECK(table.tend(Moment(noon - seconds(1), noon)) == TableState::early);
    CHECK(table.tend(noon) == TableState::ok);
    CHECK(table.claim(location(1), me) == Verdict::fresh);
    CHECK(table.tend(before) == TableState::ok);
  }

  TEST_CASE("a file that goes before its epoch begins leaves one table that lets pass, not two") {
    const support::TempFolder folder;
    const auto path = folder / "t";
    { const auto made = Table::open(path, epoch, small, before); }
    age(path, seconds(60));
    auto old = Table::open(path, epoch, small, before);
    SUBCASE("removed") {
      std::filesystem::remove(path);
      CHECK(old.tend(before) == TableState::replaced);
    }
    SUBCASE("removed and made anew") {
      std::filesystem::remove(path);
      { const auto made_anew = Table::open(path, epoch, small, before); }
    }
    SUBCASE("moved away") { std::filesystem::rename(path, folder / "old"); }
    SUBCASE("covered by another, while a link keeps it") {
      std::filesystem::create_hard_link(path, folder / "link");
      { const auto other = Table::open(folder / "other", epoch, small, before); }
      std::filesystem::rename(folder / "other", path);
    }
    { const auto made_anew = Table::open(path, epoch, small, before); }
    age(path, seconds(60));

    CHECK(old.claim(location(1), me) == Verdict::unknown);
    CHECK(old.tend(noon) == TableState::replaced);
    CHECK(old.claim(location(1), me) == Verdict::unknown);
    CHECK_FALSE(old.holds(location(1)));
    CHECK(old.tend(noon + seconds(1)) == TableState::replaced);
    auto fresh = Table::open(path, epoch, small, noon);
    CHECK(fresh.state() == TableState::ok);
    CHECK(fresh.claim(location(1), me) == Verdict::fresh);
  }

  TEST_CASE("a file made anew after its epoch began is younger, and the old one is left") {
    const support::TempFolder folder;
    auto old = opened(folder / "t");
    CHECK(old.claim(location(1), me) == Verdict::fresh);
    std::filesystem::remove(folder / "t");

    auto made_anew = Table::open(folder / "t", epoch, small, noon + seconds(1));

    CHECK(made_anew.state() == TableState::younger);
    CHECK(made_anew.claim(location(1), me) == Verdict::unknown);
    CHECK(old.claim(location(1), me) == Verdict::replay);
    CHECK(old.tend(noon + seconds(1)) == TableState::replaced);
    CHECK(old.claim(location(2), me) == Verdict::unknown);
  }

  TEST_CASE("a clock that was behind when the table was made does not make it old enough") {
    // made at two minutes past noon, by a clock that said a minute to noon
    const support::TempFolder folder;
    auto maker = Table::open(folder / "t", epoch, small, before);
    age(folder / "t", seconds(60));

    auto opener = Table::open(folder / "t", epoch, small, noon + seconds(180));

    CHECK(opener.state() == TableState::younger);
    CHECK(opener.claim(location(1), me) == Verdict::unknown);
    CHECK(maker.tend(noon + seconds(180)) == TableState::younger);
    CHECK(maker.tend(noon) == TableState::younger);  // whatever the clock says next
    CHECK(maker.claim(location(1), me) == Verdict::unknown);

    using enum TableState;
    const std::vector<TableState> expected{ok, ok, younger, younger, younger};
    std::vector<TableState> states;
    // A table that stood for a second is a second old: the machine may stand still, once.
    for (int i = 0; i < 3 && states != expected; ++i) {
      auto memory = Table::make(epoch, small, before);
      const auto attached = [&](Moment now) {
        return Table::attach(ring::Fd(dup(memory.file().get())), epoch, now).state();
      };
      states = {memory.state(), attached(before), attached(noon),
                attached(Moment(before.steady, noon)), memory.tend(noon)};
      CHECK(memory.claim(location(1), me) == Verdict::unknown);
    }
    CHECK(states == expected);
  }

  TEST_CASE("a file of another boot knows nothing") {
    const support::TempFolder folder;
    auto table = opened(folder / "t");
    CHECK(table.claim(location(1), me) == Verdict::fresh);
    edit_header(folder / "t", 32, Bytes(16, std::byte{9}));

    auto after = Table::open(folder / "t", epoch, small, before);

    CHECK(after.state() == TableState::other_boot);
    CHECK(after.claim(location(1), me) == Verdict::unknown);
    CHECK(after.claim(location(2), me) == Verdict::unknown);
  }

  TEST_CASE("another epoch's file is refused and left as it is") {
    const support::TempFolder folder;
    auto table = opened(folder / "t");
    CHECK(table.claim(location(1), me) == Verdict::fresh);
    const TableEpoch other{EpochId{std::byte{2}}, noon};
    CHECK(has(refusal(folder / "t", other), "of another epoch"));
    CHECK(table.claim(location(1), me) == Verdict::replay);
  }

  TEST_CASE("every changed byte of the header is noticed") {
    const support::TempFolder folder;
    { const auto table = Table::open(folder / "t", epoch, small, before); }
    const auto whole = support::read_text(folder / "t");
    for (std::size_t at = 0; at < 120; ++at) {
      if (at >= 12 && at < 16) continue;  // whether it is closed
      for (const char change : {'\x01', '\x80'}) {
        CAPTURE(at);
        auto text = whole;
        text[at] = static_cast<char>(text[at] ^ change);
        support::write_text(folder / "t", text);
        const auto why = refusal(folder / "t");
        CHECK(has(why, at < 8 ? "not a replay table" : at < 12 ? "another version" : "garbled"));
        CHECK(has(why, (folder / "t").string()));
      }
    }
    support::write_text(folder / "t", whole);
    CHECK(refusal(folder / "t") == "opened");
  }

  TEST_CASE("a header that says too much is refused though its hash is right") {
    const support::TempFolder folder;
    { const auto table = Table::open(folder / "t", epoch, small, before); }
    for (const std::uint64_t lines :
         {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{1} << 58, ~std::uint64_t{0}}) {
      edit_header(folder / "t", 64, std::as_bytes(std::span(&lines, 1)));
      CHECK(refusal(folder / "t") != "opened");
    }
  }

  TEST_CASE("what is no whole table is refused and left as it is") {
    const support::TempFolder folder;
    { const auto table = Table::open(folder / "t", epoch, small, before); }
    const auto whole = support::read_text(folder / "t");
    for (const std::size_t size : {std::size_t{0}, std::size_t{119}, std::size_t{120},
                                   std::size_t{4096}, whole.size() - 1}) {
      CAPTURE(size);
      support::write_text(folder / "t", whole.substr(0, size));
      const auto why = refusal(folder / "t");
      CHECK(has(why, size < 120 ? "not a replay table" : "truncated"));
      CHECK(support::read_text(folder / "t").size() == size);
    }
    support::write_text(folder / "t", whole + "x");
    CHECK(has(refusal(folder / "t"), "truncated"));
    support::write_text(folder / "t", std::string(8192, 'x'));
    CHECK(has(refusal(folder / "t"), "not a replay table"));
  }

  TEST_CASE("links, folders and places that are not there are refused by name") {
    const support::TempFolder folder;
    { const auto table = Table::open(folder / "t", epoch, small, before); }
    std::filesystem::create_symlink(folder / "t", folder / "link");
    CHECK(has(refusal(folder / "link"), "link"));
    CHECK(refusal(folder / "link") != "opened");
    CHECK(has(refusal(folder.path()), folder.path().string()));
    CHECK(has(refusal(folder / "no/t"), "no/t"));
  }
}

TEST_SUITE("replay table in sealed memory") {
  TEST_CASE("nobody can shorten it, and who gets the descriptor shares it") {
    auto table = Table::make(epoch, small, before);
    CHECK(ftruncate(table.file().get(), 0) != 0);
    CHECK(ftruncate(table.file().get(), 4096) != 0);
    CHECK(ftruncate(table.file().get(), 1 << 30) != 0);

    auto other = Table::attach(ring::Fd(dup(table.file().get())), epoch, before);

    CHECK(table.claim(location(1), me) == Verdict::fresh);
    CHECK(other.claim(location(1), me) == Verdict::replay);
  }

  TEST_CASE("memory that could be shortened is refused") {
    const support::TempFolder folder;
    const auto named = Table::open(folder / "t", epoch, small, before);
    CHECK_THROWS_AS(Table::attach(ring::Fd(dup(named.file().get())), epoch, before),
                    std::runtime_error);
    CHECK_THROWS_AS(Table::attach(ring::Fd(memfd_create("x", MFD_ALLOW_SEALING)), epoch, before),
                    std::runtime_error);
    CHECK_THROWS_AS(Table::attach(ring::Fd(), epoch, before), std::runtime_error);
    const int empty = memfd_create("x", MFD_ALLOW_SEALING);
    REQUIRE(fcntl(empty, F_ADD_SEALS, F_SEAL_SHRINK) == 0);
    CHECK_THROWS_AS(Table::attach(ring::Fd(empty), epoch, before), std::runtime_error);
  }
}

}  // namespace ticket::replay
