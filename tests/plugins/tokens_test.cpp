// One-time tokens at a real HAProxy with the snippet of plugins/haproxy, at nginx with
// auth_request, and at a real agent's claims socket.
#include <doctest/doctest.h>
#include <sys/stat.h>

#include <map>
#include <thread>

#include "plugins/token_agent.hpp"
#include "support/exposition.hpp"
#include "support/listens.hpp"
#include "token/header.hpp"

using namespace plugins;
using support::read_text;
using support::wait_until;
using support::write_text;
using ticket::wire::Claim;
using Verdict = ticket::wire::ClaimAnswer::Verdict;

namespace {

namespace fs = std::filesystem;

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const auto at = text.find(from);
  REQUIRE_MESSAGE(at != std::string::npos, from);
  return text.replace(at, from.size(), to);
}

// HAProxy with plugins/haproxy/tokens.cfg, which opens all but / for tokens of a.test.
class Haproxy {
 public:
  // `processing`: how long the agent's answer is waited for; a machine may stand still.
  explicit Haproxy(const TokenAgent& agent, const std::string& processing = "10s")
      : port(support::unused_port()) {
    const auto snippets = support::source_root() / "plugins/haproxy";
    const auto agent_at = "127.0.0.1:" + std::to_string(agent.spop);
    auto frontend = read_text(snippets / "tokens.cfg");
    frontend = replaced(frontend, ":443 ssl crt /etc/haproxy/web.pem",
                        "127.0.0.1:" + std::to_string(port));
    write_text(folder_ / "spoe.conf",
               replaced(read_text(snippets / "ticket-spoe.conf"), "timeout processing 500ms",
                        "timeout processing " + processing));
    frontend = replaced(frontend, "/etc/haproxy/ticket-spoe.conf", folder_ / "spoe.conf");
    frontend = replaced(frontend, "www.example.org", "a.test");
    frontend = replaced(frontend, "server agent 127.0.0.1:9001", "server agent " + agent_at);
    write_text(folder_ / "haproxy.cfg",
               "defaults\n  mode http\n  timeout client 20s\n  timeout server 20s\n"
               "  timeout connect 5s\n" +
                   frontend +
                   "\nbackend app\n  http-request return status 200 content-type text/plain "
                   "lf-string app:%[req.hdr(authorization)]\n");
    process_.emplace(std::vector<std::string>{"haproxy", "-db", "-f", folder_ / "haproxy.cfg"});
    REQUIRE_MESSAGE(support::listens(port, *process_), process_->output());
    REQUIRE(serves());
  }

  std::string get(const std::string& authorization = "", const std::string& path = "/private/x") {
    return http_get(port, path, authorization);
  }
  // It finds the agent, by its own health checks.
  bool serves() {
    return wait_until([this] { return status_of(get()) == 401; }, 20s);
  }

 private:
  support::TempFolder folder_;
  std::optional<support::Process> process_;

 public:
  const std::uint16_t port;
};

class Nginx {
 public:
  explicit Nginx(const TokenAgent& agent) : port(support::unused_port()) {
    const auto folder = folder_.path().string();
    write_text(folder_ / "nginx.conf",
               "daemon off;\nmaster_process off;\npid " + folder +
                   "/pid;\nerror_log stderr;\n"
                   "events {}\nhttp {\naccess_log off;\n"
                   "client_body_temp_path " +
                   folder + "/b;\nproxy_temp_path " + folder +
                   "/p;\n"
                   "fastcgi_temp_path " +
                   folder + "/f;\nuwsgi_temp_path " + folder +
                   "/u;\n"
                   "scgi_temp_path " +
                   folder +
                   "/s;\n"
                   "upstream agent { server 127.0.0.1:" +
                   std::to_string(agent.http) +
                   "; keepalive 8; }\n"
                   "server { listen 127.0.0.1:" +
                   std::to_string(port) +
                   ";\n"
                   "location = /_token { internal; proxy_pass http://agent/redeem?origin=a.test;\n"
                   "  proxy_http_version 1.1; proxy_set_header Connection \"\";\n"
                   "  proxy_pass_request_body off; proxy_set_header Content-Length \"\";\n"
                   "  proxy_set_header X-Ticket-Origin \"\"; }\n"
                   "location /files/ { auth_request /_token; error_page 500 = @unknown;\n"
                   "  alias " +
                   folder +
                   "/; }\n"
                   "location @unknown { return 503; }\n} }\n");
    write_text(folder_ / "x", "app");
    process_.emplace(std::vector<std::string>{"nginx", "-p", folder, "-c", folder + "/nginx.conf"});
    REQUIRE_MESSAGE(support::listens(port, *process_), process_->output());
  }

  std::string get(const std::string& authorization = "", const std::string& more = "",
                  const std::string& path = "/files/x") {
    return http_get(port, path, authorization, more);
  }

 private:
  support::TempFolder folder_;
  std::optional<support::Process> process_;

 public:
  const std::uint16_t port;
};

std::string redeem(const TokenAgent& agent, const std::string& authorization) {
  return http_get(agent.http, "/redeem?origin=a.test", authorization);
}

Claim claim(const TokenAgent& agent, std::uint32_t number) {
  Claim claim;
  claim.number = number;
  claim.epoch = agent.epoch();
  for (std::size_t i = 0; i < claim.location.size(); ++i) {
    // spread over the table as keyed hashes are
    claim.location[i] = static_cast<std::byte>((number + 1) * 2654435761U >> (8 * (i % 4)));
  }
  claim.location[8] = static_cast<std::byte>(number);
  claim.location[9] = static_cast<std::byte>(number >> 8);
  return claim;
}

double sample(const TokenAgent& agent, const std::string& family, const std::string& labels) {
  return support::read_exposition(agent.metrics()).at(family).samples.at(labels);
}

TokenAgent& agent() {
  static TokenAgent agent;
  return agent;
}

}  // namespace

TEST_SUITE("tokens at the agent") {
  TEST_CASE("promise 13: HAProxy opens a path for a token once") {
    Haproxy haproxy(agent());
    const auto asked = haproxy.get();
    CHECK(status_of(asked) == 401);
    const auto token = agent().token_for(field(asked, "WWW-Authenticate"));

    const auto first = haproxy.get(token);

    CHECK(status_of(first) == 200);
    CHECK(first.ends_with("\r\n\r\napp:"));  // the token is not handed on
    const auto again = haproxy.get(token);
    CHECK(status_of(again) == 401);
    CHECK_FALSE(field(again, "WWW-Authenticate").empty());
    CHECK(status_of(redeem(agent(), token)) == 401);
    CHECK(status_of(haproxy.get("", "/")) == 200);
  }

  TEST_CASE("promise 13: however a path is spelled, HAProxy opens it for a token alone") {
    Haproxy haproxy(agent());
    for (const char* path :
         {"/private/x", "/%70rivate/x", "//private/x", "/./private/x", "/x/../private/x",
          "/private%2fx", "/PRIVATE/x", "/private;a=b/x", "///", "/%2e", "/robots.txt/",
          "/robots.txt/../private/x", "/robots.txt#/../private/x", "http://a.test/private/x",
          "/?x=1", "/?", "/?q=private/x", "/robots.txt?q=private/x",
          "http://a.test/?q=private/x"}) {
      CAPTURE(path);
      const auto status = status_of(haproxy.get("", path));
      CHECK((status == 401 || status == 400));
    }
    CHECK(status_of(haproxy.get(agent().token(), "/%70rivate/x")) == 200);
    for (const char* path : {"/", "/robots.txt"}) {
      CAPTURE(path);
      CHECK(status_of(haproxy.get("", path)) == 200);
    }
  }

  TEST_CASE("what is no token of ours does not pass HAProxy") {
    Haproxy haproxy(agent());
    const auto token = agent().token();
    auto forged = token;
    forged[forged.size() - 10] = forged[forged.size() - 10] == 'A' ? 'B' : 'A';
    for (const auto& value :
         {forged, std::string("PrivateToken token=\"\""), std::string("Bearer x"),
          std::string("PrivateToken token=" + std::string(3000, 'A')),
          std::string("PrivateToken")}) {
      CAPTURE(value.substr(0, 60));
      CHECK(status_of(haproxy.get(value)) == 401);
    }
    CHECK(status_of(haproxy.get(token)) == 200);  // none of them spent it
    const auto huge =
        status_of(haproxy.get("PrivateToken token=\"" + std::string(14'000, 'A') + "\""));
    CHECK(huge >= 400);
  }

  TEST_CASE("promise 13: a token at HAProxy, /redeem and nginx at once is accepted once") {
    Haproxy haproxy(agent());
    Nginx nginx(agent());
    for (int i = 0; i < 20; ++i) {
      CAPTURE(i);
      const auto token = agent().token();
      int statuses[6] = {};
      {
        std::vector<std::jthread> clients;
        for (int k = 0; k < 6; ++k) {
          clients.emplace_back([&, k] {
            statuses[k] = status_of(k % 3 == 0   ? haproxy.get(token)
                                    : k % 3 == 1 ? redeem(agent(), token)
                                                 : nginx.get(token));
          });
        }
      }
      CHECK(std::ranges::count(statuses, 200) == 1);
      CHECK(std::ranges::count(statuses, 401) == 5);
    }
  }

  TEST_CASE("promise 13: while the agent is silent HAProxy lets nothing pass") {
    Haproxy haproxy(agent());
    const auto spent = agent().token(), kept = agent().token();
    REQUIRE(status_of(haproxy.get(spent)) == 200);

    agent().kill();
    CHECK(status_of(haproxy.get(kept)) == 503);
    CHECK(status_of(haproxy.get(spent)) == 503);
    CHECK(status_of(haproxy.get("", "/")) == 200);
    agent().start();

    REQUIRE(haproxy.serves());
    CHECK(status_of(haproxy.get(spent)) == 401);
    CHECK(status_of(haproxy.get(kept)) == 200);
  }

  TEST_CASE("an agent that stands still is a 503 at HAProxy within its processing time") {
    Haproxy haproxy(agent(), "500ms");
    const auto token = agent().token();
    const auto pid = agent().pid();
    ::kill(pid, SIGSTOP);
    const auto began = std::chrono::steady_clock::now();
    const auto answer = haproxy.get(token);
    const auto took = std::chrono::steady_clock::now() - began;
    ::kill(pid, SIGCONT);
    CHECK(status_of(answer) == 503);
    CHECK(took < 10s);
    REQUIRE(haproxy.serves());
    CHECK(status_of(haproxy.get(token)) != 0);  // spent or not: the agent may have read it
    CHECK(status_of(haproxy.get(token)) == 401);
  }

  TEST_CASE("nginx's auth_request asks /redeem: 401 with the challenge, 200 once, 503") {
    Nginx nginx(agent());
    const auto asked = nginx.get();
    CHECK(status_of(asked) == 401);
    const auto token = agent().token_for(field(asked, "WWW-Authenticate"));
    CHECK(status_of(nginx.get("PrivateToken token=\"AAUA\"")) == 401);
    for (const char* path : {"/%66iles/x", "//files/x", "/./files/x", "/a/../files/x"}) {
      CAPTURE(path);  // a location sees the path as nginx will serve it
      CHECK(status_of(nginx.get("", "", path)) == 401);
    }

    CHECK(status_of(nginx.get(token)) == 200);
    CHECK(status_of(nginx.get(token)) == 401);

    // a client cannot choose who is asked
    CHECK(status_of(nginx.get(agent().token(), "X-Ticket-Origin: b.test\r\n")) == 200);
    agent().kill();
    CHECK(status_of(nginx.get(token)) == 503);
    agent().start();
    CHECK(status_of(nginx.get(token)) == 401);
  }

  TEST_CASE("the claims socket is for the pool's group, and answers each claim once") {
    struct stat status {};
    REQUIRE(::stat(agent().claims().c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0660);
    ClaimsClient client(agent().claims());
    std::map<std::uint32_t, Verdict> told;
    for (std::uint32_t i = 0; i < 500; ++i) REQUIRE(client.send(claim(agent(), i)));
    for (std::uint32_t i = 0; i < 500; ++i) {
      const auto answer = client.answer();
      REQUIRE(answer.has_value());
      CHECK(told.emplace(answer->number, answer->verdict).second);
    }
    CHECK(std::ranges::all_of(told, [](const auto& one) { return one.second == Verdict::fresh; }));
    ClaimsClient another(agent().claims());
    REQUIRE(another.send(claim(agent(), 77)));
    CHECK(another.answer()->verdict == Verdict::replay);
  }

  TEST_CASE("promise 13: an agent killed in the middle of claims lets none pass twice") {
    constexpr std::uint32_t first = 10'000, last = 14'000;
    std::map<std::uint32_t, int> fresh;
    std::size_t answered = 0;
    {
      ClaimsClient client(agent().claims());
      std::jthread sender([&client] {
        for (auto i = first; i < last; ++i) {
          if (!client.send(claim(agent(), i))) return;
        }
      });
      while (const auto answer = client.answer()) {
        if (answer->verdict == Verdict::fresh) ++fresh[answer->number];
        if (++answered == 1000) agent().kill();
      }
    }
    REQUIRE(answered >= 1000);
    agent().start();

    ClaimsClient client(agent().claims());
    std::size_t replays = 0;
    for (auto i = first; i < last; ++i) {
      REQUIRE(client.send(claim(agent(), i)));
      const auto answer = client.answer();
      REQUIRE(answer.has_value());
      CHECK(answer->verdict != Verdict::unknown);
      if (answer->verdict == Verdict::fresh) ++fresh[answer->number];
      if (answer->verdict == Verdict::replay) ++replays;
    }
    CHECK(replays >= 1000);
    CHECK(std::ranges::none_of(fresh, [](const auto& one) { return one.second > 1; }));
  }

  TEST_CASE("garbage and silence on every listener harm nobody else") {
    const auto token = agent().token();
    std::string garbage(200'000, '\xff');
    {
      ClaimsClient claims(agent().claims());
      // a peer that sends and never reads is held back, then closed
      std::jthread sender([&claims] {
        const auto one = ticket::wire::write_claim(Claim{});
        for (int i = 0; i < 2'000'000 && claims.send(one); ++i) {
        }
      });
      CHECK(claims.closes(30s));
    }
    ClaimsClient half(agent().claims());
    REQUIRE(half.send(ticket::BytesView(ticket::wire::write_claim(Claim{})).first(30)));
    CHECK(half.closes(15s));
    CHECK(http_get(agent().spop, garbage).size() < 1000);
    CHECK(http_get(agent().spop, "/").size() < 1000);
    CHECK(status_of(http_get(agent().http, "/redeem?origin=" + garbage.substr(0, 20'000))) == 431);
    CHECK(status_of(http_get(agent().http, "/redeem", "", "Content-Length: 5\r\n")) == 400);
    CHECK(status_of(redeem(agent(), token)) == 200);
  }

  TEST_CASE("more connections than there may be do not shut others out") {
    std::vector<std::unique_ptr<ClaimsClient>> idle;
    for (int i = 0; i < 400; ++i) idle.push_back(std::make_unique<ClaimsClient>(agent().claims()));
    ClaimsClient client(agent().claims());
    REQUIRE(client.send(claim(agent(), 20'000)));
    const auto answer = client.answer();
    REQUIRE(answer.has_value());
    CHECK(answer->verdict == Verdict::fresh);
  }

  TEST_CASE("a reload keeps connections of a section that stands, and takes sockets over") {
    const auto spent = agent().token();
    REQUIRE(status_of(redeem(agent(), spent)) == 200);
    ClaimsClient kept(agent().claims());
    REQUIRE(kept.send(claim(agent(), 30'000)));
    REQUIRE(kept.answer().has_value());
    const auto taken =
        sample(agent(), "ticket_agent_tokens_total", "{pool=\"web\",outcome=\"ok\"}");

    agent().reload("");
    REQUIRE(kept.send(claim(agent(), 30'001)));
    CHECK(kept.answer().has_value());
    CHECK(sample(agent(), "ticket_agent_tokens_total", "{pool=\"web\",outcome=\"ok\"}") == taken);

    agent().reload("redis_timeout = \"1s\"\nredis = \"./nowhere.sock\"\n");
    // the record is the table's, so nothing is different but the section
    CHECK(kept.closes(5s));
    CHECK(status_of(redeem(agent(), spent)) == 401);
    CHECK(status_of(redeem(agent(), agent().token())) == 200);
    ClaimsClient next(agent().claims());
    REQUIRE(next.send(claim(agent(), 30'001)));
    CHECK(next.answer()->verdict == Verdict::replay);

    agent().reload("spop = \"nonsense\"\n");  // stands twice: refused, and nothing changes
    CHECK(agent().log().find("configuration not reloaded") != std::string::npos);
    CHECK(status_of(redeem(agent(), agent().token())) == 200);
    agent().reload("");
    CHECK(status_of(redeem(agent(), spent)) == 401);
  }

  TEST_CASE("metrics and the page tell what became of tokens") {
    std::this_thread::sleep_for(600ms);  // a page is made twice a second at most
    const auto before =
        sample(agent(), "ticket_agent_tokens_total", "{pool=\"web\",outcome=\"replay\"}");
    const auto token = agent().token();
    REQUIRE(status_of(redeem(agent(), token)) == 200);
    REQUIRE(status_of(redeem(agent(), token)) == 401);
    REQUIRE(wait_until(
        [&] {
          return sample(agent(), "ticket_agent_tokens_total",
                        "{pool=\"web\",outcome=\"replay\"}") == before + 1;
        },
        5s));
    CHECK(sample(agent(), "ticket_tokens_taken", "{pool=\"web\"}") == 1);
    CHECK(sample(agent(), "ticket_token_table_open", "{pool=\"web\",epoch=\"1\"}") == 1);
    CHECK(sample(agent(), "ticket_token_table_load_ratio", "{pool=\"web\",epoch=\"1\"}") < 0.5);
    CHECK(sample(agent(), "ticket_token_claims_total", "{pool=\"web\",verdict=\"fresh\"}") > 0);
    const auto page = http_get(agent().metrics_port, "/");
    CHECK(page.find("this host&#39;s table") != std::string::npos);
  }

  TEST_CASE("promise 12: no token stands in the agent's log") {
    const auto token = agent().token();
    REQUIRE(status_of(redeem(agent(), token)) == 200);
    REQUIRE(status_of(redeem(agent(), token)) == 401);
    CHECK(agent().log().find(token.substr(40, 30)) == std::string::npos);
  }
}
