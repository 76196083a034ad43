// What an operator orders, carried out by the authority: expelling, burning,
// revoking, accepting a clock; and the audit log that tells of it.
#include "orders.hpp"

#include <algorithm>

#include "audit.hpp"
#include "fixture.hpp"
#include "support/process.hpp"

using namespace test;
using keyd::Order;

namespace {

// Two members that are seen and run on the newest generation.
struct Pair : House {
  Pair() {
    tend();
    now += 1s;
    enrol(web1);
    enrol(web2);
    both_apply();
  }
  void both_apply() {
    const auto generation = last().generation;
    seen("web1", generation);
    seen("web2", generation);
  }
  json expel(const std::string& member, bool burn = true) {
    return order({.kind = Order::Kind::expel, .pool = "web", .member = member, .burn = burn});
  }
  json revoke(const std::string& member, sys_seconds from, sys_seconds until) {
    return order({.kind = Order::Kind::revoke,
                  .pool = "web",
                  .member = member,
                  .from = from,
                  .until = until});
  }

  Server web1{ca, "web1", "ticket:member:web:web1"};
  Server web2{ca, "web2", "ticket:member:web:web2"};
};

const ring::Epoch* sealing(const feed::Manifest& manifest, sys_seconds now) {
  return ring::sealing_epoch(manifest.epochs, manifest.policy.stretch, now);
}

bool tells(const std::vector<std::string>& lines, const std::string& event) {
  return std::ranges::any_of(
      lines, [&](const std::string& line) { return json::parse(line).at("event") == event; });
}

}  // namespace

TEST_SUITE("orders") {
  TEST_CASE("promise 16: expelling a member burns every epoch that it was sent") {
    Pair house;
    house.live(3h);
    house.both_apply();
    const auto before = house.newest();

    const auto answer = house.expel("web2");

    CHECK(answer.at("ok") == true);
    CHECK(answer.at("burned") == before.epochs.size());
    const auto after = house.newest();
    CHECK(after.generation > before.generation);
    CHECK(after.members == std::vector<feed::MemberEntry>{{1, "web1"}});
    for (const auto& old : before.epochs) {
      const auto still = std::ranges::find(after.epochs, old.id, &ring::Epoch::id);
      REQUIRE(still != after.epochs.end());
      CHECK(still->burned);
    }
    const auto opened = open_last(house, house.web1);
    REQUIRE(opened.has_value());
    for (const auto& epoch : opened->ring.epochs) {
      CHECK(std::ranges::count(before.epochs, epoch.id, &ring::Epoch::id) == 0);
    }
    CHECK_FALSE(open_last(house, house.web2).has_value());
  }

  TEST_CASE("promise 16: burned keys are in no state any more") {
    Pair house;
    house.expel("web2");
    const auto state = house.store.state();
    const auto& pool = *state.pool("web");
    std::size_t burned = 0;
    for (std::size_t i = 0; i < pool.epochs.size(); ++i) {
      if (!pool.epochs[i].burned) continue;
      ++burned;
      CHECK(all_zero(pool.secrets.expose().subspan(i * 32, 32)));
    }
    CHECK(burned >= 7);
  }

  TEST_CASE("promise 1: after a burn the new epoch seals once the others have it") {
    Pair house;
    house.expel("web2");
    CHECK(sealing(house.newest(), house.now) == nullptr);
    CHECK(sealing(house.newest(), house.now + 60s) != nullptr);

    house.seen("web1", house.last().generation);
    REQUIRE(sealing(house.newest(), house.now) != nullptr);
    CHECK_FALSE(sealing(house.newest(), house.now)->burned);
  }

  TEST_CASE("who was expelled stays out until readmitted, and with that certificate for ever") {
    Pair house;
    house.expel("web2");
    house.now += 5s;

    CHECK(house.enrol(house.web2).status == 403);
    CHECK(house.said.answers.back().error.find("member readmit web2") != std::string::npos);
    house.restart();
    house.tend();
    CHECK(house.enrol(house.web2).status == 403);

    CHECK(house.order({.kind = Order::Kind::readmit, .pool = "web", .member = "web2"}).at("ok") ==
          true);
    CHECK(house.enrol(house.web2).status == 403);
    CHECK(house.said.answers.back().error.find("another") != std::string::npos);
    const auto expelled = house.now - 5s;
    // whoever broke in may have an older one, too, or this one with another signature
    const Server older(house.ca, "web2", "ticket:member:web:web2", expelled - 1h - 1s);
    CHECK(house.enrol(older).status == 403);
    CHECK(house.said.answers.back().error.find("made since") != std::string::npos);
    const Server other(house.ca, "web3", "ticket:member:web:web3");
    CHECK(house.enrol(other).status == 200);  // of its own name all of them are good
    const Server again(house.ca, "web2", "ticket:member:web:web2", expelled - 1h);
    const auto answer = house.enrol(again);
    CHECK(answer.status == 200);
    CHECK(answer.member == 4);  // a number is never given twice
  }

  TEST_CASE("promise 10: who was expelled by a clock that was ahead comes back once it is right") {
    Pair house;
    house.expel("web2");
    house.order({.kind = Order::Kind::readmit, .pool = "web", .member = "web2"});
    house.authority->order({.kind = Order::Kind::accept_clock, .shift = -9 * 24h},
                           [](const json&) {});
    house.now -= 9 * 24h;
    house.tend();
    const Server again(house.ca, "web2", "ticket:member:web:web2", house.now - 1h);
    CHECK(house.enrol(again).status == 200);
  }

  TEST_CASE(
      "promise 10: who was expelled by a clock that was behind needs a certificate made since") {
    Pair house;
    house.live(3h);
    house.expel("web1", false);
    const auto first = house.now;
    const auto truth = house.now + 10min;
    house.now = truth - 2h;  // as it comes up again
    house.restart();
    house.tend();
    house.expel("web2", false);
    house.order({.kind = Order::Kind::readmit, .pool = "web", .member = "web2"});
    const auto status = [&] { return house.pool_status().at("expelled"); };
    REQUIRE(status().at(1).at("at") == house.now.time_since_epoch().count());

    house.store.problem = "disk full";  // it is accepted all the same, later
    house.authority->order({.kind = Order::Kind::accept_clock, .shift = 2h}, [](const json&) {});
    house.now += 2h;
    house.tend();
    house.store.problem.clear();
    house.live(10s);
    CHECK(status().at(0).at("at") == first.time_since_epoch().count());
    CHECK(status().at(1).at("at") == truth.time_since_epoch().count());
    const auto made = [&](sys_seconds from) {
      return Server(house.ca, "web2", "ticket:member:web:web2", from);
    };
    CHECK(house.enrol(made(truth - 1h - 1s)).status == 403);
    CHECK(house.enrol(made(truth - 1h)).status == 200);

    // a clock that stood for a while makes no certificate too old that is in use
    house.live(10h);
    house.authority->tend(Moment(house.now, house.now + 10min));
    house.authority->order({.kind = Order::Kind::accept_clock, .shift = 10min}, [](const json&) {});
    house.now += 10min;
    house.tend();
    CHECK(status().at(1).at("at") == truth.time_since_epoch().count());
  }

  TEST_CASE("an expelled member's word counts no more") {
    Pair house;
    house.expel("web2");
    house.seen("web1", house.last().generation);
    const auto count = house.said.published.size();

    house.seen("web2", 1);
    house.live(5s);

    CHECK(house.said.published.size() == count);
    CHECK(house.pool_status().at("members").size() == 1);
    CHECK(house.pool_status().at("expelled").at(0).at("name") == "web2");
  }

  TEST_CASE("a server that only retires takes no keys along, and burns none") {
    Pair house;
    const auto before = house.newest();

    CHECK(house.expel("web2", false).at("burned") == 0);

    for (const auto& epoch : house.newest().epochs) CHECK_FALSE(epoch.burned);
    CHECK(house.newest().epochs.front().id == before.epochs.front().id);
    CHECK(open_last(house, house.web1).has_value());
    CHECK_FALSE(open_last(house, house.web2).has_value());
  }

  TEST_CASE("burned epochs go from the manifest when their time is over, and never fill it") {
    Pair house;
    for (int i = 0; i < 12; ++i) {
      house.expel(i % 2 == 0 ? "web2" : "web1");
      house.now += 2s;
      house.order(
          {.kind = Order::Kind::readmit, .pool = "web", .member = i % 2 == 0 ? "web2" : "web1"});
      const Server again(house.ca, i % 2 == 0 ? "web2" : "web1",
                         i % 2 == 0 ? "ticket:member:web:web2" : "ticket:member:web:web1",
                         house.now - 1h);
      REQUIRE(house.enrol(again).status == 200);
      CHECK(house.newest().epochs.size() <= 64);
    }
    house.live(40h);
    const auto newest = house.newest();
    for (const auto& epoch : newest.epochs) CHECK_FALSE(epoch.burned);
  }

  TEST_CASE("promise 16: what a member sealed in a window is revoked, for all who apply it") {
    Pair house;
    house.live(2h);

    const auto answer = house.revoke("web2", house.now - 1h, house.now);

    CHECK(answer.at("ok") == true);
    CHECK(answer.at("numbers") == json({2}));
    const std::vector<ring::Revocation> expected{{2, house.now - 1h, house.now}};
    CHECK(house.newest().revocations == expected);
    CHECK(open_last(house, house.web1)->ring.revocations == expected);
    CHECK(house.newest().members.size() == 2);  // it stays
  }

  TEST_CASE("a revocation stands as long as a key of its time opens, also over restarts") {
    Pair house;
    house.revoke("web2", house.now - 1h, house.now);
    house.live(12h);
    house.restart();
    house.tend();
    house.order({.pool = "web"});
    CHECK(house.newest().revocations.size() == 1);

    house.live(30h);
    CHECK(house.newest().revocations.empty());
  }

  TEST_CASE("orders about who or what is not there are refused, and change nothing") {
    Pair house;
    const auto generation = house.last().generation;
    const auto blob = *house.store.blob;
    const auto error = [](const json& answer) { return answer.at("error").get<std::string>(); };

    CHECK(error(house.expel("web9")).find("'web9'") != std::string::npos);
    CHECK(error(house.revoke("web9", noon, noon)).find("'web9'") != std::string::npos);
    CHECK(error(house.revoke("web1", noon - 48h, noon - 47h)).find("dead already") !=
          std::string::npos);
    const auto nobody =
        house.order({.kind = Order::Kind::readmit, .pool = "web", .member = "web1"});
    CHECK(error(nobody).find("expelled") != std::string::npos);
    CHECK(house.last().generation == generation);
    CHECK(*house.store.blob == blob);
  }

  TEST_CASE("an order that cannot be stored is not carried out") {
    Pair house;
    house.store.problem = "No space left on device";
    CHECK(house.expel("web2").at("ok") == false);
    CHECK(house.pool_status().at("members").size() == 2);
    CHECK(house.audit.lines.size() < 4);
    CHECK_FALSE(tells(house.audit.lines, "expelled"));
  }

  TEST_CASE("rotations are refused before they leave a pool without a next key, burning is not") {
    House house;
    const Server web1(house.ca, "web1", "ticket:member:web:web1");
    const ring::Policy policy{15min, 12h, 3h, 0s};
    const auto tight = setup(house.ca, "web", policy);
    house.authority->configure({tight}, house.now);
    house.tend();
    REQUIRE(house.enrol(web1).status == 200);
    house.live(30h);

    json answer;
    for (int orders = 0; orders < 20; ++orders, house.live(3min)) {
      const auto before = house.newest();
      answer = house.order({.kind = Order::Kind::rotate, .pool = "web"});
      if (answer.at("ok") == false) {
        CHECK(orders >= 10);
        CHECK(house.newest().epochs == before.epochs);
        break;
      }
      // what was told to seal was announced before
      CHECK(sealing(before, house.now)->number + 1 == answer.at("sealing"));
      CHECK(house.newest().epochs.back().seals_from > house.now);
    }
    REQUIRE(answer.at("ok") == false);
    const auto error = answer.at("error").get<std::string>();
    CHECK(error.starts_with("64 epochs stand at most"));
    CHECK(error.find("Rotate from 20") != std::string::npos);

    SUBCASE("left to itself the pool seals on, and rotates again when there is room") {
      for (const auto end = house.now + 15h; house.now < end; house.live(5min)) {
        REQUIRE(sealing(house.newest(), house.now) != nullptr);
      }
      CHECK(house.order({.kind = Order::Kind::rotate, .pool = "web"}).at("ok") == true);
    }
    SUBCASE("a member is expelled and its keys burned all the same") {
      const auto expelled =
          house.order({.kind = Order::Kind::expel, .pool = "web", .member = "web1", .burn = true});
      CHECK(expelled.at("ok") == true);
      CHECK(expelled.at("burned") >= 60);
      house.live(61s);
      CHECK(sealing(house.newest(), house.now) != nullptr);
      CHECK(house.order({.kind = Order::Kind::rotate, .pool = "web"}).at("ok") == true);
    }
  }

  TEST_CASE("the 257th revocation is refused") {
    Pair house;
    for (int i = 0; i < 256; ++i) {
      REQUIRE(house.revoke("web1", noon, house.now + seconds(i)).at("ok") == true);
    }
    const auto answer = house.revoke("web1", noon, house.now + 1000s);
    CHECK(answer.at("ok") == false);
    CHECK(house.newest().revocations.size() == 256);
    CHECK(house.revoke("web1", noon, house.now).at("ok") == true);  // one that stands already
  }
}

TEST_SUITE("promise 10") {
  Moment set_by(sys_seconds steady, seconds apart) { return Moment(steady, steady + apart); }

  TEST_CASE("promise 10: a clock that is set by up to five minutes changes nothing") {
    for (const auto apart : {300s, -300s}) {
      Pair house;
      const auto count = house.said.published.size();
      house.now += 1h;
      house.authority->tend(set_by(house.now, apart));
      CHECK(house.said.published.size() > count);
    }
  }

  TEST_CASE("promise 10: set by more, rotation holds and says so, until it agrees again") {
    for (const auto apart : {seconds(301), seconds(-301), seconds(9 * 24h), seconds(-9 * 24h)}) {
      CAPTURE(apart.count());
      Pair house;
      const auto count = house.said.published.size();
      house.now += 3h;
      house.authority->tend(set_by(house.now, apart));

      CHECK(house.said.published.size() == count);
      const auto status = json(house.authority->status("", set_by(house.now, apart)));
      CHECK(status.at("clock").at("holding") == true);
      const auto alarm = status.at("pools").at(0).at("alarms").at(0).get<std::string>();
      CHECK(alarm.find("ticketctl clock accept") != std::string::npos);
      CHECK(house.authority->next(set_by(house.now, apart)) == house.now + 5s);

      house.tend();
      CHECK(house.said.published.size() > count);
      CHECK(json(house.authority->status("", house.now)).at("clock").at("holding") == false);
    }
  }

  TEST_CASE("promise 10: a keeper whose wall clock is past a key's end keeps that key no more") {
    Pair house;
    house.now += 10s;
    house.authority->tend(set_by(house.now, 9 * 24h));
    CHECK(house.store.state().pool("web")->epochs.empty());
    CHECK(house.store.state().pool("web")->secrets.size() == 0);

    house.restart();  // what it published it cannot seal again; it makes new ones
    house.tend();
    CHECK(house.newest().epochs.size() >= 6);
  }

  TEST_CASE("promise 10: what operators order is done while rotation holds") {
    Pair house;
    const auto apart = set_by(house.now, -9 * 24h);
    json answer;
    house.authority->order({.kind = Order::Kind::expel, .pool = "web", .member = "web2"},
                           [&](const json& told) { answer = told; });
    house.authority->tend(apart);
    CHECK(answer.at("ok") == true);
    CHECK(house.newest().members.size() == 1);
  }

  TEST_CASE("promise 10: by a clock that is behind, no order lets an epoch seal for longer") {
    Pair house;
    house.live(2h);
    house.both_apply();
    const auto before = house.newest();
    house.now -= 1h;  // the epoch that seals now is still to come by this clock
    REQUIRE(house.revoke("web1", before.epochs.front().seals_from, house.now).at("ok") == true);
    REQUIRE(house.expel("web2", false).at("ok") == true);
    CHECK(house.newest().generation > before.generation);
    CHECK(house.newest().epochs == before.epochs);

    const auto rotate = house.order({.kind = Order::Kind::rotate, .pool = "web"});
    CHECK(rotate.at("ok") == false);
    CHECK(rotate.at("error").get<std::string>().find("ticketctl clock accept") !=
          std::string::npos);
    CHECK(house.newest().epochs == before.epochs);
  }

  TEST_CASE("promise 10: accepting the clock moves the epochs' times with ours") {
    for (const auto shift : {seconds(9 * 24h), seconds(-9 * 24h), seconds(600)}) {
      CAPTURE(shift.count());
      Pair house;
      const auto before = house.newest();
      house.authority->order({.kind = Order::Kind::accept_clock, .shift = shift},
                             [](const json&) {});
      house.now += shift;
      house.tend();

      const auto after = house.newest();
      CHECK(after.generation > before.generation);
      REQUIRE(sealing(after, house.now) != nullptr);
      CHECK(sealing(after, house.now)->id == before.epochs.front().id);
      CHECK(after.epochs.front().opens_until == before.epochs.front().opens_until + shift);
      house.live(3h);
      CHECK(house.newest().generation > after.generation);
      CHECK(json(house.authority->status("", house.now)).at("clock").at("holding") == false);
    }
  }

  TEST_CASE("promise 10: a clock accepted while the disk is full moves the epochs once it is not") {
    const auto shift = seconds(24h);
    Pair house;
    const auto before = house.newest();
    house.store.problem = "disk full";
    json answer;
    house.authority->order({.kind = Order::Kind::accept_clock, .shift = shift},
                           [&](const json& told) { answer = told; });
    house.now += shift;
    house.tend();
    CHECK(answer.is_null());  // still under way
    CHECK(house.newest().generation == before.generation);
    CHECK(house.authority->next(house.now) > house.now);  // no busy loop

    house.store.problem.clear();
    house.now += 30s;
    house.tend();
    CHECK(answer.at("ok") == true);
    const auto after = house.newest();
    CHECK(after.generation > before.generation);
    REQUIRE(sealing(after, house.now) != nullptr);
    CHECK(sealing(after, house.now)->id == before.epochs.front().id);
    CHECK(after.epochs.front().opens_until == before.epochs.front().opens_until + shift);
  }

  TEST_CASE("promise 10: started with a clock that is behind its own keys, it holds") {
    Pair house;
    house.live(2h);
    const auto count = house.said.published.size();
    house.now -= 9 * 24h;
    house.restart();
    house.tend();
    CHECK(house.said.published.size() == count + 1);  // what stood, again
    CHECK(json(house.authority->status("", house.now)).at("clock").at("holding") == true);

    house.order({.kind = Order::Kind::accept_clock});
    CHECK(json(house.authority->status("", house.now)).at("clock").at("holding") == false);
    CHECK(house.newest().generation > house.manifest(count).generation);
    CHECK(sealing(house.newest(), house.now) != nullptr);
    house.live(2h);
    CHECK(sealing(house.newest(), house.now) != nullptr);
  }
}

TEST_SUITE("audit log") {
  TEST_CASE("every change has its line, in a chain, and the state knows the last") {
    Pair house;
    house.live(2h);
    house.order({.pool = "web"});
    house.revoke("web1", noon, house.now);
    house.expel("web2");
    house.order({.kind = Order::Kind::readmit, .pool = "web", .member = "web2"});
    house.order({.kind = Order::Kind::accept_clock});

    CHECK(chained(house.audit.lines));
    for (const char* event : {"generation", "enrolled", "rotation ordered", "revoked", "expelled",
                              "readmitted", "clock accepted"}) {
      CAPTURE(event);
      CHECK(tells(house.audit.lines, event));
    }
    const auto head = house.authority->audit();
    CHECK(head.at("count") == house.audit.lines.size());
    CHECK(head.at("last") == hex(crypto::sha256(as_bytes(house.audit.lines.back()))));
  }

  TEST_CASE("the renewal of a sealing key is no news") {
    Pair house;
    const auto count = house.audit.lines.size();
    house.now += 5s;
    house.enrol(house.web1);
    CHECK(house.audit.lines.size() == count);
  }

  TEST_CASE("lines that could not be written are kept with the state, and written later") {
    Pair house;
    house.audit.problem = "cannot write the audit log: No space left on device";
    house.live(3h);
    const auto alarms = house.pool_status().at("alarms");
    CHECK(alarms.at(0) == house.audit.problem);

    house.restart();
    house.audit.problem.clear();
    house.live(1h);

    CHECK(chained(house.audit.lines));
    CHECK(house.authority->audit().at("count") == house.audit.lines.size());
    CHECK(house.pool_status().at("alarms").empty());
  }

  TEST_CASE("lines that could not be written are tried again in seconds") {
    House house;
    house.authority->configure(
        {setup(house.ca, "web", {.rotate_every = 24h, .publish_ahead = 24h})}, house.now);
    house.audit.problem = "cannot write the audit log: No space left on device";
    house.tend();
    REQUIRE(house.audit.lines.empty());
    for (int i = 0; i < 3; ++i) {
      REQUIRE(house.authority->next(house.now) == house.now + 5s);  // no busy loop
      house.now += 5s;
      house.tend();
    }

    house.audit.problem.clear();
    house.live(5s);
    CHECK(house.audit.lines.size() == 1);
    CHECK(house.pool_status().at("alarms").empty());
    CHECK(house.authority->next(house.now) > house.now + 60s);
  }

  TEST_CASE("the file gets each line once, through kills and torn ends") {
    const support::TempFolder folder;
    const auto path = folder / "audit.log";
    keyd::AuditHead head;
    for (int i = 0; i < 3; ++i) keyd::add_audit_line(head, {{"event", "a"}}, noon);
    CHECK(keyd::AuditFile(path).append(head).empty());
    const auto three = support::read_text(path);

    // killed before the state without the lines was stored: they come again
    keyd::add_audit_line(head, {{"event", "b"}}, noon);
    CHECK(keyd::AuditFile(path).append(head).empty());
    const auto four = support::read_text(path);
    CHECK(four.starts_with(three));
    CHECK(std::ranges::count(four, '\n') == 4);

    for (std::size_t cut = three.size(); cut < four.size(); ++cut) {
      support::write_text(path, four.substr(0, cut));
      CHECK(keyd::AuditFile(path).append(head).empty());
      CHECK(support::read_text(path) == four);
    }
    // an older copy of the state has lower numbers: its lines are written all the same
    keyd::AuditHead older;
    keyd::add_audit_line(older, {{"event", "c"}}, noon);
    CHECK(keyd::AuditFile(path).append(older).empty());
    CHECK(support::read_text(path) == four + older.unwritten[0] + "\n");
    CHECK_FALSE(keyd::AuditFile(folder / "none" / "audit.log").append(head).empty());
  }
}

TEST_SUITE("order requests") {
  TEST_CASE("each order has its fields") {
    const auto revoke = keyd::parse_order(
        {{"command", "revoke"}, {"pool", "web"}, {"member", "web1"}, {"from", 5}, {"until", 7}});
    REQUIRE(revoke.has_value());
    CHECK(revoke->kind == Order::Kind::revoke);
    CHECK(revoke->until == sys_seconds(7s));
    const auto expel = keyd::parse_order(
        {{"command", "expel"}, {"pool", "web"}, {"member", "w"}, {"drop_tickets", false}});
    REQUIRE(expel.has_value());
    CHECK_FALSE(expel->burn);
    CHECK(keyd::parse_order({{"command", "expel"}, {"pool", "web"}, {"member", "w"}})->burn);
    CHECK(keyd::parse_order({{"command", "clock-accept"}}).has_value());
    const auto rotate = keyd::parse_order({{"command", "issuer-rotate"}, {"pool", "web"}});
    REQUIRE(rotate.has_value());
    CHECK(rotate->kind == Order::Kind::rotate_issuer);
    CHECK(rotate->pool == "web");
    CHECK_FALSE(rotate->burn_tokens);
    CHECK(keyd::parse_order({{"command", "issuer-rotate"}, {"pool", "web"}, {"burn", true}})
              ->burn_tokens);
  }

  TEST_CASE("promise 15: what is missing or of another kind is named") {
    const auto why = [](const char* text) { return keyd::parse_order(json::parse(text)).error(); };
    CHECK(why("[]") == "a request is a JSON object");
    CHECK(why("{}") == "command is missing");
    CHECK(why(R"({"command": "burn"})").find("known are") != std::string::npos);
    CHECK(why(R"({"command": "rotate"})") == "pool is missing");
    CHECK(why(R"({"command": "issuer-rotate"})") == "pool is missing");
    CHECK(why(R"({"command": "issuer-rotate", "pool": "web", "burn": "yes"})") ==
          "burn is neither true nor false");
    CHECK(why(R"({"command": "expel", "pool": "web"})") == "member is missing");
    CHECK(why(R"({"command": "expel", "pool": "web", "member": ""})") == "member is no text");
    CHECK(why(R"({"command": "expel", "pool": "web", "member": "a", "drop_tickets": 1})") ==
          "drop_tickets is neither true nor false");
    CHECK(why(R"({"command": "revoke", "pool": "web", "member": "a", "from": 1.5, "until": 2})") ==
          "from is no time in Unix seconds");
    CHECK(why(R"({"command": "revoke", "pool": "web", "member": "a", "from": 3, "until": 2})") ==
          "from is later than until");
  }
}
