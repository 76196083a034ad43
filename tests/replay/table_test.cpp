#include "replay/table.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "samples.hpp"
#include "support/process.hpp"

namespace ticket::replay {

namespace {

using samples::before;
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

// Changes bytes of the header, as a file of another time or boot would have them, and
// puts its hash right, so that only what was changed is found.
void edit_header(const std::filesystem::path& path, std::size_t at, BytesView with) {
  auto text = support::read_text(path);
  std::memcpy(text.data() + at, with.data(), with.size());
  const auto fixed = text.substr(0, 12) + text.substr(16, 48);
  crypto_hash_sha256(reinterpret_cast<unsigned char*>(text.data()) + 64,
                     reinterpret_cast<const unsigned char*>(fixed.data()), fixed.size());
  std::ofstream(path, std::ios::binary | std::ios::in | std::ios::out).write(text.data(), 96);
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
    auto table = Table::open(folder / "t", epoch, small, before);
    auto other = Table::open(folder / "t", epoch, small, before);
    CHECK(table.claim(location(1), me) == Verdict::fresh);

    table.close();

    CHECK(other.state() == TableState::closed);
    CHECK(other.claim(location(1), me) == Verdict::unknown);
    CHECK(other.claim(location(2), me) == Verdict::unknown);
    CHECK_FALSE(other.holds(location(1)));
    CHECK(Table::open(folder / "t", epoch, small, before).state() == TableState::closed);
  }
}

TEST_SUITE("replay table file") {
  TEST_CASE("the file is one table for all who open it, and survives them") {
    const support::TempFolder folder;
    {
      auto a = Table::open(folder / "t", epoch, small, before);
      auto b = Table::open(folder / "t", epoch, small, noon + seconds(60));
      CHECK(b.state() == TableState::ok);  // it was made in time
      CHECK(a.claim(location(1), me) == Verdict::fresh);
      CHECK(b.claim(location(1), me) == Verdict::replay);
    }
    auto again = Table::open(folder / "t", epoch, small, noon + seconds(120));
    CHECK(again.claim(location(1), me) == Verdict::replay);
    CHECK(again.claim(location(2), me) == Verdict::fresh);
    struct stat status {};
    REQUIRE(stat((folder / "t").c_str(), &status) == 0);
    CHECK((status.st_mode & 07777) == 0660);
  }

  TEST_CASE("a file made anew after its epoch began is younger, beside the old one too") {
    const support::TempFolder folder;
    auto old = Table::open(folder / "t", epoch, small, before);
    CHECK(old.claim(location(1), me) == Verdict::fresh);
    std::filesystem::remove(folder / "t");

    auto made_anew = Table::open(folder / "t", epoch, small, noon + seconds(1));

    CHECK(made_anew.state() == TableState::younger);
    CHECK(made_anew.claim(location(1), me) == Verdict::unknown);
    CHECK(old.claim(location(1), me) == Verdict::replay);
  }

  TEST_CASE("a file of another boot knows nothing") {
    const support::TempFolder folder;
    auto table = Table::open(folder / "t", epoch, small, before);
    CHECK(table.claim(location(1), me) == Verdict::fresh);
    edit_header(folder / "t", 32, Bytes(16, std::byte{9}));

    auto after = Table::open(folder / "t", epoch, small, before);

    CHECK(after.state() == TableState::other_boot);
    CHECK(after.claim(location(1), me) == Verdict::unknown);
    CHECK(after.claim(location(2), me) == Verdict::unknown);
  }

  TEST_CASE("another epoch's file is refused and left as it is") {
    const support::TempFolder folder;
    auto table = Table::open(folder / "t", epoch, small, before);
    CHECK(table.claim(location(1), me) == Verdict::fresh);
    const TableEpoch other{EpochId{std::byte{2}}, noon};
    CHECK(has(refusal(folder / "t", other), "of another epoch"));
    CHECK(table.claim(location(1), me) == Verdict::replay);
  }

  TEST_CASE("every changed byte of the header is noticed") {
    const support::TempFolder folder;
    { const auto table = Table::open(folder / "t", epoch, small, before); }
    const auto whole = support::read_text(folder / "t");
    for (std::size_t at = 0; at < 96; ++at) {
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
      edit_header(folder / "t", 56, std::as_bytes(std::span(&lines, 1)));
      CHECK(refusal(folder / "t") != "opened");
    }
  }

  TEST_CASE("what is no whole table is refused and left as it is") {
    const support::TempFolder folder;
    { const auto table = Table::open(folder / "t", epoch, small, before); }
    const auto whole = support::read_text(folder / "t");
    for (const std::size_t size :
         {std::size_t{0}, std::size_t{95}, std::size_t{96}, std::size_t{4096}, whole.size() - 1}) {
      CAPTURE(size);
      support::write_text(folder / "t", whole.substr(0, size));
      const auto why = refusal(folder / "t");
      CHECK(has(why, size < 96 ? "not a replay table" : "truncated"));
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

    auto other = Table::attach(ring::Fd(dup(table.file().get())), epoch);

    CHECK(table.claim(location(1), me) == Verdict::fresh);
    CHECK(other.claim(location(1), me) == Verdict::replay);
  }

  TEST_CASE("memory that could be shortened is refused") {
    const support::TempFolder folder;
    const auto named = Table::open(folder / "t", epoch, small, before);
    CHECK_THROWS_AS(Table::attach(ring::Fd(dup(named.file().get())), epoch), std::runtime_error);
    CHECK_THROWS_AS(Table::attach(ring::Fd(memfd_create("x", MFD_ALLOW_SEALING)), epoch),
                    std::runtime_error);
    CHECK_THROWS_AS(Table::attach(ring::Fd(), epoch), std::runtime_error);
    const int empty = memfd_create("x", MFD_ALLOW_SEALING);
    REQUIRE(fcntl(empty, F_ADD_SEALS, F_SEAL_SHRINK) == 0);
    CHECK_THROWS_AS(Table::attach(ring::Fd(empty), epoch), std::runtime_error);
  }
}

}  // namespace ticket::replay
