// /metrics: what is written, that Prometheus takes it, and that it is documented.
#include <doctest/doctest.h>

#include <regex>
#include <set>

#include "agent_metrics.hpp"
#include "exposition.hpp"
#include "fixture.hpp"
#include "front_metrics.hpp"
#include "keyd_process.hpp"
#include "status_page.hpp"
#include "support/exposition.hpp"
#include "support/process.hpp"
#include "support/rings.hpp"

using namespace test;
using support::read_exposition;

namespace {

keyd::Report report_of_two_pools() {
  keyd::Report report;
  report.store_failures = 3;
  for (const auto* name : {"web", "mail"}) {
    keyd::PoolReport pool;
    pool.name = name;
    pool.generation = 1'790'000'000'000;
    pool.epochs = {{1, "opening", 1, 2, 3, 4}, {2, "sealing", 1, 2, 3, 4}};
    pool.enrolled = 3;
    pool.seen = 2;
    pool.current = 1;
    report.pools.push_back(pool);
  }
  report.pools.front().alarms.push_back({"store", "No space left on device"});
  report.pools.front().issuer = {{.announced = 1,
                                  .issuing = 1,
                                  .redeeming = 2,
                                  .issued_blind_rsa = 40,
                                  .issued_ristretto = 2,
                                  .records_lost = 3}};
  return report;
}

keyd::AgentSight sight_of_two_pools() {
  keyd::AgentSight sight;
  for (const auto* name : {"web", "mail"}) {
    keyd::PoolSight pool;
    pool.pool = name;
    pool.servers = {{"127.0.0.1:7443", 2, 1, noon}, {"[::1]:7443", 0, 4, {}}};
    pool.refusals[Rejection::rollback] = 2;
    pool.counts[static_cast<std::size_t>(ring::Counter::forged)] = 7;
    sight.pools.push_back(std::move(pool));
  }
  sight.feeds.haproxy.push_back({.pool = "web", .context = "plain", .socket = "/run/h.sock"});
  sight.feeds.files.push_back(
      {.pool = "web", .context = "plain", .file = "/run/web.keys", .has_command = true});
  keyd::TokenSight tokens;
  tokens.pool = "web";
  tokens.offered = true;
  tokens.outcomes[static_cast<std::size_t>(redeem::Outcome::replay)] = 5;
  tokens.claims[static_cast<std::size_t>(replay::Verdict::fresh)] = 6;
  tokens.tables.push_back({3, true, "ok", 0.25, 12 << 20});
  tokens.redis.emplace();
  tokens.redis->address = "/run/redis.sock";
  tokens.redis->trouble = "<not connected>";
  tokens.redis->answers = 4;
  tokens.redis->waited = std::chrono::microseconds(1500);
  tokens.redis->doubts[static_cast<std::size_t>(replay::Doubt::late)] = 2;
  sight.tokens.push_back(std::move(tokens));
  return sight;
}

// Whether the metrics at that port tell of it.
bool alarm_stands(std::uint16_t port, const std::string& pool, const std::string& kind) {
  const auto url = "http://127.0.0.1:" + std::to_string(port) + "/metrics";
  const auto families = read_exposition(support::run({"curl", "-s", "-m", "10", url}).output);
  const auto& samples = families.at("keyd_alarm").samples;
  const auto found = samples.find("{pool=\"" + pool + "\",kind=\"" + kind + "\"}");
  return found != samples.end() && found->second == 1;
}

std::set<std::string> names_of(const std::string& exposition) {
  std::set<std::string> names;
  for (const auto& [name, family] : read_exposition(exposition)) names.insert(name);
  return names;
}

}  // namespace

TEST_SUITE("metrics") {
  TEST_CASE("labels are escaped, whatever is in them") {
    keyd::Exposition out;
    out.gauge("g", "Help.");
    out.add(1, {{"a", "say \"hi\"\\\n"}, {"b", ""}});
    out.add(-2);

    const auto text = out.take();
    CHECK(text ==
          "# HELP g Help.\n# TYPE g gauge\ng{a=\"say \\\"hi\\\"\\\\\\n\",b=\"\"} 1\ng -2\n");
    CHECK(read_exposition(text).at("g").samples.size() == 2);
  }

  TEST_CASE("the reader of the tests is strict") {
    for (const auto* bad :
         {"", "g 1\n", "# TYPE g gauge\ng 1\n", "# HELP g h\n# TYPE g gauge\ng 1",
          "# HELP g h\n# TYPE g gauge\ng x\n", "# HELP g h\n# TYPE g gauge\ng 1\ng 1\n",
          "# HELP g h\n# TYPE g counter\n", "# HELP g_total h\n# TYPE g_total gauge\n",
          "# HELP g h\n# TYPE g gauge\ng{a=\"\\x\"} 1\n",
          "# HELP g h\n# TYPE g gauge\ng{1a=\"\"} 1\n",
          "# HELP g h\n# TYPE g gauge\ng{a=\"\n\"} 1\n", "# HELP g h\n# TYPE g gauge\nf 1\n"}) {
      CAPTURE(bad);
      CHECK_THROWS_AS(read_exposition(bad), std::runtime_error);
    }
  }

  TEST_CASE("every metric stands in docs/metrics.md, and no other") {
    const auto report = report_of_two_pools();
    const keyd::FrontCounts counts;
    auto exported = names_of(keyd::write_front_metrics(
        {.report = report, .counts = counts, .started = noon, .issuers = {"web"}}));
    exported.merge(names_of(keyd::write_agent_metrics(sight_of_two_pools(), noon)));

    const auto text = support::read_text(support::source_root() / "docs/metrics.md");
    std::set<std::string> documented;
    const std::regex row("\\| `([a-z_]+)` \\|");
    for (std::sregex_iterator at(text.begin(), text.end(), row), end; at != end; ++at) {
      documented.insert((*at)[1]);
    }
    CHECK(documented == exported);

    // what the alert rules ask for exists too
    const std::regex used("\\b((keyd|ticket)_[a-z_]+)\\b");
    const auto rules = text.substr(text.find("```yaml"));
    for (std::sregex_iterator at(rules.begin(), rules.end(), used), end; at != end; ++at) {
      CAPTURE((*at)[1].str());
      CHECK(exported.contains((*at)[1]));
    }
  }

  TEST_CASE("every reason and kind that is a label stands in docs/metrics.md") {
    const auto text = support::read_text(support::source_root() / "docs/metrics.md");
    const auto documented = [&](const std::string& word) {
      CAPTURE(word);
      CHECK(text.find("`" + word + "`") != std::string::npos);
    };
    for (int i = 0; i < static_cast<int>(keyd::RefusedConnection::count_); ++i) {
      documented(to_text(static_cast<keyd::RefusedConnection>(i)));
    }
    for (int i = 0; i < static_cast<int>(keyd::RefusedRequest::count_); ++i) {
      documented(to_text(static_cast<keyd::RefusedRequest>(i)));
    }
    for (int i = 0; i < static_cast<int>(keyd::Budget::Why::count_); ++i) {
      documented(to_text(static_cast<keyd::Budget::Why>(i)));
    }
    for (const auto* kind : keyd::alarm_kinds) documented(kind);
    for (std::size_t i = 0; i < redeem::outcome_count; ++i) {
      documented(to_text(static_cast<redeem::Outcome>(i)));
    }
    for (auto i = static_cast<unsigned>(ring::Counter::unknown_key);
         i <= static_cast<unsigned>(ring::Counter::name); ++i) {
      documented(to_text(static_cast<ring::Counter>(i)));
    }
    for (unsigned i = 0; ring::token_counter(i) != ring::Counter::count_; ++i) {
      documented(to_text(ring::token_counter(i)) + std::string("token_").size());
    }
  }

  TEST_CASE("a front tells what the keeper said and what it counted") {
    const auto report = report_of_two_pools();
    keyd::FrontCounts counts;
    counts.refuse(keyd::RefusedConnection::certificate);
    counts.refuse(keyd::RefusedRequest::other_pool);
    counts.refuse(keyd::RefusedRequest::other_pool);
    counts.pool("web").bundles_served = 5;
    counts.open = 4;
    auto& issuer = counts.issuer("web");
    for (const int status : {200, 200, 429}) issuer.answered(status);
    issuer.answered(599);  // of no request of ours
    issuer.refuse(keyd::Budget::Why::spent);
    issuer.tokens = 33;
    issuer.connections = 2;
    const auto families = read_exposition(keyd::write_front_metrics({.report = report,
                                                                     .counts = counts,
                                                                     .handshaking = 1,
                                                                     .long_polls = {{"mail", 2}},
                                                                     .started = noon,
                                                                     .issuers = {"web"}}));
    const auto value = [&](const char* name, const char* labels) {
      return families.at(name).samples.at(labels);
    };

    CHECK(value("keyd_generation", "{pool=\"web\"}") == 1'790'000'000'000.);
    CHECK(value("keyd_epochs", "{pool=\"web\",state=\"sealing\"}") == 1);
    CHECK(value("keyd_epochs", "{pool=\"web\",state=\"announced\"}") == 0);
    CHECK(value("keyd_alarm", "{pool=\"web\",kind=\"store\"}") == 1);
    CHECK(value("keyd_alarm", "{pool=\"mail\",kind=\"store\"}") == 0);
    CHECK(value("keyd_token_epochs", "{pool=\"web\",state=\"redeeming\"}") == 2);
    CHECK(value("keyd_tokens_issued_total", "{pool=\"web\",type=\"blind-rsa\"}") == 40);
    CHECK(value("keyd_tokens_issued_total", "{pool=\"web\",type=\"ristretto\"}") == 2);
    CHECK(value("keyd_token_records_lost_total", "{pool=\"web\"}") == 3);
    CHECK(families.at("keyd_token_records_lost_total").samples.size() == 1);
    CHECK(value("keyd_store_failures_total", "") == 3);
    CHECK(value("keyd_connections_refused_total", "{reason=\"certificate\"}") == 1);
    CHECK(value("keyd_requests_refused_total", "{reason=\"other_pool\"}") == 2);
    CHECK(value("keyd_bundles_served_total", "{pool=\"web\"}") == 5);
    CHECK(value("keyd_long_polls", "{pool=\"mail\"}") == 2);
    CHECK(value("keyd_connections", "{state=\"open\"}") == 3);
    CHECK(value("keyd_issuer_requests_total", "{pool=\"web\",status=\"200\"}") == 2);
    CHECK(value("keyd_issuer_requests_total", "{pool=\"web\",status=\"429\"}") == 1);
    CHECK(value("keyd_issuer_requests_total", "{pool=\"web\",status=\"304\"}") == 0);
    CHECK(value("keyd_issuer_budget_refused_total", "{pool=\"web\",reason=\"spent\"}") == 1);
    CHECK(value("keyd_issuer_tokens_total", "{pool=\"web\"}") == 33);
    CHECK(value("keyd_issuer_connections", "{pool=\"web\"}") == 2);
    CHECK(families.at("keyd_issuer_tokens_total").samples.size() == 1);  // mail has none
  }

  TEST_CASE("promise 2: the ring's alarm rises by the clock alone") {
    const support::TempFolder folder;
    ring::RingWriter writer(folder / "web.ring", "web");
    auto ring = ticket::test::ring_of({ticket::test::epoch(1, noon)});
    ring.policy.stretch = 2h;
    REQUIRE(writer.publish(ring, noon).has_value());
    struct {
      seconds after;
      const char* state;
    } const moments[] = {{0s, "ok"},           {3599s, "ok"},
                         {3600s, "stretched"}, {10799s, "stretched"},
                         {10800s, "stopped"},  {90000s, "stopped"}};
    for (const auto& moment : moments) {
      CAPTURE(moment.after.count());
      keyd::AgentSight sight = sight_of_two_pools();
      sight.pools.resize(1);
      sight.pools[0].ring = keyd::look_at_ring(folder / "web.ring", noon + moment.after);
      const auto families = read_exposition(keyd::write_agent_metrics(sight, noon + moment.after));
      for (const auto& sample : families.at("ticket_ring_state").samples) {
        const auto& labels = sample.first;
        const auto value = sample.second;
        CAPTURE(labels);
        CHECK(value == (labels == std::string("{pool=\"web\",state=\"") + moment.state + "\"}"));
      }
      CHECK(families.at("ticket_ring_seal_remaining_seconds").samples.at("{pool=\"web\"}") ==
            static_cast<double>((3600s - moment.after).count()));
    }
    const auto gone = keyd::look_at_ring(folder / "mail.ring", noon);
    CHECK(gone.state == ring::RingState::none);
    CHECK(keyd::look_at_ring(folder / "web.ring", noon).ring.secrets.size() == 0);
  }

  TEST_CASE("an agent's refusals and the host's tickets are counted by reason") {
    const auto families = read_exposition(keyd::write_agent_metrics(sight_of_two_pools(), noon));
    CHECK(families.at("ticket_bundles_refused_total")
              .samples.at("{pool=\"mail\",reason=\"rollback\"}") == 2);
    CHECK(families.at("ticket_refused_total").samples.at("{pool=\"web\",reason=\"forged\"}") == 7);
    CHECK(families.at("ticket_keyd_failures_total")
              .samples.at("{pool=\"web\",server=\"[::1]:7443\"}") == 4);
    CHECK(families.at("ticket_ring_state").samples.at("{pool=\"web\",state=\"none\"}") == 1);
  }

  TEST_CASE("what became of tokens is counted by outcome, and what Redis did by reason") {
    const auto families = read_exposition(keyd::write_agent_metrics(sight_of_two_pools(), noon));
    const auto& tokens = families.at("ticket_agent_tokens_total");
    CHECK(tokens.samples.at("{pool=\"web\",outcome=\"replay\"}") == 5);
    CHECK(tokens.samples.at("{pool=\"web\",outcome=\"ok\"}") == 0);
    CHECK(families.at("ticket_token_claims_total").samples.at("{pool=\"web\",verdict=\"fresh\"}") ==
          6);
    CHECK(families.at("ticket_token_table_load_ratio").samples.at("{pool=\"web\",epoch=\"3\"}") ==
          0.25);
    const std::string redis = "pool=\"web\",redis=\"/run/redis.sock\"";
    CHECK(families.at("ticket_redis_ready").samples.at("{" + redis + "}") == 0);
    CHECK(families.at("ticket_redis_wait_seconds_total").samples.at("{" + redis + "}") == 0.0015);
    CHECK(families.at("ticket_redis_unknown_total").samples.at("{" + redis + ",reason=\"late\"}") ==
          2);
  }

  TEST_CASE("an agent's page tells of tokens, and of a Redis that is silent") {
    const auto page = keyd::agent_page(sight_of_two_pools(), noon);
    CHECK(page.find("Redis at /run/redis.sock: &lt;not connected&gt;") != std::string::npos);
    CHECK(page.find("this host&#39;s table") != std::string::npos);
    CHECK(page.find("<td>37 %</td>") != std::string::npos);  // of the 0.67 that it takes
  }

  TEST_CASE("the keeper's report counts members by what they run on") {
    House house;
    house.live(1s);
    std::vector<Server> servers;
    for (const auto* name : {"a", "b", "c"}) {
      servers.emplace_back(house.ca, name, std::string("ticket:member:web:") + name);
      REQUIRE(house.enrol(servers.back()).status == 200);
    }
    const auto generation = house.newest().generation;
    house.seen("a", generation);
    house.seen("b", 0);

    const auto pool = house.authority->report(house.now).pools.at(0);
    CHECK(pool.enrolled == 3);
    CHECK(pool.seen == 2);
    CHECK(pool.current == 1);
    CHECK(pool.oldest_applied == 0);
    CHECK(pool.members.at(0).name == "c");  // never seen: first
    CHECK(pool.members.at(2).name == "a");
    CHECK(pool.alarms.empty());
    CHECK(house.authority->report(house.now + 61s).pools.at(0).seen == 0);

    house.store.problem = "No space left on device";
    house.live(8h);
    const auto failing = house.authority->report(house.now);
    CHECK(failing.store_failures > 0);
    CHECK(failing.pools.at(0).alarms.at(0).kind == "store");
  }

  TEST_CASE("a pool without keys keeps nobody from the others' keys, nor from the alarm") {
    House ahead;  // by whose clock the state of web was made
    ahead.now = wall_clock() + 1h;
    ahead.tend();
    const Folder folder;  // with the pool mail, too
    std::filesystem::create_directories(folder / "state");
    folder.write("state/keyd.state", std::string(as_text(*ahead.store.blob)));
    const auto port = support::unused_port();
    folder.configure("", "metrics = \"127.0.0.1:" + std::to_string(port) + "\"\n");

    Keyd keyd(folder);

    REQUIRE_MESSAGE(keyd.serves(), keyd.process.output());
    CHECK(status_of(keyd.ask("/v1/pools/web/bundle", "web1")) == "200");
    CHECK(status_of(keyd.ask("/v1/pools/mail/bundle", "mail1")) != "200");
    for (const auto* pool : {"web", "mail"}) {
      CAPTURE(pool);
      CHECK(support::wait_until([&] { return alarm_stands(port, pool, "clock"); }, 10s));
    }
  }

  TEST_CASE("why keyd is not ready stands in its metrics") {
    const Folder folder;
    const auto in_the_way = folder / "state/keyd.state.new";
    std::filesystem::create_directories(in_the_way);  // so nothing can be stored
    const auto port = support::unused_port();
    folder.configure("", "metrics = \"127.0.0.1:" + std::to_string(port) + "\"\n");
    Keyd keyd(folder);
    REQUIRE(keyd.says("metrics: http://127.0.0.1:"));

    CHECK(support::wait_until([&] { return alarm_stands(port, "web", "store"); }, 10s));
    CHECK(keyd.process.output().find("ready: listening") == std::string::npos);

    std::filesystem::remove(in_the_way);
    CHECK_MESSAGE(keyd.serves(), keyd.process.output());
    CHECK(support::wait_until([&] { return !alarm_stands(port, "web", "store"); }, 10s));
  }

  TEST_CASE("promise 12: nothing of a report is secret, and it survives the channel") {
    House house;
    house.live(1s);
    auto report = house.authority->report(house.now);
    report.pools.at(0).issuer = report_of_two_pools().pools.at(0).issuer;
    const auto text = keyd::write_message(keyd::ToFront(report));

    CHECK(std::get<keyd::Report>(keyd::parse_to_front(text)) == report);
    const auto state = house.store.state();
    for (std::size_t i = 0; i < state.pools.at(0).epochs.size(); ++i) {
      const auto secret = state.pools.at(0).secrets.expose().subspan(i * 32, 32);
      CHECK(text.find(hex(secret)) == std::string::npos);
      CHECK(text.find(base64url(secret)) == std::string::npos);
    }
  }
}

TEST_SUITE("status page") {
  TEST_CASE("what a peer or a configuration said cannot become markup") {
    auto report = report_of_two_pools();
    report.pools[0].name = "<script>alert(1)</script>";
    report.pools[0].members.push_back({1, "a\"onload='x", 1, 1, "<b>&\x1b[2J"});
    report.pools[0].alarms = {{"store", "<i>"}};
    report.pools[0].epochs[0].state = "<svg onload=x>";

    const auto page = keyd::authority_page(report, noon);
    for (const auto* bad : {"<script", "<b>", "<i>", "\x1b", "onload='", "<svg onload"}) {
      CAPTURE(bad);
      CHECK(page.find(bad) == std::string::npos);
    }
    CHECK(page.find("&lt;script&gt;alert(1)") != std::string::npos);
  }

  TEST_CASE("the time line draws each part of each epoch, and now") {
    const auto t = noon.time_since_epoch().count();
    const auto svg = keyd::time_line_svg({{7, "sealing", t - 50, t, t + 50, t + 150}}, noon);

    // 120 wide labels, then 760 for 200 s: 3.8 a second
    CHECK(svg.find("class=\"announced\" x=\"120.0\"") != std::string::npos);
    CHECK(svg.find("class=\"sealing\" x=\"310.0\" y=\"4.0\" width=\"190.0\"") != std::string::npos);
    CHECK(svg.find("class=\"opening\" x=\"500.0\" y=\"4.0\" width=\"380.0\"") != std::string::npos);
    CHECK(svg.find("class=\"now\" x1=\"310.0\"") != std::string::npos);
    CHECK(keyd::time_line_svg({}, noon).empty());
  }

  TEST_CASE("an epoch that stretches is drawn as sealing up to now") {
    const auto t = noon.time_since_epoch().count();
    const auto svg = keyd::time_line_svg({{7, "sealing", t - 100, t - 100, t - 50, t + 100}}, noon);
    CHECK(svg.find("class=\"sealing\" x=\"120.0\" y=\"4.0\" width=\"380.0\"") != std::string::npos);
  }
}
