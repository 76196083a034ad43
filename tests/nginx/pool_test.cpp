// nginx with the module as a member of a pool: what resumes where, through reloads,
// restarts and upgrades, with keys that rotate and end.
#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <regex>
#include <thread>

#include "faults/memory.hpp"
#include "nginx/nginx.hpp"
#include "support/tls_visit.hpp"

using namespace nginx;

namespace {

// Three virtual hosts on one port, a.test its default server.
struct Site {
  Site(const support::TempFolder& folder, const Certificates& certificates, const std::string& name,
       const fs::path& ring, const std::string& extra = "")
      : port(support::unused_port()), folder(folder / name), text(extra) {
    add("a.test", certificates, "ticket_context a;");
    add("b.test", certificates, "ticket_context b;");
    add("secure.test", certificates,
        "ticket_context secure; ssl_verify_client on; ssl_client_certificate " +
            certificates.client_ca() + ";");
    text = http_block(this->folder, "ticket_ring " + ring.string() + ";\n" + text);
  }
  void add(const std::string& host, const Certificates& certificates, const std::string& more) {
    text += "server { listen 127.0.0.1:" + std::to_string(port) + " ssl; server_name " + host +
            "; " + certificates.of(host) + more +
            " location / { return 200 \"<<$ticket_status $ticket_pool $ticket_epoch "
            "$ticket_minter $ticket_age>>\"; } }\n";
  }
  int port;
  fs::path folder;
  std::string text;
};

// An epoch that seals, one to come and one that only opens.
std::vector<Life> three_epochs(std::uint32_t first = 1) {
  return {{first, -2h, -1h, 1h}, {first + 1, -1h, 1h, 3h}, {first + 2, 1h, 2h, 4h}};
}

class Pair {
 public:
  Pair()
      : certificates(folder / "web"),
        first_ring(folder / "first.ring", 1),
        second_ring(folder / "second.ring", 2),
        first(folder, certificates, "first", first_ring.path()),
        second(folder, certificates, "second", second_ring.path()) {
    first_ring.publish(three_epochs());
    second_ring.publish(three_epochs());
    one = std::make_unique<Nginx>(first.folder, first.text);
    two = std::make_unique<Nginx>(second.folder, second.text);
  }
  std::string session(const std::string& name) const { return folder / (name + ".session"); }
  Shake begin(int port, int version, const std::string& name, const std::string& keep) const {
    return connect(port, {.name = name,
                          .version = version,
                          .keep = session(keep),
                          .certificate = certificates.client()});
  }
  Shake resume(int port, int version, const std::string& name, const std::string& offer) const {
    return connect(port, {.name = name,
                          .version = version,
                          .offer = session(offer),
                          .certificate = certificates.client()});
  }

  support::TempFolder folder;
  Certificates certificates;
  RingFile first_ring, second_ring;
  Site first, second;
  std::unique_ptr<Nginx> one, two;
};

constexpr int both_versions[] = {12, 13};

}  // namespace

TEST_SUITE("nginx") {
  TEST_CASE("promise 6: a session resumes under its name on both servers, and under no other") {
    const Pair pool;
    for (const int version : both_versions) {
      for (const std::string from : {"a.test", "b.test", "secure.test"}) {
        CAPTURE(version);
        CAPTURE(from);
        const auto begun = pool.begin(pool.first.port, version, from, "s");
        REQUIRE_MESSAGE(begun.ok, begun.output);
        CHECK(begun.body == "new web   ");
        for (const std::string to : {"a.test", "b.test", "secure.test"}) {
          for (const int port : {pool.first.port, pool.second.port}) {
            CAPTURE(to);
            const auto again = pool.resume(port, version, to, "s");
            CHECK_MESSAGE(again.ok, again.output);
            CHECK(again.reused == (from == to));
            CHECK(again.body.starts_with(from == to ? "resumed web 2 1 " : "context web 0") ==
                  (from == to));
            if (from != to) CHECK(again.body.starts_with("context web "));
          }
        }
      }
      // no certificate, and the ticket of a host that asks for none
      pool.begin(pool.first.port, version, "a.test", "s");
      const auto bare =
          connect(pool.second.port,
                  {.name = "secure.test", .version = version, .offer = pool.session("s")});
      CHECK_FALSE(bare.reused);
      CHECK_FALSE(bare.ok);
    }
  }

  TEST_CASE("promise 6: a name leads to the context of the server block that nginx chooses") {
    const support::TempFolder folder;
    const Certificates certificates(folder / "web");
    RingFile ring(folder / "web.ring");
    ring.publish(three_epochs());
    const int port = support::unused_port(), other = support::unused_port();
    const auto server = [&](int where, const std::string& names, const std::string& context,
                            const std::string& more = "") {
      return "server { listen 127.0.0.1:" + std::to_string(where) + " ssl" + more +
             "; server_name " + names + "; " + certificates.of("a.test") + " ticket_context " +
             context + "; return 200 \"<<$ticket_status $server_name>>\"; }\n";
    };
    // the default server comes last; the same name is another context on another port
    const auto text = http_block(
        folder / "nginx", "ticket_binding context; ticket_ring " + ring.path().string() + ";\n" +
                              server(port, "a.test", "a") + server(port, "*.b.test", "b") +
                              server(port, "~^c[0-9]+[.]test$", "c") + server(port, "d.*", "d") +
                              server(port, "fallback.test", "default", " default_server") +
                              server(other, "a.test", "another"));
    const Nginx server_process(folder / "nginx", text);
    const std::string kept = folder / "session";
    struct {
      const char* name;
      const char* same;
      const char* others;
    } const cases[] = {{"a.test", "a.test", "x.b.test"},     {"x.b.test", "y.b.test", "b.test"},
                       {"c12.test", "c7.test", "cx.test"},   {"d.test", "d.example", "a.test"},
                       {"unknown.test", "b.test", "a.test"}, {"", "unknown.test", "a.test"},
                       {"A.Test.", "a.test", "x.b.test"}};
    for (const auto& way : cases) {
      CAPTURE(way.name);
      const auto begun = connect(port, {.name = way.name, .keep = kept});
      // a dot at its end: nginx cuts it off, a Host header has it too
      REQUIRE_MESSAGE(fs::exists(kept), begun.output);
      CHECK(connect(port, {.name = way.same, .offer = kept}).reused);
      connect(port, {.name = way.name, .keep = kept});
      CHECK_FALSE(connect(port, {.name = way.others, .offer = kept}).reused);
    }
    connect(port, {.name = "a.test", .keep = kept});
    CHECK_FALSE(connect(other, {.name = "a.test", .offer = kept}).reused);
    connect(other, {.name = "a.test", .keep = kept});
    CHECK(connect(other, {.name = "a.test", .offer = kept}).reused);
  }

  TEST_CASE("a reload, an upgrade and a restart lose no resumption") {
    const Pair pool;
    for (const int version : both_versions) {
      CAPTURE(version);
      const auto keep = "before" + std::to_string(version);
      REQUIRE(pool.begin(pool.first.port, version, "a.test", keep).ok);
    }
    const auto all_resume = [&] {
      bool all = true;
      for (const int version : both_versions) {
        const auto name = "before" + std::to_string(version);
        const auto again = pool.resume(pool.first.port, version, "a.test", name);
        INFO(again.output);
        CHECK(again.reused);
        all = all && again.ok && again.reused;
      }
      return all;
    };
    CHECK(all_resume());
    pool.one->reload();
    CHECK(all_resume());
    pool.one->upgrade();
    CHECK(all_resume());
    pool.two->restart();
    CHECK(pool.resume(pool.second.port, 13, "a.test", "before13").reused);
    CHECK(pool.resume(pool.second.port, 12, "a.test", "before12").reused);
  }

  TEST_CASE("promise 5: a key that rotates is taken up without a reload, tickets renew") {
    Pair pool;
    for (const int version : both_versions) {
      CAPTURE(version);
      Shake again{}, renewed{};
      bool renews = false;
      // A worker looks for new keys twice a second; a machine may stand still, once.
      for (int i = 0; i < 3 && !renews; ++i) {
        pool.first_ring.publish(three_epochs(1));
        pool.second_ring.publish(three_epochs(1));
        std::this_thread::sleep_for(600ms);
        REQUIRE(pool.begin(pool.first.port, version, "a.test", "old").ok);

        pool.first_ring.publish(three_epochs(2));
        pool.second_ring.publish(three_epochs(2));
        std::this_thread::sleep_for(600ms);
        again = connect(pool.second.port, {.version = version,
                                           .keep = pool.session("renewed"),
                                           .offer = pool.session("old"),
                                           .certificate = pool.certificates.client()});
        if (version == 12) {  // s_client does not keep a ticket that is renewed
          renewed = connect(pool.second.port, {.version = version,
                                               .offer = pool.session("old"),
                                               .certificate = pool.certificates.client(),
                                               .more = {"-msg"}});
          renews = renewed.output.find("NewSessionTicket") != std::string::npos;
        } else {
          renewed = pool.resume(pool.first.port, version, "a.test", "renewed");
          renews = renewed.body.starts_with("resumed web 3 2 ");
        }
      }
      CHECK(again.reused);
      CHECK(again.body.starts_with("resumed web 2 1 "));
      CHECK_MESSAGE(renews, renewed.output);
      CHECK(renewed.reused);
    }
  }

  TEST_CASE("promise 16: a burned key opens nothing within a second") {
    Pair pool;
    Shake again{};
    // a machine may stand still, once
    for (std::uint32_t i = 0; i == 0 || (i < 3 && again.reused); ++i) {
      REQUIRE(pool.begin(pool.first.port, 13, "a.test", "s").ok);
      pool.first_ring.publish({{7 + i, -1h, 1h, 3h}});
      std::this_thread::sleep_for(1s);
      again = pool.resume(pool.first.port, 13, "a.test", "s");
    }
    CHECK(again.ok);
    CHECK_FALSE(again.reused);
    CHECK(again.body == "unknown_key web   ");
  }

  TEST_CASE("promise 3: an idle worker wipes a key at its end; the master never has one") {
    if (geteuid() != 0) {
      MESSAGE("skipped: only root reads the memory of other processes");
      return;
    }
    Pair pool;
    // both workers have used epoch 2
    for (int i = 0; i < 12; ++i) pool.begin(pool.first.port, 13, "a.test", "s");
    const faults::Needles needles{{"epoch 0x4142", hmac_key_of(0x4142, "a")}};
    const auto workers = pool.one->children();
    REQUIRE(workers.size() == 2);
    const auto ends = std::chrono::steady_clock::now() + 8s;
    pool.first_ring.publish({{0x4142, -1h, 8s, 8s}});
    const auto has_it = [&](pid_t pid) { return !faults::find_in_memory(pid, needles).empty(); };
    const auto all_have_it = [&] {
      for (int i = 0; i < 12; ++i) {  // not s_client: on a busy machine the key would end first
        support::visit({.port = static_cast<std::uint16_t>(pool.first.port), .name = "a.test"});
      }
      return std::ranges::all_of(workers, has_it);
    };
    CHECK(support::wait_until(all_have_it, 6s));
    CHECK_FALSE(has_it(pool.one->master()));

    std::this_thread::sleep_until(ends + 1s);  // nobody connects, nobody writes
    for (const auto pid : workers) {
      const auto hits = faults::find_in_memory(pid, needles);
      CAPTURE(hits.size());
      CHECK(hits.empty());
    }
  }

  TEST_CASE("promise 15: without a ring file nginx serves without tickets, and takes it up later") {
    const support::TempFolder folder;
    const Certificates certificates(folder / "web");
    const Site site(folder, certificates, "nginx", folder / "later.ring");
    const Nginx server(site.folder, site.text);
    const std::string kept = folder / "session";
    for (const int version : both_versions) {
      CAPTURE(version);
      const auto without = connect(site.port, {.version = version, .keep = kept});
      CHECK(without.ok);
      CHECK(without.body == "new    ");
      CHECK_FALSE(connect(site.port, {.version = version, .offer = kept}).reused);
    }
    std::this_thread::sleep_for(1s);
    const auto said = server.log();
    const auto first = said.find("ring file missing");
    CHECK_MESSAGE(first != std::string::npos, said);
    CHECK_MESSAGE(said.find("ring file missing", first + 1) == std::string::npos, said);  // once

    RingFile ring(folder / "later.ring");
    ring.publish(three_epochs());
    const auto resumes = [&] {
      connect(site.port, {.keep = kept});
      return connect(site.port, {.offer = kept}).reused;
    };
    CHECK(support::wait_until(resumes, 10s));
  }

  TEST_CASE("early data is not taken, and the handshake goes on") {
    const support::TempFolder folder;
    const Certificates certificates(folder / "web");
    RingFile ring(folder / "web.ring");
    ring.publish(three_epochs());
    const Site site(folder, certificates, "nginx", ring.path(), "ssl_early_data on;\n");
    const Nginx server(site.folder, site.text);
    CHECK(server.log().find("ssl_early_data is turned off in server \"a.test\"") !=
          std::string::npos);
    const std::string kept = folder / "session", early = folder / "early";
    support::write_text(early, "GET /early HTTP/1.1\r\nHost: a.test\r\n\r\n");
    connect(site.port, {.keep = kept});
    CHECK(support::run({"openssl", "sess_id", "-in", kept, "-noout", "-text"})
              .output.find("Max Early Data: 0") != std::string::npos);
    const auto again = connect(site.port, {.offer = kept, .more = {"-early_data", early}});
    CHECK_MESSAGE(again.reused, again.output);
  }

  TEST_CASE("ticket_lifetime shortens what the pool says, and never more") {
    const support::TempFolder folder;
    const Certificates certificates(folder / "web");
    RingFile ring(folder / "web.ring");
    ring.publish({{1, -1h, 1h, 3h}});
    const int port = support::unused_port(), raw = support::unused_port();
    const auto server = [&](const std::string& name, const std::string& more) {
      return "server { listen 127.0.0.1:" + std::to_string(port) + " ssl; server_name " + name +
             "; " + certificates.of(name) + more + " return 200 \"<<$ticket_status>>\"; }\n";
    };
    const auto use = "ticket_ring " + ring.path().string() + "; ";
    const Nginx nginx(
        folder / "nginx",
        http_block(folder / "nginx", use + "ticket_lifetime 40m; ssl_session_timeout 10s;\n" +
                                         server("a.test", "") +
                                         server("b.test", "ticket_lifetime 3s; ") +
                                         server("secure.test", "ticket_lifetime 7d; ")) +
            "stream { server { listen 127.0.0.1:" + std::to_string(raw) + " ssl; " + use +
            certificates.of("a.test") +
            " ssl_protocols TLSv1.2 TLSv1.3; ticket_lifetime 50m; return ok; } }\n");
    const std::string kept = folder / "session";
    static const std::regex hint("lifetime hint: ([0-9]+)");
    const auto lifetime = [&](int where, const std::string& name, int version) {
      connect(where, {.name = name, .version = version, .keep = kept});
      const auto text = support::run({"openssl", "sess_id", "-in", kept, "-noout", "-text"}).output;
      std::smatch match;
      REQUIRE_MESSAGE(std::regex_search(text, match, hint), text);
      return std::stol(match[1]);
    };
    for (const int version : both_versions) {
      CAPTURE(version);
      CHECK(lifetime(port, "a.test", version) == 40 * 60);
      const auto most = lifetime(port, "secure.test", version);
      CHECK(most > 40 * 60);
      CHECK(most <= 3 * 3600);
      CHECK(lifetime(raw, "a.test", version) == 50 * 60);
      CHECK(lifetime(port, "b.test", version) == 3);
      CHECK(connect(port, {.name = "b.test", .version = version, .offer = kept}).reused);
      std::this_thread::sleep_for(5s);
      CHECK_FALSE(connect(port, {.name = "b.test", .version = version, .offer = kept}).reused);
    }
  }

  TEST_CASE("promise 2: without keyd for an hour, by the clock, sessions still resume") {
    const support::TempFolder folder;
    const Certificates certificates(folder / "web");
    RingFile ring(folder / "web.ring");
    ring.publish({{1, -10min, 10min, 3h}, {2, 10min, 30min, 3h}, {3, 30min, 90min, 3h}});
    const Site site(folder, certificates, "now", ring.path());
    const Site later(folder, certificates, "later", ring.path());
    const Nginx server(site.folder, site.text);
    const Nginx in_an_hour(later.folder, later.text, {"faketime", "-f", "+1h"});
    const std::string kept = folder / "session", renewed = folder / "renewed";
    for (const int version : both_versions) {
      CAPTURE(version);
      REQUIRE(connect(site.port, {.version = version, .keep = kept}).ok);
      const auto again = connect(later.port, {.version = version, .keep = renewed, .offer = kept});
      REQUIRE_MESSAGE(again.ok, again.output);
      static const std::regex date("Date: [^\r]* ([0-9]{2}):([0-9]{2}):");
      std::smatch match;
      REQUIRE(std::regex_search(again.output, match, date));
      const auto hour = std::chrono::floor<std::chrono::hours>(wall_clock() + 1h);
      const auto of_day = hour - std::chrono::floor<std::chrono::days>(hour);
      CHECK(std::abs(std::stol(match[1]) - of_day.count()) <= 1);  // the clock was turned
      CHECK(again.reused);
      CHECK(again.body.starts_with("resumed web 1 1 "));
      if (version == 12) continue;  // s_client does not keep a ticket that is renewed
      const auto next = connect(later.port, {.version = version, .offer = renewed});
      CHECK(next.body.starts_with("resumed web 3 1 "));
    }
  }

  TEST_CASE("workers that are not root read a ring of their group") {
    if (geteuid() != 0) {
      MESSAGE("skipped: only root starts workers of another user");
      return;
    }
    const support::TempFolder folder;
    fs::permissions(folder.path(), fs::perms(0755));
    const Certificates certificates(folder / "web");
    RingFile ring(folder / "web.ring");
    ring.publish(three_epochs());
    const Site site(folder, certificates, "nginx", ring.path());
    const auto kept = folder / "session";
    const auto serve = [&](const std::string& user) {
      auto conf = Nginx::head(site.folder);
      conf.replace(conf.find("user root;"), 10, "user " + user + ";");
      fs::create_directories(site.folder / "temp");
      support::write_text(site.folder / "nginx.conf", conf + site.text);
      support::Process process({"/usr/sbin/nginx", "-p", site.folder, "-c",
                                site.folder / "nginx.conf", "-g", "daemon off;"});
      support::wait_until([&] { return connect(site.port, {.keep = kept}).ok; }, 10s);
      std::this_thread::sleep_for(500ms);
      connect(site.port, {.keep = kept});
      const bool resumed = connect(site.port, {.offer = kept}).reused;
      process.send(SIGTERM);
      process.wait(5s);
      return resumed;
    };
    CHECK_FALSE(serve("www-data"));
    CHECK(support::read_text(site.folder / "error.log").find("check its mode and group") !=
          std::string::npos);
    CHECK(support::run({"chgrp", "www-data", ring.path()}).code == 0);
    CHECK(serve("www-data"));
  }

  TEST_CASE("stream servers share a pool too") {
    const support::TempFolder folder;
    const Certificates certificates(folder / "web");
    RingFile ring(folder / "web.ring");
    ring.publish(three_epochs());
    const int first = support::unused_port(), second = support::unused_port(),
              apart = support::unused_port(), http = support::unused_port();
    const auto server = [&](int port, const std::string& more) {
      return "server { listen 127.0.0.1:" + std::to_string(port) + " ssl; " +
             certificates.of("a.test") + more +
             " return \"HTTP/1.1 200 OK\\r\\n\\r\\n<<stream>>\"; }\n";
    };
    const Nginx process(
        folder / "nginx",
        "stream { ssl_protocols TLSv1.2 TLSv1.3; ticket_ring " + ring.path().string() + ";\n" +
            server(first, "") + server(second, "") + server(apart, "ticket_context apart;") +
            "}\n" +
            http_block(folder / "nginx", "server { listen 127.0.0.1:" + std::to_string(http) +
                                             " ssl; server_name a.test; " +
                                             certificates.of("a.test") + " ticket_ring " +
                                             ring.path().string() + "; return 200 \"\"; }"));
    const std::string kept = folder / "session";
    for (const int version : both_versions) {
      CAPTURE(version);
      REQUIRE(connect(first, {.version = version, .keep = kept}).ok);
      CHECK(connect(second, {.version = version, .offer = kept}).reused);
      connect(first, {.version = version, .keep = kept});
      CHECK_FALSE(connect(apart, {.version = version, .offer = kept}).reused);
      CHECK(connect(http, {.version = version, .offer = kept}).reused);
    }
  }
}
