// ticketctl check against real servers. Every verdict that it prints is provoked here
// by a server that nobody here wrote, but those of libticket's own.
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "base/bytes.hpp"
#include "ring/ring_file.hpp"
#include "support/process.hpp"
#include "support/rings.hpp"
#include "tls_servers.hpp"

using namespace ticket;
using namespace std::chrono_literals;
using nlohmann::json;
using servers::Lab;

namespace {

using Arguments = std::vector<std::string>;

support::Outcome check(Arguments arguments) {
  arguments.insert(arguments.begin(), {support::build_root() / "ticketctl/ticketctl", "check"});
  return support::run(arguments);
}

struct Checked {
  int code;
  json report;

  // "resumes", or why not
  std::string pair(const std::string& from, const std::string& to, const std::string& tls) const {
    for (const auto& pair : report.at("pairs")) {
      if (pair.at("from") != from || pair.at("to") != to || pair.at("tls") != tls) continue;
      return pair.at("resumes") == true ? "resumes" : pair.at("why").get<std::string>();
    }
    return "no such pair";
  }
};

Checked checked(Arguments arguments) {
  arguments.push_back("--json");
  const auto outcome = check(arguments);
  CAPTURE(outcome.output);
  REQUIRE(json::accept(outcome.output));
  return {outcome.code, json::parse(outcome.output)};
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

const Lab& with_keys(const Lab& lab) {
  for (const auto* file : {"one.key", "two.key"})
    lab.make_ticket_key(std::string("tickets-") + file);
  return lab;
}

// For the bind line.
std::string haproxy_keys(const Lab& lab) {
  std::string keys;
  for (int i = 0; i < 3; ++i) keys += std::string(63, static_cast<char>('A' + i)) + "A\n";
  support::write_text(lab.path("keys"), keys);
  return "tls-ticket-keys " + lab.path("keys");
}

std::string key(const Lab& lab, const std::string& which) {
  return "ssl_session_ticket_key " + lab.path("tickets-" + which + ".key") + "; ";
}

}  // namespace

TEST_SUITE("check") {
  TEST_CASE("servers that share a key resume each other, whoever made the key") {
    Lab lab;
    with_keys(lab);
    const auto one = lab.nginx(key(lab, "one")), two = lab.nginx(key(lab, "one"));

    const auto seen = checked({one, two});

    CHECK(seen.code == 0);
    CHECK(seen.report.at("ok") == true);
    CHECK(seen.report.at("verified") == false);
    REQUIRE(seen.report.at("pairs").size() == 8);
    for (const auto& pair : seen.report.at("pairs")) {
      CAPTURE(pair.dump());
      CHECK(pair.at("resumes") == true);
      CHECK(pair.at("by_ticket") == true);
      CHECK(pair.at("new_ticket") == true);
    }
    const auto key_name =
        hex(as_bytes(support::read_text(lab.path("tickets-one.key")).substr(0, 16)));
    for (const auto& server : seen.report.at("servers")) {
      CHECK(server.at("key_name") == key_name);
      CHECK(server.at("lifetime_hint") == 300);  // nginx's ssl_session_timeout
      CHECK(server.at("certificate").get<std::string>().size() == 64);
    }
  }

  TEST_CASE("what two servers differ in, by what a client sees") {
    Lab lab;
    with_keys(lab);
    lab.make_certificate("b");
    const auto both = key(lab, "one") + key(lab, "two");
    const auto of_b = "ssl_certificate " + lab.path("b.pem") + "; ssl_certificate_key " +
                      lab.path("b.key") + "; ";
    const auto plain = lab.nginx(key(lab, "one"));
    const auto asks = lab.nginx(key(lab, "one") + "ssl_verify_client optional; " +
                                "ssl_client_certificate " + lab.path("b.pem") + "; ");
    const auto hash = [](const char* suite) {
      return std::string("ssl_conf_command Ciphersuites ") + suite + "; ";
    };

    const struct {
      std::string one, other, verdict, back, what;
      std::string tls = {};  // both
    } cases[] = {
        {plain, lab.nginx(key(lab, "two")), "other_key", "other_key", "keys"},
        {lab.nginx(""), lab.nginx(""), "other_key", "other_key", "stock nginx, each its own key"},
        {lab.nginx(both), lab.nginx(key(lab, "two")), "behind", "resumes", "the newest key"},
        {plain, lab.nginx(key(lab, "one") + of_b), "other_certificate", "other_certificate",
         "certificates"},
        {plain, asks, "other_policy", "other_policy", "client certificates"},
        {plain, lab.nginx_stream(key(lab, "one")), "other_context", "other_context",
         "session-id contexts: nginx's http and stream"},
        {lab.nginx(key(lab, "one") + hash("TLS_AES_128_GCM_SHA256")),
         lab.nginx(key(lab, "one") + hash("TLS_AES_256_GCM_SHA384")), "other_cipher",
         "other_cipher", "hashes", "1.3"},
        {plain, lab.nginx(key(lab, "one") + "ssl_conf_command Options -ExtendedMasterSecret; "),
         "ticket_alert", "other_context", "extended master secret: an alert", "1.2"},
        {plain, lab.nginx(key(lab, "one") + "if ($ssl_session_reused = r) { return 421; } "),
         "misdirected", "resumes", "what is answered to resumed sessions"},
        {lab.nginx("ssl_session_tickets off; "), plain, "tickets_off", "tickets_off",
         "tickets: off"},
    };
    for (const auto& c : cases) {
      for (const std::string tls : {"1.2", "1.3"}) {
        if (!c.tls.empty() && c.tls != tls) continue;
        CAPTURE(c.what);
        CAPTURE(tls);
        const auto seen = checked({"--tls", tls, c.one, c.other});
        CAPTURE(seen.report.dump(1));

        CHECK(seen.code == 1);
        CHECK(seen.pair(c.one, c.other, tls) == c.verdict);
        CHECK(seen.pair(c.other, c.one, tls) == c.back);
      }
    }
  }

  TEST_CASE("a server that cannot be looked at is named with the reason") {
    Lab lab;
    with_keys(lab);
    const auto fine = lab.nginx(key(lab, "one"));
    const auto demands = lab.s_server({"-Verify", "1", "-verify_return_error"});
    const std::string no_host = "nosuch.invalid:443";

    const struct {
      std::string server, tls, verdict;
      Arguments options = {};
    } cases[] = {
        {Lab::nobody(), "1.3", "unreachable"},
        {no_host, "1.3", "unreachable"},
        {lab.pretender("kept.append(connection)"), "1.3", "silent"},
        {lab.pretender("connection.recv(5); connection.close()"), "1.3", "closed"},
        {lab.pretender("connection.recv(2000); connection.sendall(b'HTTP/1.0 400 no\\r\\n\\r\\n')"),
         "1.3", "not_tls"},
        {lab.nginx("ssl_protocols TLSv1.2; "), "1.3", "not_offered"},
        {lab.nginx("ssl_protocols TLSv1.3; "), "1.2", "not_offered"},
        {demands, "1.2", "client_certificate"},
        {demands, "1.3", "client_certificate"},
        {lab.nginx("ssl_reject_handshake on; "), "1.3", "no_such_name"},
        {lab.s_server({"-cipher", "ECDHE-RSA-AES128-GCM-SHA256"}), "1.2", "alert"},
        {lab.s_server({}), "1.3", "untrusted", {"--ca", lab.path("other.pem")}},
    };
    lab.make_certificate("other");
    for (const auto& c : cases) {
      CAPTURE(c.server);
      CAPTURE(c.verdict);
      Arguments arguments = {"--timeout", "2", "--tls", c.tls, c.server};
      arguments.insert(arguments.end(), c.options.begin(), c.options.end());
      const auto alone = checked(arguments);
      CAPTURE(alone.report.dump(1));
      CHECK(alone.code == 1);
      CHECK(alone.pair(c.server, c.server, c.tls) == c.verdict);
      CHECK(alone.report.at("servers").at(0).at("why") == c.verdict);

      if (!c.options.empty()) continue;
      arguments.push_back(fine);
      const auto pair = checked(arguments);
      CHECK(pair.pair(c.server, fine, c.tls) == c.verdict);
      CHECK(pair.pair(fine, c.server, c.tls) == c.verdict);
      CHECK(pair.pair(fine, fine, c.tls) == "resumes");
    }
  }

  TEST_CASE("with a client certificate, a CA and a name it goes on where they are demanded") {
    Lab lab;
    lab.make_certificate("client");
    const auto server = lab.s_server({"-Verify", "1", "-verify_return_error", "-CAfile",
                                      lab.path("client.pem"), "-context", "web"});

    const auto seen =
        checked({server, "--cert", lab.path("client.pem"), "--key", lab.path("client.key"), "--ca",
                 lab.path("a.pem"), "--name", "a.test"});

    CAPTURE(seen.report.dump(1));
    CHECK(seen.code == 0);
    CHECK(seen.report.at("verified") == true);
    CHECK(seen.report.at("servers").at(0).at("asks_certificate") == true);
    CHECK(checked({server, "--cert", lab.path("client.pem"), "--key", lab.path("client.key"),
                   "--ca", lab.path("a.pem"), "--name", "b.test", "--tls", "1.2"})
              .pair(server, server, "1.2") == "untrusted");
  }

  TEST_CASE("sessions that a server remembers by itself are no tickets") {
    Lab lab;
    const auto server = lab.nginx("ssl_session_tickets off; ssl_session_cache shared:one:1m; ");
    const auto other = lab.nginx("ssl_session_tickets off; ssl_session_cache shared:two:1m; ");
    const auto seen = checked({server, other});
    CAPTURE(seen.report.dump(1));
    CHECK(seen.code == 1);
    for (const auto* tls : {"1.2", "1.3"}) {
      CHECK(seen.pair(server, server, tls) == "resumes");
      CHECK(seen.pair(server, other, tls) == "tickets_off");
    }
    for (const auto& pair : seen.report.at("pairs")) {
      if (pair.at("resumes") == true) CHECK(pair.at("by_ticket") == false);
    }
    CHECK(contains(check({server}).output, "not by a ticket"));
  }

  TEST_CASE("several servers behind one address, each with its own key, are not one pool") {
    Lab lab;
    const auto address = lab.balancer({lab.nginx(""), lab.nginx("")});
    // each connection goes to the next; of several pairs one meets the wrong server
    int refused = 0;
    for (int i = 0; i < 4; ++i) refused += checked({address, address}).code;
    CHECK(refused > 0);
  }

  TEST_CASE("HAProxy resumes, and brings no new ticket in TLS 1.3: that is said") {
    Lab lab;
    // with a key file: keys of HAProxy's own are renewed by OpenSSL itself
    const auto server = lab.haproxy(haproxy_keys(lab));
    const auto seen = checked({server});
    CAPTURE(seen.report.dump(1));
    CHECK(seen.code == 0);
    for (const auto& pair : seen.report.at("pairs")) {
      CHECK(pair.at("new_ticket") == (pair.at("tls") == "1.2"));
    }
    CHECK(contains(check({server}).output, "runs dry"));
  }

  TEST_CASE("two names of one bind of HAProxy share their tickets: that is said") {
    Lab lab;
    lab.make_certificate("b");
    const auto server = lab.haproxy("crt " + lab.path("b.both.pem") + " " + haproxy_keys(lab));
    const Arguments arguments = {"--name", "a.test", "--name", "b.test", server};
    const auto seen = checked(arguments);
    CAPTURE(seen.report.dump(1));
    CHECK(seen.code == 1);
    CHECK(seen.report.at("all_resume") == true);
    CHECK(seen.report.at("names_apart") == false);
    CHECK(contains(check(arguments).output, "The names are not kept apart"));
  }

  TEST_CASE("libticket's servers are one pool, and keep their names apart") {
    Lab lab;
    lab.make_certificate("b");
    ring::RingWriter writer(lab.path("web.ring"), "web");
    const auto now = std::chrono::floor<seconds>(std::chrono::system_clock::now());
    const auto ring = ticket::test::ring_of({ticket::test::epoch(5, now - 30min)});
    REQUIRE(writer.publish(ring, now).has_value());
    writer.heartbeat(now);
    const Arguments hosts = {"a.test=" + lab.path("a.pem") + "," + lab.path("a.key") + ",www",
                             "b.test=" + lab.path("b.pem") + "," + lab.path("b.key") + ",admin"};
    const auto one = lab.example(lab.path("web.ring"), hosts),
               two = lab.example(lab.path("web.ring"), hosts);

    const auto seen = checked({"--name", "a.test", "--name", "b.test", one, two});

    CAPTURE(seen.report.dump(1));
    CHECK(seen.code == 0);
    CHECK(seen.report.at("pairs").size() == 16);
    CHECK(seen.report.at("names").size() == 16);
    for (const auto& crossed : seen.report.at("names")) CHECK(crossed.at("result") == "apart");
    const auto text = check({"--name", "a.test", "--name", "b.test", one, two});
    CHECK(contains(text.output, "All pairs resume (16)."));
    CHECK(contains(text.output, "The names are kept apart."));
  }

  TEST_CASE("names that are not kept apart, or only by an alert, are told") {
    Lab lab;
    with_keys(lab);
    const Arguments names = {"--name", "a.test", "--name", "b.test"};
    const auto mixed = lab.nginx("server_name a.test; " + key(lab, "one"), "server_name b.test;");
    auto arguments = names;
    arguments.push_back(mixed);
    const auto seen = checked(arguments);
    CAPTURE(seen.report.dump(1));
    CHECK(seen.code == 1);
    CHECK(seen.report.at("all_resume") == true);
    CHECK(seen.report.at("names_apart") == false);
    CHECK(contains(check(arguments).output, "The names are not kept apart"));

    // with client certificates at one of them, nginx answers 421 or an alert
    const auto policy = "ssl_verify_client optional; ssl_client_certificate " + lab.path("a.pem") +
                        "; ssl_certificate " + lab.path("a.pem") + "; ssl_certificate_key " +
                        lab.path("a.key") + "; ";
    const auto guarded = lab.nginx(policy + "server_name a.test; ", policy + "server_name b.test;");
    arguments.back() = guarded;
    const auto careful = checked(arguments);
    CAPTURE(careful.report.dump(1));
    CHECK(careful.code == 0);
    for (const auto& crossed : careful.report.at("names")) CHECK(crossed.at("result") == "refused");
  }

  TEST_CASE("people get a matrix and the reasons, --quiet says nothing") {
    Lab lab;
    with_keys(lab);
    const auto one = lab.nginx(key(lab, "one")), two = lab.nginx(key(lab, "two"));

    const auto text = check({one, two, "--tls", "1.3"});

    CHECK(text.code == 1);
    CHECK(contains(text.output, "certificates are not verified"));
    CHECK(contains(text.output, "  1  " + one + "  resumes    other key\n"));
    CHECK(contains(text.output, "  2  " + two + "  other key  resumes\n"));
    CHECK(contains(text.output, "other key: the key names differ"));
    CHECK(contains(text.output, "TLS 1.3: 1->2 2->1\n"));
    CHECK(contains(text.output, "2 of 4 pairs resume."));
    CHECK(check({one, two, "--quiet"}).output.empty());
    CHECK(check({one, two, "--quiet"}).code == 1);
    CHECK(check({one, "--quiet"}).code == 0);
  }

  TEST_CASE("what it is told wrong is refused with what is allowed") {
    const struct {
      Arguments arguments;
      const char* told;
    } cases[] = {
        {{}, "which servers?"},
        {{"nonsense"}, "HOST:PORT"},
        {{"127.0.0.1:0"}, "HOST:PORT"},
        {{"127.0.0.1:1", "--tls", "1.1"}, "--tls takes 1.2 or 1.3"},
        {{"127.0.0.1:1", "--timeout", "0"}, "--timeout takes seconds"},
        {{"127.0.0.1:1", "--timeout", "5x"}, "--timeout takes seconds"},
        {{"127.0.0.1:1", "--cert", "x"}, "belong together"},
        {{"127.0.0.1:1", "--name", ""}, "--name takes"},
        {{"127.0.0.1:1", "--ca", "/nonexistent"}, "/nonexistent: "},
        {{"127.0.0.1:1", "--cert", "/nonexistent", "--key", "x"}, "/nonexistent: "},
        {{"127.0.0.1:1", "--nonsense"}, "nonsense"},
    };
    for (const auto& c : cases) {
      CAPTURE(c.told);
      const auto outcome = check(c.arguments);
      CAPTURE(outcome.output);
      CHECK(outcome.code == 2);
      CHECK(contains(outcome.output, c.told));
    }
    const auto help = check({"--help"});
    CHECK(help.code == 0);
    CHECK(contains(help.output, "Example:\n  ticketctl check"));
  }
}
