#include <doctest/doctest.h>

#include "fake_keyd.hpp"

using namespace test;

namespace {

struct World {
  World() { keyd.rotate(noon); }
  FakeKeyd keyd;
  Host host{keyd};
};

// Enrolled and applied, as after a quiet day.
struct SettledWorld : World {
  SettledWorld() {
    host.boot();
    host.settle();
  }
};

bool file_holds(const std::filesystem::path& file, BytesView bytes) {
  return contains(read(file), bytes);
}

// Whether any file below holds these bytes, as they are or as base64url.
bool any_file_holds(const std::filesystem::path& folder, BytesView bytes) {
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file()) continue;
    const auto content = read(entry.path());
    if (contains(content, bytes) || content.find(base64url(bytes)) != std::string::npos)
      return true;
  }
  return false;
}

Bytes stored_key(const Host& host, const char* name) {
  return *from_base64url(read(host.state() / name).substr(0, 43));
}

}  // namespace

TEST_SUITE("agent pool") {
  TEST_CASE("a first life enrols, fetches, opens and publishes") {
    World world;
    world.host.boot();
    CHECK(world.host.generation() == 0);

    world.host.steps(3);

    REQUIRE(world.host.asked.size() == 3);
    CHECK(world.host.asked[0].method == "PUT");
    CHECK(world.host.asked[0].target == "/v1/pools/web/members/self");
    CHECK(world.host.asked[1].target == "/v1/pools/web/bundle?after=0&wait=0&applied=0");
    CHECK(world.host.asked[2].target == "/v1/pools/web/wraps/web1");
    REQUIRE(world.host.ring().has_value());
    CHECK(world.host.ring()->generation == world.keyd.generation());
    CHECK(world.host.ring()->member == 7);
    CHECK(std::ranges::equal(world.host.ring()->secrets.expose(), world.keyd.secrets().expose()));
    CHECK(world.host.logged("ready: web generation " + std::to_string(world.keyd.generation())));
    CHECK_FALSE(std::filesystem::exists(world.host.state() / "next.key"));
  }

  TEST_CASE("an enrolment carries a signature over the authority, pool, key and time") {
    World world;
    world.host.boot();
    world.host.settle();

    const auto& body = world.keyd.enrolments.at(0);
    CHECK(body["chain"] == "PEM");
    CHECK(body["time"] == noon.time_since_epoch().count());
    CHECK(from_base64url(body["signature"].get<std::string>())->size() == 64);
    CHECK(*from_base64url(body["sealing_key"].get<std::string>()) ==
          to_bytes(*world.keyd.member_key));
  }

  TEST_CASE("a new generation arrives by the long poll, which tells what is applied") {
    SettledWorld world;
    const auto first = std::to_string(world.keyd.generation());
    world.host.step();
    CHECK(world.host.asked.back().target ==
          "/v1/pools/web/bundle?after=" + first + "&wait=60&applied=" + first);

    world.keyd.rotate(world.host.now);
    world.host.settle();

    CHECK(world.host.generation() == world.keyd.generation());
    CHECK(world.host.logged("applied web generation " + std::to_string(world.keyd.generation())));
    CHECK(world.host.pauses == 0);
  }

  TEST_CASE("an agent starts without keyd: the stored bundle gives the ring at once") {
    SettledWorld world;
    const auto generation = world.keyd.generation();
    world.keyd.dead = true;

    world.host.reboot();

    CHECK(world.keyd.requests == 3);  // as before the reboot
    CHECK(world.host.generation() == generation);
    CHECK(std::ranges::equal(world.host.ring()->secrets.expose(), world.keyd.secrets().expose()));
  }

  TEST_CASE("after a restart the stored sealing key goes on: no new enrolment") {
    SettledWorld world;
    world.host.reboot();
    world.keyd.rotate(world.host.now + 1s);
    world.host.settle();

    CHECK(world.keyd.enrolments.size() == 1);
    CHECK(world.host.generation() == world.keyd.generation());
  }

  TEST_CASE("promise 8: an older generation is refused, also after a restart") {
    SettledWorld world;
    const auto old_body = world.keyd.body();
    world.host.now += 60s;
    world.keyd.rotate(world.host.now);
    world.host.settle();
    const auto newest = world.keyd.generation();
    REQUIRE(world.host.generation() == newest);

    SUBCASE("in the same life") {}
    SUBCASE("after a restart") { world.host.reboot(); }
    SUBCASE("after a restart that lost the stored bundle") {
      std::filesystem::remove(world.host.state() / "bundle.json");
      world.host.kill();
      world.host.boot();
    }
    SUBCASE("after a restart that lost all but the mark") {
      for (const auto* name : {"bundle.json", "sealing.key"}) {
        std::filesystem::remove(world.host.state() / name);
      }
      world.host.kill();
      world.host.boot();
    }
    SUBCASE("after a restart that lost the mark, by the stored bundle") {
      std::filesystem::remove(world.host.state() / "applied.json");
      world.host.reboot();
    }
    SUBCASE("after a restart that lost the state folder, by the ring file") {
      std::filesystem::remove_all(world.host.state());
      world.host.kill();
      world.host.boot();
    }
    world.keyd.bundle_override = old_body;
    world.host.steps(6);

    CHECK(world.host.generation() == newest);
    CHECK(world.host.life->refusals().at(Rejection::rollback) >= 1);
    CHECK(world.host.logged("error: web: refused a bundle: rollback"));
  }

  TEST_CASE("promise 8: a restored state folder takes no newer ring away") {
    SettledWorld world;
    const auto backup = world.host.folder / "backup";
    std::filesystem::copy(world.host.state(), backup, std::filesystem::copy_options::recursive);
    const auto old_body = world.keyd.body();
    world.host.now += 60s;
    world.keyd.rotate(world.host.now);
    world.host.settle();
    const auto newest = world.keyd.generation();
    world.keyd.dead = true;

    world.host.kill();
    std::filesystem::remove_all(world.host.state());
    std::filesystem::rename(backup, world.host.state());
    world.host.boot();

    CHECK(world.host.generation() == newest);
    CHECK(std::ranges::equal(world.host.ring()->secrets.expose(), world.keyd.secrets().expose()));
    CHECK(world.host.life->generation() == newest);
    CHECK(world.host.logged("warning: web: the stored bundle is older than the ring file"));

    // nor is it lost to who gives out the old bundle again
    world.keyd.dead = false;
    world.keyd.bundle_override = old_body;
    world.host.steps(6);
    CHECK(world.host.generation() == newest);
    world.keyd.bundle_override.clear();
    world.keyd.rotate(world.host.now);
    world.host.settle();
    CHECK(world.host.generation() == world.keyd.generation());
  }

  TEST_CASE(
      "promise 8: the applied generation with another manifest is refused, also after a restart") {
    SettledWorld world;
    const auto generation = world.keyd.generation();
    const auto issued_at = world.keyd.manifest().issued_at;
    world.keyd.equivocate();
    REQUIRE(world.keyd.generation() == generation);

    SUBCASE("in the same life") {}
    SUBCASE("after a restart") { world.host.reboot(); }
    SUBCASE("after a restart that lost the stored bundle") {
      std::filesystem::remove(world.host.state() / "bundle.json");
      world.host.kill();
      world.host.boot();
    }
    world.keyd.bundle_override = world.keyd.body();
    world.host.steps(4);

    CHECK(world.host.ring()->issued_at == issued_at);
    CHECK(world.host.life->refusals().at(Rejection::equivocation) >= 1);
    CHECK(world.host.logged("error: web: refused a bundle: equivocation"));
  }

  TEST_CASE("promise 8: bundles that are not this pool's, signer's or time's leave the ring") {
    SettledWorld world;
    const auto generation = world.keyd.generation();
    const auto issued_at = world.keyd.manifest().issued_at;
    world.host.now += 60s;
    FakeKeyd other_signer;
    other_signer.rotate(world.host.now);
    world.keyd.rotate(world.host.now);
    auto altered = *feed::parse_bundle(world.keyd.body());
    Rejection why = Rejection::forged;

    SUBCASE("another signer") { world.keyd.bundle_override = other_signer.body(); }
    SUBCASE("an altered manifest") {
      altered.manifest.replace(altered.manifest.find("web"), 3, "wab");
      world.keyd.bundle_override = feed::write_bundle(altered);
    }
    SUBCASE("altered secrets") {
      altered.secrets[30] ^= std::byte(1);
      world.keyd.bundle_override = feed::write_bundle(altered);
    }
    SUBCASE("past its not_after") {
      world.keyd.bundle_override = world.keyd.body();
      world.host.now = world.keyd.manifest().not_after;
      why = Rejection::expired;
    }
    SUBCASE("no JSON") {
      world.keyd.bundle_override = "{";
      why = Rejection::malformed;
    }
    SUBCASE("JSON of something else") {
      world.keyd.bundle_override = R"({"manifest": 1, "signature": [], "secrets": null})";
      why = Rejection::malformed;
    }
    SUBCASE("a truncated bundle") {
      world.keyd.bundle_override = world.keyd.body().substr(0, 200);
      why = Rejection::malformed;
    }
    world.host.steps(4);

    CHECK(world.host.ring()->generation == generation);
    CHECK(world.host.ring()->issued_at == issued_at);
    CHECK(world.host.life->refusals().at(why) >= 1);
    CHECK(world.host.pauses >= 1);
  }

  TEST_CASE("promise 8: another pool's bundle by the same signer leaves the ring") {
    SettledWorld world;
    const auto generation = world.keyd.generation();
    world.keyd.rename_and_override("mail");

    world.host.steps(3);

    CHECK(world.host.generation() == generation);
    CHECK(world.host.ring()->pool == "web");
    CHECK(world.host.life->refusals().at(Rejection::other_pool) >= 1);
  }

  TEST_CASE("after a refusal the right bundle is taken again") {
    SettledWorld world;
    world.keyd.bundle_override = "nonsense";
    world.host.steps(5);
    world.keyd.bundle_override.clear();
    world.keyd.rotate(world.host.now);
    world.host.settle();

    CHECK(world.host.generation() == world.keyd.generation());
    CHECK(world.host.logged("info: web: keyd answers again"));
  }

  TEST_CASE("a renewal replaces the sealing key and leaves the old one nowhere") {
    SettledWorld world;
    const auto old_key = stored_key(world.host, "sealing.key");
    const auto generation = world.host.generation();
    // the old file's blocks, which a mere rename would leave as they are
    std::filesystem::create_hard_link(world.host.state() / "sealing.key",
                                      world.host.folder / "old blocks");
    world.host.now += 1h;

    world.host.steps(3);  // enrol, bundle, wrap

    CHECK(world.keyd.enrolments.size() == 2);
    CHECK(stored_key(world.host, "sealing.key") != old_key);
    CHECK_FALSE(any_file_holds(world.host.folder.path(), old_key));
    CHECK(read(world.host.folder / "old blocks") == std::string(44, '\0'));
    CHECK_FALSE(std::filesystem::exists(world.host.state() / "next.key"));
    CHECK(world.host.generation() == generation);

    world.keyd.dead = true;  // what is stored opens with the new key
    world.host.reboot();
    CHECK(world.host.generation() == generation);
  }

  TEST_CASE("renewals come every rotate_every, also while nothing else changes") {
    World world;
    world.keyd.rotate_every = 20min;
    world.keyd.rotate(noon);
    world.host.boot();
    while (world.host.now < noon + 2h + 10min) world.host.step();

    CHECK(world.keyd.enrolments.size() == 1 + 6);
  }

  TEST_CASE("an enrolment tells the wall clock's time: a clock that is put right suffices") {
    FakeKeyd keyd;
    keyd.rotate(noon, 1h);
    Host host(keyd);
    SUBCASE("it was ahead at the start, and what is stored has gone") {
      host.boot();
      host.settle();
      host.kill();
      host.now = noon + 2h;
      host.boot();
      REQUIRE_FALSE(std::filesystem::exists(host.state() / "sealing.key"));
    }
    SUBCASE("it was ahead at the first start") {
      host.now = noon + 2h;
      host.boot();
    }
    SUBCASE("it was behind at the start") {
      host.now = noon - 2h;
      host.boot();
    }
    const auto before = keyd.enrolments.size();
    keyd.clock = noon + 1min;
    keyd.rotate(noon + 1min);
    host.steps(6);
    REQUIRE(host.logged("its clock is wrong"));
    REQUIRE(keyd.enrolments.size() == before);

    host.apart = noon + 1min - host.now;
    host.steps(6);

    CHECK(keyd.enrolments.size() == before + 1);
    CHECK(host.generation() == keyd.generation());
    CHECK_FALSE(host.ring()->epochs.empty());
  }

  TEST_CASE("renewals come every rotate_every, also when the wall clock was set") {
    for (const seconds apart : {-2h, 2h}) {
      CAPTURE(apart.count());
      World world;
      world.host.apart = apart;
      world.host.now = noon - apart;
      world.host.boot();
      for (int i = 0; i < 500 && world.host.now < noon - apart + 3h + 10min; ++i) {
        world.host.step();
      }

      CHECK(world.keyd.enrolments.size() == 1 + 3);
    }
  }

  TEST_CASE("a kill after any step of a renewal loses neither ring nor membership") {
    for (int steps = 0; steps <= 4; ++steps) {
      CAPTURE(steps);
      SettledWorld world;
      const auto generation = world.host.generation();
      world.host.now += 1h;

      world.host.steps(steps);
      world.host.reboot();

      CHECK(world.host.generation() == generation);
      world.keyd.rotate(world.host.now);
      world.host.settle();
      CHECK(world.host.generation() == world.keyd.generation());
      while (world.keyd.enrolments.size() < 2) world.host.step();
    }
  }

  TEST_CASE("a kill between sending an enrolment and its answer is recovered from") {
    SettledWorld world;
    const auto generation = world.host.generation();
    world.host.now += 1h;
    auto request = std::get<Request>(world.host.life->next(world.host.now));
    REQUIRE(request.method == "PUT");
    world.keyd.answer(request);  // keyd now seals to the successor
    world.keyd.rotate(world.host.now);

    world.host.reboot();

    CHECK(world.host.generation() == generation);
    world.host.settle();
    CHECK(world.host.generation() == world.keyd.generation());
  }

  TEST_CASE("a refused renewal does not keep new generations away") {
    SettledWorld world;
    world.keyd.refuses_enrolments = true;
    world.host.now += 1h;
    world.keyd.rotate(world.host.now);
    world.host.settle();

    CHECK(world.host.generation() == world.keyd.generation());
    CHECK(world.host.logged("error: web: keyd did not enrol us: HTTP 403: no such member"));
  }

  TEST_CASE("a keyd that forgot us is told again who we are") {
    SettledWorld world;
    world.keyd.member_key.reset();
    world.keyd.rotate(world.host.now + 1s);
    world.host.settle();

    CHECK(world.keyd.enrolments.size() == 2);
    CHECK(world.host.generation() == world.keyd.generation());
  }

  TEST_CASE("a wrap for another key is refused, and a new sealing key enrolled") {
    SettledWorld world;
    world.keyd.member_key = crypto::box_public(crypto::BoxSecret::random());
    world.keyd.rotate(world.host.now + 1s);
    const auto generation = world.keyd.generation();
    for (int i = 0; i < 10 && world.host.generation() != generation; ++i) world.host.step();

    CHECK(world.host.life->refusals().at(Rejection::not_a_member) == 1);
    CHECK(world.host.generation() == generation);
  }

  TEST_CASE("a bundle published between the two requests is fetched together with its wrap") {
    SettledWorld world;
    world.keyd.rotate(world.host.now + 1s);
    const auto first = world.keyd.generation();
    world.host.step();  // the bundle of `first`
    world.keyd.rotate(world.host.now + 2s);
    REQUIRE(world.keyd.generation() != first);

    world.host.steps(3);  // wrap of the next one, its bundle, wrap

    CHECK(world.host.generation() == world.keyd.generation());
    CHECK(world.host.pauses == 0);
    CHECK(world.host.life->refusals().empty());
  }

  TEST_CASE("a relay that lags with its wraps is asked again, with pauses") {
    SettledWorld world;
    const auto stale = json{{"generation", 1}, {"member", 7}, {"wrap", "AAAA"}}.dump();
    world.keyd.rotate(world.host.now + 1s);
    world.keyd.scripted = {std::nullopt, Reply{200, stale}, Reply{200, stale}, std::nullopt,
                           Reply{200, stale}};
    world.host.settle();

    CHECK(world.host.generation() == world.keyd.generation());
    CHECK(world.host.pauses >= 1);
    CHECK(world.host.life->refusals().empty());
  }

  TEST_CASE("answers that are no answers are refused or told, and never end the life") {
    const struct {
      unsigned status;
      const char* body;
      const char* log;
    } answers[] = {
        {403, R"({"error": "role ticket:relay:a, not a member"})", "not a member"},
        {404, R"({"error": "no such pool"})", "no such pool"},
        {500, "", "HTTP 500"},
        {503, "<html>", "HTTP 503"},
        {503, R"({"error": ["a"]})", "HTTP 503"},
        {503, "{\"error\": \"two\\nlines\"}", "two\nlines"},  // escaped where it is written
        {302, "", "HTTP 302"},
    };
    for (const auto& answer : answers) {
      CAPTURE(answer.body);
      SettledWorld world;
      const auto generation = world.host.generation();
      world.keyd.scripted = {Reply{answer.status, answer.body}};
      world.host.step();

      CHECK(world.host.logged(answer.log));
      CHECK(world.host.life->troubled());
      CHECK(world.host.generation() == generation);
      world.keyd.rotate(world.host.now + 1s);
      world.host.settle();
    }
  }

  TEST_CASE("wraps that do not parse are refused") {
    for (const auto* body :
         {"", "[]", "null", R"({"generation": -1, "wrap": "AA"})", R"({"generation": 1})",
          R"({"generation": "1", "wrap": "AA"})", R"({"generation": 1, "wrap": "!"})"}) {
      CAPTURE(body);
      SettledWorld world;
      world.keyd.rotate(world.host.now + 1s);
      world.keyd.scripted = {std::nullopt, Reply{200, body}};
      world.host.steps(2);

      CHECK(world.host.life->refusals().at(Rejection::malformed) == 1);
    }
  }

  TEST_CASE("a pool that rotates fast is back soon after an outage, a slow one within 30 s") {
    const struct { seconds rotate_every, longest; } rows[] = {{20min, 30s}, {8s, 2s}, {1s, 1s}};
    for (const auto& row : rows) {
      CAPTURE(row.rotate_every.count());
      World world;
      world.keyd.rotate_every = row.rotate_every;
      world.keyd.short_policy = true;
      world.keyd.rotate(noon);
      world.host.boot();
      world.host.settle();
      world.keyd.dead = true;
      world.host.steps(40);
      const auto before = world.host.now;
      world.host.steps(2);  // a request, a pause
      CHECK(world.host.now - before <= row.longest);
      CHECK(world.host.now - before >= row.longest / 2);
    }
  }

  TEST_CASE("a server that answers long polls at once is not asked without end") {
    SettledWorld world;
    int requests = 0;
    const auto begin = world.host.now;
    while (world.host.now < begin + 60s) {
      auto next = world.host.life->next(world.host.now);
      if (const auto* pause = std::get_if<keyd::Pause>(&next)) {
        world.host.now += std::chrono::ceil<seconds>(pause->length);
        continue;
      }
      REQUIRE(++requests < 100);
      world.host.life->answered({204, ""}, world.host.now);
    }
    CHECK(requests < 20);
  }

  TEST_CASE("a ring file that somebody removed is written anew, without keyd") {
    SettledWorld world;
    const auto generation = world.host.generation();
    world.keyd.dead = true;
    SUBCASE("removed") { std::filesystem::remove(world.host.ring_path()); }
    SUBCASE("emptied") { std::filesystem::resize_file(world.host.ring_path(), 0); }
    SUBCASE("damaged, and removed on advice") {
      std::filesystem::resize_file(world.host.ring_path(), 5000);
      world.host.life->tick(world.host.now);
      CHECK(world.host.logged("damaged by somebody: remove it, and it is written anew"));
      std::filesystem::remove(world.host.ring_path());
    }
    world.host.life->tick(world.host.now);
    CHECK(world.host.logged("removed or replaced by somebody"));
    CHECK(world.host.generation() == generation);
    CHECK(world.host.ring()->epochs.size() == world.keyd.manifest().epochs.size());
  }

  TEST_CASE("promise 3: without keyd, expired keys leave the ring file on time") {
    World world;
    world.keyd.rotate(noon + 1s, 1h);  // the first opens for 12 h, this one for 1 h
    world.host.boot();
    world.host.settle();
    const auto secret = world.keyd.secrets().expose().subspan(32, 32);
    const auto& epoch = world.keyd.manifest().epochs[1];
    REQUIRE(file_holds(world.host.ring_path(), secret));
    world.keyd.dead = true;

    world.host.now = epoch.opens_until - 1s;
    world.host.life->tick(world.host.now);
    CHECK(file_holds(world.host.ring_path(), secret));
    world.host.now += 1s;
    world.host.life->tick(world.host.now);

    CHECK_FALSE(file_holds(world.host.ring_path(), secret));
    CHECK(world.host.ring()->epochs.size() == 1);
    CHECK(file_holds(world.host.ring_path(), world.keyd.secrets().expose().first(32)));
  }

  TEST_CASE("promise 3: once the last key has expired, nothing stored gives it back") {
    SettledWorld world;
    const auto key = stored_key(world.host, "sealing.key");
    world.keyd.dead = true;
    world.host.now = world.keyd.manifest().not_after;
    world.host.life->tick(world.host.now);

    CHECK(world.host.ring()->epochs.empty());
    CHECK_FALSE(any_file_holds(world.host.folder.path(), world.keyd.secrets().expose()));
    CHECK_FALSE(any_file_holds(world.host.folder.path(), key));
    CHECK_FALSE(std::filesystem::exists(world.host.state() / "bundle.json"));
    CHECK(world.host.logged("error: web: the last key has expired"));
    world.host.log.clear();
    world.host.kill();
    world.host.boot();
    CHECK_FALSE(world.host.logged("ready: "));  // a ring without keys

    world.keyd.dead = false;  // and the mark is still there
    world.keyd.rotate(world.host.now);
    world.host.settle();
    CHECK(world.host.generation() == world.keyd.generation());
    CHECK(world.keyd.enrolments.size() == 2);
  }

  TEST_CASE("keys that a clock wiped which was ahead for a moment come back without a new one") {
    World world;
    world.keyd.rotate(noon, 3h);  // the first opens for 12 h
    world.host.boot();
    world.host.settle();
    std::size_t left = 0;
    SUBCASE("all of them, with the next enrolment") { world.host.apart = 13h; }
    SUBCASE("one of them, with the next renewal") {
      world.host.apart = 4h;
      left = 1;
    }
    world.host.life->tick(world.host.moment());
    REQUIRE(world.host.ring()->epochs.size() == left);

    world.host.apart = 0s;
    world.host.now += 1h;
    world.host.steps(3);

    CHECK(world.host.ring()->epochs.size() == 2);
    CHECK(std::ranges::equal(world.host.ring()->secrets.expose(), world.keyd.secrets().expose()));
    CHECK(world.host.logged("info: web: keys that the ring had lost are back"));
  }

  TEST_CASE("promise 3: what is stored goes at the start, if its last key expired before that") {
    World world;
    auto over = world.keyd.manifest().not_after;
    bool has_file = false;  // of the ring
    SUBCASE("the ring file went with the host") {}
    SUBCASE("the ring file is still there") { has_file = true; }
    SUBCASE("the bundle outlives its keys: its newest epoch was burned") {
      world.keyd.rotate(noon + 1s, 24h);
      world.keyd.spoil([](auto& manifest, auto&) { manifest.epochs[1].burned = true; });
      REQUIRE(over < world.keyd.manifest().not_after);
    }
    world.host.boot();
    world.host.settle();
    const auto key = stored_key(world.host, "sealing.key");
    world.keyd.dead = true;
    world.host.kill();
    world.host.now = over;
    if (!has_file) std::filesystem::remove(world.host.ring_path());

    world.host.boot();

    CHECK_FALSE(std::filesystem::exists(world.host.state() / "bundle.json"));
    CHECK_FALSE(std::filesystem::exists(world.host.state() / "sealing.key"));
    CHECK_FALSE(any_file_holds(world.host.folder.path(), key));

    world.keyd.dead = false;
    world.keyd.rotate(world.host.now);
    world.host.settle();
    CHECK(world.host.generation() == world.keyd.generation());
    CHECK(world.keyd.enrolments.size() == 2);
  }

  TEST_CASE("promise 3: what could not be wiped as the last key expired goes as soon as it can") {
    SettledWorld world;
    const auto key = stored_key(world.host, "sealing.key");
    const auto key_file = world.host.state() / "sealing.key";
    const auto tick = [&world] { world.host.life->tick(world.host.now); };
    std::filesystem::rename(key_file, world.host.folder / "away");
    std::filesystem::create_directory(key_file);  // which root cannot write to either
    world.keyd.dead = true;
    world.host.now = world.keyd.manifest().not_after;

    CHECK_THROWS_AS(tick(), std::system_error);
    CHECK(world.host.ring()->epochs.empty());
    CHECK_FALSE(world.host.life->enrolled());
    CHECK_THROWS_AS(tick(), std::system_error);
    REQUIRE(std::filesystem::exists(world.host.state() / "bundle.json"));

    std::filesystem::remove(key_file);
    std::filesystem::rename(world.host.folder / "away", key_file);
    tick();
    CHECK_FALSE(std::filesystem::exists(world.host.state() / "bundle.json"));
    CHECK_FALSE(any_file_holds(world.host.folder.path(), key));

    world.keyd.dead = false;
    world.keyd.rotate(world.host.now);
    world.host.settle();
    CHECK(world.host.generation() == world.keyd.generation());
    CHECK(world.keyd.enrolments.size() == 2);
  }

  TEST_CASE("promise 3: a stored bundle gives no key that expired while the agent was down") {
    World world;
    world.keyd.rotate(noon + 1s, 1h);
    world.host.boot();
    world.host.settle();
    world.keyd.dead = true;
    world.host.now = world.keyd.manifest().epochs[1].opens_until;

    world.host.reboot();

    CHECK(world.host.ring()->epochs.size() == 1);
    CHECK_FALSE(file_holds(world.host.ring_path(), world.keyd.secrets().expose().subspan(32, 32)));
  }

  TEST_CASE("what cannot be stored is not applied, and is applied once it can") {
    SettledWorld world;
    const auto generation = world.host.generation();
    std::filesystem::rename(world.host.state(), world.host.folder / "away");
    world.keyd.rotate(world.host.now + 1s);
    world.host.steps(8);
    CHECK(world.host.generation() == generation);

    std::filesystem::rename(world.host.folder / "away", world.host.state());
    world.host.settle();
    CHECK(world.host.generation() == world.keyd.generation());
  }

  TEST_CASE("the heartbeat follows the clock") {
    SettledWorld world;
    world.host.now += 5s;
    world.host.life->tick(world.host.now);
    CHECK(ring::RingReader(world.host.ring_path()).heartbeat() == world.host.now);
  }
}
