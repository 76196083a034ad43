// What nginx -t says of wrong and of doubtful directives.
#include <doctest/doctest.h>

#include <algorithm>

#include "nginx/nginx.hpp"

using namespace nginx;

namespace {

class Bench {
 public:
  Bench() : certificates(folder / "web") {}
  std::string server(const std::string& name, const std::string& more, int port = 20443) const {
    return "server { listen 127.0.0.1:" + std::to_string(port) + " ssl; server_name " + name +
           "; " + certificates.of(name) + " " + more + " }\n";
  }
  support::Outcome test(const std::string& http) const {
    return Nginx::test(folder / "nginx", http_block(folder / "nginx", http));
  }
  support::Outcome test_stream(const std::string& text) const {
    return Nginx::test(folder / "nginx", "stream { server { listen 127.0.0.1:20444 ssl; " +
                                             certificates.of("a.test") + text + " } }");
  }
  // Of a text in the last configuration.
  std::string line_of(const std::string& text) const {
    const auto conf = support::read_text(folder / "nginx/nginx.conf");
    const auto end = conf.begin() + static_cast<std::ptrdiff_t>(conf.find("\n" + text));
    return std::to_string(std::count(conf.begin(), end, '\n') + 2);
  }
  std::string ring() const { return folder / "web.ring"; }

  support::TempFolder folder;
  Certificates certificates;
};

bool says(const support::Outcome& outcome, const std::string& text) {
  return outcome.output.find(text) != std::string::npos;
}

}  // namespace

TEST_SUITE("nginx: configuration") {
  TEST_CASE("promise 15: a bad directive is named with its line, and nothing starts") {
    const Bench bench;
    const std::string long_name(256, 'c'), long_context(33, 's');
    struct {
      std::string directive;
      const char* says;
    } const cases[] = {
        {"ticket_ring;", "invalid number of arguments in \"ticket_ring\" directive in "},
        {"ticket_ring \"\";", "needs the path of a ring file, or \"off\" in "},
        {"ticket_ring a; ticket_ring b;", "\"ticket_ring\" directive is duplicate in "},
        {"ticket_ring /tmp;", "ticket_ring \"/tmp\" is not a file in "},
        {"ticket_context \"\";", "\"ticket_context\" needs 1 to 255 bytes in "},
        {"ticket_context " + long_name + ";", "\"ticket_context\" needs 1 to 255 bytes in "},
        {"ticket_context a; ticket_context b;", "\"ticket_context\" directive is duplicate in "},
        {"ticket_session_id_context " + long_context + ";",
         "\"ticket_session_id_context\" needs 1 to 32 bytes in "},
        {"location / { ticket_trace maybe; }",
         "\"ticket_trace\" directive takes \"on\", \"on lines=NUMBER\" or \"off\" in "},
        {"location / { ticket_trace on lines=0; }",
         "\"ticket_trace\" directive has a wrong number: lines=1 to lines=86400, one a second in "},
        {"location / { ticket_trace on; ticket_trace off; }",
         "\"ticket_trace\" directive is duplicate in "},
        {"ticket_token maybe;", "invalid value \"maybe\" in "},
        {"ticket_token on;", " needs the server's \"ticket_ring\""},
        {"ticket_ring a; location / { ticket_token on; }", " needs \"ticket_token_origin\""},
        {"ticket_ring a; ticket_token_origin a.test; ticket_token on; ticket_token_timeout 0;",
         " needs a \"ticket_token_timeout\" longer than 0"},
        {"ticket_ring a; ticket_token_origin a.test; ticket_token on; ticket_token_agent /" +
             std::string(110, 's') + ";",
         "is too long: give a \"ticket_token_agent\" of at most 107 bytes"},
        {"ticket_token_origin \"\";", "\"ticket_token_origin\" needs 1 to 255 bytes in "},
        {"ticket_token_origin a; ticket_token_origin b;",
         "\"ticket_token_origin\" directive is duplicate in "},
        {"ticket_lifetime 8d;",
         "\"ticket_lifetime\" directive takes a time of at most 7d, or 0: the pool's lifetime in "},
        {"ticket_lifetime long;", "\"ticket_lifetime\" directive takes a time of at most 7d"},
        {"ticket_lifetime 1h; ticket_lifetime 1h;",
         "\"ticket_lifetime\" directive is duplicate in "},
        {"location / { ticket_ring a; }", "\"ticket_ring\" directive is not allowed here in "},
        {"ticket_binding name;", "\"ticket_binding\" directive is not allowed here in "},
    };
    for (const auto& wrong : cases) {
      CAPTURE(wrong.directive);
      const auto outcome = bench.test(bench.server("a.test", "\n" + wrong.directive));
      INFO(outcome.output);
      CHECK(outcome.code == 1);
      CHECK(says(outcome, wrong.says));
      CHECK(says(outcome, "nginx.conf:" + bench.line_of(wrong.directive)));
    }
    const auto outcome = bench.test_stream("\nticket_ring /tmp;");
    CHECK(outcome.code == 1);
    CHECK(says(outcome, "ticket_ring \"/tmp\" is not a file in "));
    CHECK(says(outcome, "nginx.conf:" + bench.line_of("ticket_ring /tmp;")));
  }

  TEST_CASE("what is doubtful is warned of, with the lines of both servers") {
    const Bench bench;
    support::write_text(bench.ring(), "");
    const auto ring = "ticket_ring " + bench.ring() + ";";
    const auto verify =
        "ssl_verify_client on; ssl_client_certificate " + bench.certificates.client_ca() + ";";
    struct {
      std::string http;
      const char* says;  // empty: nothing
    } const cases[] = {
        {bench.server("a.test", ring), ""},
        {bench.server("a.test", ring) +
             bench.server("secure.test", ring + "ticket_context secure;" + verify),
         ""},
        {bench.server("a.test", ring) + bench.server("secure.test", ring + verify),
         "demands client certificates and shares the ticket context \"default\" with server "
         "\"a.test\""},
        {bench.server("a.test", "") + bench.server("b.test", ring), "server \"b.test\" in "},
        {bench.server("a.test", ring) + bench.server("b.test", "ticket_ring off;"),
         "gets no tickets on 127.0.0.1:20443, neither of a ticket_ring nor nginx's own"},
        {bench.server("a.test", ring) + bench.server("b.test", "ticket_ring off;", 20448), ""},
        {bench.server("a.test", ring + "ssl_session_tickets off;") + bench.server("b.test", ring),
         "has \"ssl_session_tickets off\""},
        {bench.server("a.test", "ticket_ring " + bench.ring() + ".gone;"),
         "is not there yet: without it servers send no tickets"},
    };
    for (const auto& doubtful : cases) {
      CAPTURE(doubtful.http);
      const auto outcome = bench.test(doubtful.http);
      INFO(outcome.output);
      CHECK(outcome.code == 0);
      if (*doubtful.says != '\0') CHECK(says(outcome, doubtful.says));
      CHECK(says(outcome, "[warn]") == (*doubtful.says != '\0'));
    }
  }

  TEST_CASE("a ssl_session_timeout that goes for nothing is said to") {
    const Bench bench;
    support::write_text(bench.ring(), "");
    const auto ring = "ticket_ring " + bench.ring() + ";";
    const std::string timeout = "ssl_session_timeout 10s;",
                      says_so = "\"ssl_session_timeout\" goes for nothing in ";
    CHECK(says(bench.test(bench.server("a.test", ring + timeout)), says_so + "server \"a.test\""));
    CHECK(says(bench.test_stream(ring + timeout + "return ok;"), says_so + "the stream server"));
    for (const auto& fine :
         {ring, timeout, ring + timeout + "ticket_lifetime 10s;",
          ring + timeout + "ticket_lifetime 0;", ring + "ssl_session_timeout 5m;"}) {
      CAPTURE(fine);
      CHECK_FALSE(says(bench.test(bench.server("a.test", fine)), says_so));
      CHECK_FALSE(says(bench.test_stream(fine + "return ok;"), says_so));
    }
  }

  TEST_CASE("the http module loads where stream is not") {
    const Bench bench;
    fs::create_directories(bench.folder / "nginx/temp");
    auto head = Nginx::head(bench.folder / "nginx");
    for (const char* module : {"ngx_stream_module.so", "ngx_stream_ticket_module.so"}) {
      const auto at = head.find(module);
      const auto begin = head.rfind("load_module", at);
      head.erase(begin, head.find('\n', at) + 1 - begin);
    }
    const auto conf = bench.folder / "nginx/nginx.conf";
    support::write_text(
        conf, head + http_block(bench.folder / "nginx",
                                bench.server("a.test", "ticket_ring " + bench.ring() + ";")));
    const auto outcome = support::run(
        {"/usr/sbin/nginx", "-t", "-p", bench.folder / "nginx", "-c", conf, "-e", "stderr"});
    CHECK_MESSAGE(outcome.code == 0, outcome.output);
  }
}
