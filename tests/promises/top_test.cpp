// ticketctl top beside real agents: what it shows is what real servers did.
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "promises/fleet.hpp"

using promises::Fleet;
using promises::Tls;
using namespace std::chrono_literals;
using nlohmann::json;

namespace {

// Gives the agent of a host a status listener, while it runs.
std::string open_metrics(const Fleet& fleet, int host) {
  const auto address = "127.0.0.1:" + std::to_string(support::unused_port());
  const auto file = fleet.host(host) / "agent.toml";
  auto text = support::read_text(file);
  const auto section = text.find("[agent]\n");
  REQUIRE_MESSAGE(section != std::string::npos, text);
  text.insert(section + 8, "metrics = \"" + address + "\"\n");
  support::write_text(file, text);
  fleet.send("agent" + std::to_string(host), SIGHUP);
  return address;
}

std::vector<std::string> top(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {support::build_root() / "ticketctl/ticketctl", "top"});
  return arguments;
}

bool answers(const std::string& agent) {
  return support::run(top({agent, "--once", "--json"})).code == 0;
}

// The highest rate that any table of `output` shows for a host.
double highest(const std::string& output, const std::string& host, const json::json_pointer& rate) {
  double most = 0;
  std::istringstream lines(output);
  for (std::string line; std::getline(lines, line);) {
    const auto table = json::parse(line, nullptr, false);
    if (table.is_discarded()) continue;  // it is still writing it
    for (const auto& row : table.at("rows")) {
      if (row.at("host") == host) most = std::max(most, row.value(rate, 0.0));
    }
  }
  return most;
}

}  // namespace

TEST_SUITE("top") {
  TEST_CASE("ticketctl top shows of two real hosts what their servers seal, resume and refuse") {
    const Fleet fleet(
        2, {.rotate_every = "1h", .lifetime = "2h", .publish_ahead = "1h", .stretch = "2h"});
    const auto first = open_metrics(fleet, 1), second = open_metrics(fleet, 2);
    REQUIRE_MESSAGE(support::wait_until([&] { return answers(first) && answers(second); }, 20s),
                    fleet.log("agent1"));

    // host 1 seals alone, host 2 resumes and refuses
    support::Process watch(top({first, second, "--count", "100", "--json"}));
    const auto sees = [&](const std::string& host, const char* rate) {
      return highest(watch.output(), host, json::json_pointer(rate)) > 0;
    };
    const auto seen = support::wait_until(
        [&] {
          fleet.connect(1, Tls::v1_3, "a");
          fleet.connect(2, Tls::v1_3, "", "a");
          fleet.connect(1, Tls::v1_3, "a");
          support::connect({.address = fleet.address(2),
                            .name = "b.test",
                            .offer = fleet.folder() / "a.session"});
          return sees(first, "/sealed_per_second") && sees(second, "/resumed_per_second") &&
                 sees(second, "/refused_per_second/context");
        },
        30s);
    const auto output = watch.output();
    CHECK_MESSAGE(seen, output);
    CHECK(highest(output, first, json::json_pointer("/resumed_per_second")) == 0);
    CHECK(highest(output, first, json::json_pointer("/refused_per_second/context")) == 0);

    const auto first_table = json::parse(output.substr(0, output.find('\n')));
    for (const auto& row : first_table.at("rows")) {
      CHECK(row.at("pool") == "fleet");
      CHECK(row.at("state") == "ok");
      CHECK(row.at("sealing_epoch") == fleet.ring(1).sealing_epoch);
    }
    const auto table = support::run(top({first, second, "--once"})).output;
    CHECK_MESSAGE(table.find(first) != std::string::npos, table);
    CHECK(table.find(second) != std::string::npos);
  }
}
