// ticketctl issuer, with keyd's answers made up.
#include <doctest/doctest.h>

#include <cstdlib>
#include <ctime>

#include "command.hpp"
#include "fake_keyd.hpp"
#include "issuer_text.hpp"
#include "support/process.hpp"

using namespace ticketctl;
using nlohmann::json;
using test::FakeKeyd;

namespace {

constexpr long noon = 1'799'928'000;  // 2027-01-14, 12:00 UTC

json epoch_answer(unsigned number, const char* state, long issues_from, bool sentinel) {
  return {{"number", number},
          {"id", "00"},
          {"state", state},
          {"made", issues_from - 3600},
          {"issues_from", issues_from},
          {"issues_until", issues_from + 86400},
          {"redeems_until", issues_from + 172800},
          {"sentinel", sentinel},
          {"keys", {{{"type", 2}, {"id", std::string(64, 'a')}}}}};
}

// As the bytes of keyd would be read: json::parse makes numbers unsigned.
json issuer_answer() {
  const json answer = {{"ok", true},
                       {"now", noon},
                       {"pools",
                        {{{"pool", "web"},
                          {"issuer", "issuer.example"},
                          {"record", "redis"},
                          {"redeemer", ""},
                          {"issued", 1234},
                          {"problem", ""},
                          {"epochs",
                           {epoch_answer(1, "ended", noon - 100000, true),
                            epoch_answer(2, "issuing", noon - 43200, true),
                            epoch_answer(3, "announced", noon + 43200, false)}}}}}};
  return json::parse(answer.dump());
}

std::string joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const auto& line : lines) text += line + "\n";
  return text;
}

std::string shown(const json& answer, bool colour = false) {
  setenv("TZ", "UTC", 1);
  tzset();
  return joined(issuer_lines(read_issuers(answer), {80, false, colour}));
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

support::Outcome ask(const std::filesystem::path& socket, std::vector<std::string> arguments) {
  std::vector<std::string> argv = {support::build_root() / "ticketctl/ticketctl", "issuer"};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  argv.insert(argv.end(), {"--socket", socket});
  return support::run(argv, {.environment = {{"TZ", "UTC"}}, .input = {}, .folder = {}});
}

// What goes out, as JSON.
json request_of(FakeKeyd& keyd) { return json::parse(keyd.request().substr(4)); }

}  // namespace

TEST_SUITE("issuer") {
  TEST_CASE("a pool's issuer is shown whole: record, keys, time line") {
    CHECK(shown(issuer_answer()) ==
          "web  issuer issuer.example, 1234 tokens issued; what is spent is recorded in Redis\n"
          "\n"
          "  epoch  state      type       key               mark in Redis\n"
          "      1  ended      blind-rsa  aaaaaaaaaaaaaaaa  there\n"
          "      2  issuing    blind-rsa  aaaaaaaaaaaaaaaa  there\n"
          "      3  announced  blind-rsa  aaaaaaaaaaaaaaaa  not yet\n"
          "\n"
          "                        now 12:00:00                 Sun 00:00\n"
          "                +-------------|------------------------------+\n"
          "   1 ended      xxxxxxxxxxxxxxxxxxxxxxxxx                       takes nothing\n"
          "   2 issuing            .############=============              until Fri 00:00\n"
          "   3 announced                |      #############============  issues Fri 00:00\n"
          "                . announced  # issuing  = redeeming  | now\n");
  }

  TEST_CASE("a mark that Redis should have and has not stands out") {
    auto answer = issuer_answer();
    answer["pools"][0]["epochs"][1]["sentinel"] = false;
    CHECK(contains(shown(answer), "aaaaaaaaaaaaaaaa  missing\n"));
    CHECK(contains(shown(answer, true), "\x1b[33m      2  issuing"));
  }

  TEST_CASE("a pool whose record is a table names the member that redeems") {
    auto answer = issuer_answer();
    answer["pools"][0]["record"] = "table";
    answer["pools"][0]["redeemer"] = "web1";
    CHECK(contains(shown(answer), "web1 alone redeems"));
    CHECK_FALSE(contains(shown(answer), "Redis"));
    answer["pools"][0]["redeemer"] = "";
    CHECK(contains(shown(answer), "nobody redeems"));
    answer["pools"] = json::array();
    CHECK(contains(shown(answer), "[pool.tokens]"));
  }

  TEST_CASE("promise 15: an answer that lacks a field, or has it wrong, is refused by its name") {
    const struct {
      const char *path, *field;
    } fields[] = {{"", "pools"},
                  {"", "now"},
                  {"/pools/0", "pool"},
                  {"/pools/0", "issuer"},
                  {"/pools/0", "record"},
                  {"/pools/0", "issued"},
                  {"/pools/0", "problem"},
                  {"/pools/0", "epochs"},
                  {"/pools/0/epochs/0", "number"},
                  {"/pools/0/epochs/0", "state"},
                  {"/pools/0/epochs/0", "made"},
                  {"/pools/0/epochs/0", "issues_from"},
                  {"/pools/0/epochs/0", "issues_until"},
                  {"/pools/0/epochs/0", "redeems_until"},
                  {"/pools/0/epochs/0", "sentinel"},
                  {"/pools/0/epochs/0", "keys"},
                  {"/pools/0/epochs/0/keys/0", "type"},
                  {"/pools/0/epochs/0/keys/0", "id"}};
    for (const auto& at : fields) {
      for (const json& wrong : {json(), json(-1), json(1e30), json(json::object())}) {
        CAPTURE(at.field);
        auto answer = issuer_answer();
        answer[json::json_pointer(at.path)][at.field] = wrong;
        try {
          read_issuers(answer);
          FAIL_CHECK("accepted");
        } catch (const CommandError& error) {
          CHECK(error.code == exit_unreachable);
          CHECK(contains(error.what(), at.field));
        }
      }
    }
    auto backwards = issuer_answer();
    backwards["pools"][0]["epochs"][1]["issues_from"] = 1'900'000'000u;
    CHECK_THROWS_AS(read_issuers(backwards), CommandError);
  }

  TEST_CASE("an epoch that was ended before it began is drawn, too") {
    auto answer = issuer_answer();
    answer["pools"][0]["epochs"][0]["redeems_until"] = static_cast<unsigned>(noon - 101'000);
    CHECK(contains(shown(answer), "takes nothing"));
  }

  TEST_CASE("why no tokens can be had stands on top") {
    auto answer = issuer_answer();
    answer["pools"][0]["problem"] = "no token epoch issues: token epoch 3 begins in 5s";
    CHECK(contains(shown(answer), "  ALARM no token epoch issues: token epoch 3 begins in 5s\n"));
  }

  TEST_CASE("status and rotate ask keyd what they are told to") {
    const support::TempFolder folder;
    {
      FakeKeyd keyd(folder / "status", test::framed(issuer_answer().dump()));
      const auto outcome = ask(folder / "status", {"status", "web"});
      CHECK(outcome.code == 0);
      CHECK(contains(outcome.output, "issuer issuer.example"));
      CHECK(request_of(keyd) == json{{"command", "issuer-status"}, {"pool", "web"}});
    }
    {
      FakeKeyd keyd(folder / "json", test::framed(issuer_answer().dump()));
      const auto outcome = ask(folder / "json", {"status", "--json"});
      CHECK(json::parse(outcome.output) == issuer_answer());
      CHECK(request_of(keyd) == json{{"command", "issuer-status"}});
    }
    {
      FakeKeyd keyd(folder / "rotate", test::framed(R"({"ok":true,"epoch":4})"));
      const auto outcome = ask(folder / "rotate", {"rotate", "web"});
      CHECK(outcome.code == 0);
      CHECK(contains(outcome.output, "web: epoch 4 issues next"));
      CHECK(request_of(keyd) == json{{"command", "issuer-rotate"}, {"pool", "web"}});
    }
    for (const auto& [epoch, says] :
         {std::pair("3", "  epoch 3 issues next"), std::pair("0", "  the next epoch is made")}) {
      const auto socket = folder / ("burn" + std::string(epoch));
      FakeKeyd keyd(socket, test::framed(std::string(R"({"ok":true,"burned":2,"generation":77,)") +
                                         R"("epoch":)" + epoch + "}"));
      const auto outcome = ask(socket, {"rotate", "web", "--burn"});
      CHECK(outcome.code == 0);
      CHECK(contains(outcome.output, "web: 2 epochs are burned"));
      CHECK(contains(outcome.output, "generation 77 "));
      CHECK(contains(outcome.output, says));
      CHECK(request_of(keyd) ==
            json{{"command", "issuer-rotate"}, {"pool", "web"}, {"burn", true}});
    }
    {
      FakeKeyd keyd(folder / "no", test::framed(R"({"ok":false,"error":"no pool of that name"})"));
      const auto outcome = ask(folder / "no", {"rotate", "wbe"});
      CHECK(outcome.code == 1);
      CHECK(contains(outcome.output, "no pool of that name"));
    }
    CHECK(ask(folder / "none", {"rotate"}).code == 2);
    CHECK(ask(folder / "none", {"status"}).code == 3);
    CHECK(ask(folder / "none", {"turn"}).code == 2);
  }
}
