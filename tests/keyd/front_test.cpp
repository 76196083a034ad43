// The front's own bookkeeping, without a connection: its upstream notes what it is told.
#include "front.hpp"

#include <doctest/doctest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

#include "channel.hpp"
#include "keeper_link.hpp"

using namespace std::chrono_literals;
using keyd::Seen;
using keyd::SeenList;

namespace {

struct Notebook : keyd::Upstream {
  const keyd::ShelfPool* pool(const std::string&) const override { return nullptr; }
  void enrol(keyd::Enrol, std::function<void(const keyd::Enrolled&)>) override {}
  void seen(SeenList members) override { told.push_back(std::move(members.members)); }
  const keyd::ShelfDirectory* directory(const std::string&) const override { return nullptr; }
  void issue(keyd::Issue, std::function<void(const keyd::Issued&)>) override {}
  void sentinel_made(keyd::SentinelMade) override {}
  void record_lost(keyd::RecordLost) override {}

  std::vector<std::vector<Seen>> told;
};

struct House {
  House() { front.serve(upstream); }
  // Until nothing is left to do.
  void live() {
    context.restart();
    context.run_for(10s);
  }

  boost::asio::io_context context{1};
  Notebook upstream;
  keyd::Front front{context};
};

Seen seen(const std::string& pool, const std::string& member, std::uint64_t applied) {
  return {pool, member, applied, "192.0.2.1 port " + std::to_string(applied)};
}

}  // namespace

TEST_SUITE("front") {
  TEST_CASE("however often members ask, the keeper hears of each once, of its last word") {
    House house;
    for (std::uint64_t applied = 1; applied <= 100; ++applied) {
      house.front.sighted(seen("web", "web1", applied));
      house.front.sighted(seen("web", "web2", applied));
      house.front.sighted(seen("mail", "web1", applied));  // another one of that name
    }
    CHECK(house.upstream.told.empty());

    house.live();

    REQUIRE(house.upstream.told.size() == 1);
    const auto& members = house.upstream.told.front();
    CHECK(members.size() == 3);
    CHECK(std::ranges::all_of(members, [](const Seen& one) { return one.applied == 100; }));

    // and what comes later is told later
    house.front.sighted(seen("web", "web1", 101));
    house.live();
    REQUIRE(house.upstream.told.size() == 2);
    REQUIRE(house.upstream.told.back().size() == 1);
    CHECK(house.upstream.told.back().front().applied == 101);
  }

  TEST_CASE("promise 10: that a clock was accepted is told to the front") {
    boost::asio::io_context context(1);
    int ends[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    int accepted = 0;
    keyd::KeeperLink::Events events;
    events.clock_accepted = [&] { ++accepted; };
    events.lost = [](const std::string&) {};
    const keyd::KeeperLink keeper(context, ends[0], std::move(events));
    const auto message = keyd::frame(keyd::write_message(keyd::ToFront(keyd::ClockAccepted{})),
                                     keyd::front_frame_limit);
    REQUIRE(::write(ends[1], message.data(), message.size()) == ssize_t(message.size()));
    ::close(ends[1]);
    context.run_for(10s);
    CHECK(accepted == 1);
  }

  TEST_CASE("a message tells of a thousand members at most") {
    House house;
    for (int i = 0; i < 2500; ++i) house.front.sighted(seen("web", std::to_string(i), 1));
    house.live();

    std::vector<std::size_t> sizes;
    for (const auto& members : house.upstream.told) sizes.push_back(members.size());
    CHECK(sizes == std::vector<std::size_t>{1000, 1000, 500});
  }
}
