// ticketctl top: rates of made-up counters, then the real program beside an agent's
// metrics.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <pty.h>
#include <sys/wait.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "agent_metrics_address.hpp"
#include "command.hpp"
#include "http_get.hpp"
#include "support/process.hpp"
#include "top_text.hpp"

using namespace ticketctl;
using namespace std::chrono_literals;
using nlohmann::json;

namespace {

std::string ticketctl_program() { return support::build_root() / "ticketctl/ticketctl"; }

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::string metrics(int sealed, int unknown, const std::string& state = "ok") {
  const auto is = [&](const char* wanted) { return state == wanted ? " 1\n" : " 0\n"; };
  return std::string("# TYPE ticket_ring_state gauge\n") +
         "ticket_ring_state{pool=\"web\",state=\"ok\"}" + is("ok") +
         "ticket_ring_state{pool=\"web\",state=\"stopped\"}" + is("stopped") +
         "ticket_ring_sealing_epoch{pool=\"web\"} 7\n"
         "ticket_sealed_total{pool=\"web\"} " +
         std::to_string(sealed) +
         "\nticket_resumed_total{pool=\"web\",key=\"sealing\"} 40\n"
         "ticket_resumed_total{pool=\"web\",key=\"opening\"} 2\n"
         "ticket_refused_total{pool=\"web\",reason=\"unknown_key\"} " +
         std::to_string(unknown) + "\nkeyd_generation{pool=\"mail\"} 3\n";
}

PoolCounts counts(const std::string& text) { return read_counts(*parse_samples(text)).at("web"); }

// A status listener whose counters grow by 10 and 5 with each look.
class Agent {
 public:
  Agent()
      : port_(support::unused_port()),
        process_({"/usr/bin/python3", "-c",
                  "import http.server\n"
                  "looks = 0\n"
                  "class Page(http.server.BaseHTTPRequestHandler):\n"
                  " def do_GET(self):\n"
                  "  global looks\n"
                  "  looks += 1\n"
                  "  text = '''" +
                      metrics(100, 0) +
                      "'''.replace('} 100', '} %d' % (100 + 10 * looks))"
                      ".replace('_key\"} 0', '_key\"} %d' % (5 * looks))\n"
                      "  self.send_response(200)\n"
                      "  self.end_headers()\n"
                      "  self.wfile.write(text.encode())\n"
                      "http.server.HTTPServer(('127.0.0.1', " +
                      std::to_string(port_) + "), Page).serve_forever()\n"}) {
    REQUIRE(support::wait_until(
        [&] {
          return http_get({"127.0.0.1", port_}, "/", 1s).has_value();
        },
        20s));
  }
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }

 private:
  std::uint16_t port_;
  support::Process process_;
};

}  // namespace

TEST_SUITE("top") {
  TEST_CASE("counts are summed by pool; what is no ring of an agent is left out") {
    const auto pools = read_counts(*parse_samples(metrics(9, 4)));
    REQUIRE(pools.size() == 1);
    CHECK(pools.at("web").sealed == 9);
    CHECK(pools.at("web").resumed == 42);
    CHECK(pools.at("web").refused.at("unknown_key") == 4);
    CHECK(pools.at("web").sealing_epoch == 7);
    CHECK(pools.at("web").state == "ok");
    CHECK(read_counts(*parse_samples("up 1\n")).empty());
  }

  TEST_CASE("a rate is what was added by the time; a counter that fell began anew") {
    const struct {
      int before, after;
      double rate;
    } cases[] = {{0, 10, 5}, {10, 10, 0}, {10, 4, 2}};
    for (const auto& c : cases) {
      CAPTURE(c.before);
      CAPTURE(c.after);
      const auto rates =
          rates_between(counts(metrics(c.before, c.before)), counts(metrics(c.after, c.after)), 2s);
      CHECK(rates.sealed == c.rate);
      CHECK(rates.refused.at("unknown_key") == c.rate);
      CHECK(rates.resumed == 0);
    }
    CHECK(rates_between(counts(metrics(0, 0)), counts(metrics(9, 9)), 0s).sealed == 0);
  }

  TEST_CASE("the table says for each pool and host what an operator looks for") {
    TopRow fine{.host = "web1:9464", .error = {}, .pool = "web", .counts = counts(metrics(1, 1))};
    fine.rates.resumed = 30;
    fine.rates.sealed = 1234;
    fine.rates.refused = {{"expired", 0}, {"unknown_key", 2}, {"name", 8}};
    const TopRow stopped{.host = "web2:9464",
                         .error = {},
                         .pool = "web",
                         .counts = counts(metrics(1, 1, "stopped"))};
    const TopRow gone{.host = "web3:9464", .error = "Connection\x1b refused"};
    const auto lines = top_lines({fine, stopped, gone}, {});
    REQUIRE(lines.size() == 4);
    CHECK(lines[0] ==
          "  pool  host       state    epoch  sealed/s  resumed/s  of offered  refused/s");
    CHECK(contains(
        lines[1],
        "web1:9464  ok           7      1234       30.0  75%         name 8.0, unknown_key 2.0"));
    CHECK(contains(lines[2], "stopped"));
    CHECK(contains(lines[3], "web3:9464"));
    CHECK(contains(lines[3], "Connection? refused"));
  }

  TEST_CASE("the address comes from agent.toml; without one the way out is told") {
    const support::TempFolder folder;
    const auto file = folder / "agent.toml";
    const auto error = [&] {
      try {
        agent_metrics_address({folder / "none.toml", file});
      } catch (const CommandError& wrong) {
        CHECK(wrong.code == exit_usage);
        return std::string(wrong.what());
      }
      return std::string();
    };
    CHECK(contains(error(), "there is no " + (folder / "none.toml").string()));
    CHECK(contains(error(), "ticketctl top HOST:PORT"));
    const struct {
      const char *text, *told;
    } wrong[] = {{"[agent]\nca = \"x\"\n", "no `metrics`"},
                 {"[agent]\nmetrics = \"x\"\n", "x is no HOST:PORT"},
                 {"[agent\n", "cannot be read"}};
    for (const auto& c : wrong) {
      CAPTURE(c.text);
      support::write_text(file, c.text);
      CHECK(contains(error(), c.told));
      CHECK(contains(error(), "ticketctl top HOST:PORT"));
    }
    const struct {
      const char *text, *address;
    } right[] = {
        {"127.0.0.1:9464", "127.0.0.1:9464"}, {"0.0.0.0:1", "127.0.0.1:1"}, {"[::]:1", "[::1]:1"}};
    for (const auto& c : right) {
      support::write_text(file, "[agent]\nmetrics = \"" + std::string(c.text) + "\"\n");
      CHECK(to_text(agent_metrics_address({file})) == c.address);
    }
  }

  TEST_CASE("off a terminal it prints a table a second, with no escapes, and ends") {
    const Agent agent;
    const auto nobody = "127.0.0.1:" + std::to_string(support::unused_port());
    const auto seen =
        support::run({ticketctl_program(), "top", agent.address(), nobody, "--count", "2"});
    CAPTURE(seen.output);
    CHECK(seen.code == 0);
    CHECK_FALSE(contains(seen.output, "\x1b"));
    const auto first = seen.output.find("pool");
    REQUIRE(first != std::string::npos);
    CHECK(seen.output.find("sealed/s", seen.output.find("sealed/s") + 1) != std::string::npos);
    CHECK(contains(seen.output, "unknown_key"));
    CHECK(contains(seen.output, "Connection refused"));

    const auto measure = [&] {
      const auto once =
          support::run({ticketctl_program(), "top", agent.address(), "--once", "--json"});
      REQUIRE(json::accept(once.output));
      return json::parse(once.output).at("rows").at(0);
    };
    const auto ten = doctest::Approx(10).epsilon(0.3), five = doctest::Approx(5).epsilon(0.3);
    auto row = measure();
    const auto sealed = [&] { return row.at("sealed_per_second").get<double>(); };
    const auto unknown = [&] {
      return row.at("refused_per_second").at("unknown_key").get<double>();
    };
    // a second that the machine stood still in is longer
    for (int i = 0; i < 2 && (sealed() != ten || unknown() != five); ++i) row = measure();
    CHECK(row.at("pool") == "web");
    CHECK(row.at("sealing_epoch") == 7);
    CHECK(sealed() == ten);
    CHECK(unknown() == five);
  }

  TEST_CASE("nobody answers: it says so, and its exit code too") {
    const auto nobody = "127.0.0.1:" + std::to_string(support::unused_port());
    const auto seen = support::run({ticketctl_program(), "top", nobody, "--once"});
    CHECK(seen.code == 3);
    CHECK(contains(seen.output, "Connection refused"));
    CHECK(support::run({ticketctl_program(), "top", "nonsense"}).code == 2);
    CHECK(support::run({ticketctl_program(), "top", nobody, "--count", "0"}).code == 2);
  }

  TEST_CASE("on a terminal it uses the other screen, and ^C gives the first one back") {
    const Agent agent;
    int controller = -1;
    const pid_t child = forkpty(&controller, nullptr, nullptr, nullptr);
    REQUIRE(child >= 0);
    if (child == 0) {
      execl(ticketctl_program().c_str(), "ticketctl", "top", agent.address().c_str(), nullptr);
      _exit(127);
    }
    fcntl(controller, F_SETFL, O_NONBLOCK);
    std::string screen;
    const auto shows = [&](const std::string& text) {
      return support::wait_until(
          [&] {
            char bytes[4096];
            const auto got = read(controller, bytes, sizeof bytes);
            if (got > 0) screen.append(bytes, static_cast<std::size_t>(got));
            return contains(screen, text);
          },
          10s);
    };
    CHECK(shows("\x1b[?1049h\x1b[?25l\x1b[?7l"));
    CHECK(shows("sealed/s"));
    CHECK_FALSE(contains(screen, "\x1b[2J"));  // that would flicker
    REQUIRE(write(controller, "\x03", 1) == 1);
    CHECK(shows("\x1b[?7h\x1b[?25h\x1b[?1049l"));
    int status = -1;
    waitpid(child, &status, 0);
    CHECK(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 0);
    close(controller);
  }
}
