#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <vector>

#include "audit_chain.hpp"

using namespace ticketctl;
using nlohmann::json;

namespace {

// As keyd writes them (keyd/audit.cpp); the two meet in tests/promises.
std::vector<std::string> lines(int count) {
  std::vector<std::string> made;
  ticket::crypto::Sha256 before{};
  for (int n = 1; n <= count; ++n) {
    made.push_back(json{{"n", n}, {"event", "e"}, {"before", ticket::hex(before)}}.dump());
    before = ticket::crypto::sha256(ticket::as_bytes(made.back()));
  }
  return made;
}

// The first complaint; empty when there is none.
std::string follow(const std::vector<std::string>& lines) {
  AuditChain chain;
  for (const auto& line : lines) {
    if (auto problem = chain.add(line); !problem.empty()) return problem;
  }
  return {};
}

}  // namespace

TEST_SUITE("audit chain") {
  TEST_CASE("a whole log fits, also from a later line on") {
    auto log = lines(5);
    CHECK(follow(log).empty());
    log.erase(log.begin(), log.begin() + 2);
    AuditChain chain;
    for (const auto& line : log) CHECK(chain.add(line).empty());
    CHECK(chain.first() == 3);
    CHECK(chain.count() == 5);
  }

  TEST_CASE("a line taken out, put in, moved or repeated shows") {
    const auto log = lines(5);
    for (std::size_t at = 1; at + 1 < log.size(); ++at) {
      auto without = log;
      without.erase(without.begin() + static_cast<std::ptrdiff_t>(at));
      CHECK_FALSE(follow(without).empty());
      auto twice = log;
      twice.insert(twice.begin() + static_cast<std::ptrdiff_t>(at), log[at]);
      CHECK_FALSE(follow(twice).empty());
      auto moved = log;
      std::swap(moved[at], moved[at + 1]);
      CHECK_FALSE(follow(moved).empty());
    }
  }

  TEST_CASE("every altered byte before the last line shows") {
    const auto log = lines(3);
    for (std::size_t line = 0; line + 1 < log.size(); ++line) {
      for (std::size_t at = 0; at < log[line].size(); ++at) {
        auto altered = log;
        altered[line][at] ^= 1;
        CAPTURE(altered[line]);
        CHECK_FALSE(follow(altered).empty());
      }
    }
  }

  TEST_CASE("a part of a rotated log may begin with lines that end the part before") {
    const auto log = lines(6);
    AuditChain chain;
    for (std::size_t i = 0; i < 4; ++i) REQUIRE(chain.add(log[i]).empty());
    chain.next_file();
    for (std::size_t i = 2; i < 6; ++i) CHECK(chain.add(log[i]).empty());
    CHECK(chain.count() == 6);
    CHECK_FALSE(chain.add(log[5]).empty());  // but not in its middle
    chain.next_file();
    auto other = log[5];
    other[other.size() - 3] ^= 1;
    CHECK_FALSE(chain.add(other).empty());
  }

  TEST_CASE("what is no line of it is said to be none") {
    for (const char* text : {"", "{}", "[1]", "{\"n\": 1}", "{\"n\": 0, \"before\": \"\"}",
                             "{\"n\": -1, \"before\": \"00\"}", "\xff"}) {
      CHECK(follow({text}) == "it is no line of an audit log");
    }
  }
}
