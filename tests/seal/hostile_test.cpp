// What is not a ticket of ours: each byte, each length, each reason.
#include <malloc.h>

#include <random>

#include "seal/host.hpp"

using namespace seal_test;

namespace {

// The reason that a flipped bit of each part of a ticket gives.
tkt_status expected(std::size_t at) { return at < 16 ? TKT_UNKNOWN_KEY : TKT_FORGED; }

}  // namespace

TEST_SUITE("hostile tickets") {
  TEST_CASE("every truncation and every extension is turned away for its reason") {
    Clock clock;
    Host host(clock);
    host.publish(1, 2);
    auto* context = host.context();
    const auto ticket = seal(context, std::string(50, 'x'));

    for (std::size_t size = 0; size < ticket.size() + 40; ++size) {
      if (size == ticket.size()) continue;
      CAPTURE(size);
      auto other = ticket;
      other.resize(size);
      const bool whole_blocks = size >= 64 + 48 && size % 16 == 0;
      CHECK(open(context, other).status == (whole_blocks ? TKT_FORGED : TKT_MALFORMED));
    }
    for (const std::size_t size : {65535u, 65536u, 70000u}) {
      auto other = ticket;
      other.resize(size);
      CHECK(open(context, other).status == TKT_MALFORMED);
    }
  }

  TEST_CASE("every flipped bit of every byte is turned away for its reason") {
    Clock clock;
    Host host(clock);
    host.publish(1, 2);
    auto* context = host.context();
    const auto ticket = seal(context, std::string(50, 'x'));

    for (std::size_t at = 0; at < ticket.size(); ++at) {
      for (int bit = 0; bit < 8; ++bit) {
        CAPTURE(at);
        auto other = ticket;
        other[at] ^= static_cast<unsigned char>(1 << bit);
        const auto opened = open(context, other);
        CHECK(opened.status == expected(at));
        CHECK(opened.payload.empty());
        CHECK(opened.label.born == 0);  // nothing unauthentic is told
      }
    }
    CHECK(open(context, ticket).status == TKT_OK);
  }

  TEST_CASE("each reason is counted, and each thing once") {
    Clock clock;
    Host host(clock, 5);
    host.publish({epoch(1, noon), epoch(2, noon + 1h), epoch(3, noon + 2h)});
    auto* context = host.context();
    auto* other = host.context("other");
    const auto first = seal(context, "a");
    clock.pass(20s);
    const auto revoked = seal(context, "b");
    clock.pass(1h);
    const auto second = seal(context, "c", {.lifetime = 60});
    host.revocations = {{5, noon + 15s, noon + 25s}};
    host.publish({epoch(1, noon), epoch(2, noon + 1h), epoch(3, noon + 2h)});

    CHECK(open(context, first).status == TKT_OK);   // its key only opens now
    CHECK(open(context, second).status == TKT_OK);  // this one seals
    CHECK(open(context, revoked).status == TKT_REVOKED);
    CHECK(open(other, first).status == TKT_CONTEXT);
    CHECK(open(context, Ticket(112, 9)).status == TKT_UNKNOWN_KEY);
    CHECK(open(context, Ticket(5, 9)).status == TKT_MALFORMED);
    auto forged = second;
    forged.back() ^= 1;
    CHECK(open(context, forged).status == TKT_FORGED);
    clock.pass(60s);
    CHECK(open(context, second).status == TKT_EXPIRED);
    host.policy.lineage = 30min;
    host.publish({epoch(1, noon), epoch(2, noon + 1h), epoch(3, noon + 2h)});
    CHECK(open(context, first).status == TKT_LINEAGE);
    clock.steady -= 2h;  // a member whose clock is behind: the ticket's epoch is yet to seal
    clock.wall -= 2h;
    host.policy.lineage = 24h;
    host.publish({epoch(1, noon - 3h), epoch(2, noon + 1h), epoch(3, noon + 2h)});
    CHECK(open(context, second).status == TKT_OK);
    clock.pass(20h);
    CHECK(seal(context, "late").empty());

    const auto counters = host.counters();
    CHECK(counters.sealed == 3);
    CHECK(counters.not_sealed == 1);
    CHECK(counters.resumed_announced == 1);
    CHECK(counters.resumed_sealing == 1);
    CHECK(counters.resumed_opening == 1);
    CHECK(counters.unknown_key == 1);
    CHECK(counters.context == 1);
    CHECK(counters.expired == 1);
    CHECK(counters.forged == 1);
    CHECK(counters.malformed == 1);
    CHECK(counters.lineage == 1);
    CHECK(counters.revoked == 1);
    CHECK(counters.name == 0);
  }

  TEST_CASE(
      "promise 18: a million altered, foreign and random tickets open nothing and cost none") {
    Clock clock;
    Host host(clock), foreign(clock);
    host.publish(1, 4);
    auto strangers = ring_of(hourly(1, 4), 1, 1, "web", 0x77);  // another pool's secrets
    REQUIRE(ticket::ring::RingWriter(foreign.path, "web").publish(strangers, noon).has_value());
    auto* context = host.context();
    const auto ours = seal(context, std::string(150, 'x'));
    const auto theirs = seal(foreign.context(), std::string(150, 'x'));
    REQUIRE(theirs.size() == ours.size());
    std::mt19937_64 random(18);
    Ticket ticket(ours.size());
    unsigned char out[512];

    const auto try_one = [&](int i) {
      if (i % 3 == 0) {
        ticket = ours;
        ticket[random() % ticket.size()] ^= static_cast<unsigned char>(1 + random() % 255);
      } else if (i % 3 == 1) {
        ticket = theirs;
        if (random() % 2 == 0) std::copy_n(ours.begin(), 16, ticket.begin());
      } else {
        for (auto& byte : ticket) byte = static_cast<unsigned char>(random());
      }
      auto size = sizeof out;
      return tkt_open(context, out, &size, ticket.data(),
                      i % 7 == 0 ? random() % ticket.size() : ticket.size(), nullptr);
    };
    for (int i = 0; i < 1000; ++i) REQUIRE(try_one(i) != TKT_OK);
    const auto before = mallinfo2().uordblks;
    int opened = 0;
    for (int i = 0; i < 1'000'000; ++i) opened += try_one(i) <= 0 ? 1 : 0;

    CHECK(opened == 0);
    CHECK(mallinfo2().uordblks < before + (1 << 20));
    CHECK(open(context, ours).status == TKT_OK);
  }
}
