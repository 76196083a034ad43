// What an issuer answers, without a connection, its keeper a fake one with real keys.
#include "issuer_desk.hpp"

#include <doctest/doctest.h>

#include "fake_keeper.hpp"
#include "token/challenge.hpp"
#include "token/client.hpp"

using namespace std::chrono_literals;
using namespace ticket;
using keyd::Credentials;
using keyd::IssuerAnswer;
using test::FakeKeeper;
using token::Form;
using token::TokenType;

namespace {

constexpr sys_seconds noon{1'790'000'000s};
const token::TokenTypes types(0x0005);

keyd::IssuerSetup setup_of(std::uint32_t budget) {
  keyd::IssuerSetup setup;
  setup.pool = "web";
  setup.attest = {"certificate"};
  setup.budget = budget;
  setup.budget_window = 3600;
  setup.ristretto_type = 0x0005;
  return setup;
}

struct Desk {
  explicit Desk(std::uint32_t budget = 100, std::size_t at_once = 8, std::size_t waiting = 8)
      : door(at_once, waiting),
        desk(std::make_shared<keyd::IssuerDesk>(setup_of(budget), keeper, door, counts)) {}

  std::shared_ptr<keyd::IssuerDesk::Call> ask(const keyd::issuer::Asked& asked,
                                              const std::string& client = "sha256:aa",
                                              Moment now = noon) {
    return desk->ask(asked, {.certificate = client, .distrust = ""}, now, [this] { ++woken; });
  }
  std::shared_ptr<keyd::IssuerDesk::Call> ask(const token::Withdrawal& withdrawal, Form form,
                                              const std::string& client = "sha256:aa") {
    return ask(request_of(withdrawal, form), client);
  }
  static keyd::issuer::Asked request_of(const token::Withdrawal& withdrawal, Form form) {
    keyd::issuer::Asked asked;
    asked.method = "POST";
    asked.target = "/token-request";
    asked.content_type =
        form == Form::single ? token::request_media_type : token::batch_request_media_type;
    asked.body = as_text(withdrawal.request());
    return asked;
  }
  IssuerAnswer directory(const std::string& if_none_match = "", Moment now = noon) {
    keyd::issuer::Asked asked;
    asked.method = "GET";
    asked.target = token::directory_path;
    asked.if_none_match = if_none_match;
    return *ask(asked, "", now)->answer;
  }

  FakeKeeper keeper;
  keyd::Turnstile door;
  keyd::IssuerCounts counts;
  std::shared_ptr<keyd::IssuerDesk> desk;
  int woken = 0;
};

token::Withdrawal withdrawal(const token::TokenKey& key, std::size_t count = 1) {
  const token::Challenge challenge{key.type, "issuer.example", std::nullopt, "a.test"};
  const auto form = count == 1 ? Form::single : Form::batch;
  auto begun =
      token::Withdrawal::begin(*token::write_challenge(challenge, types), key, types, form, count);
  REQUIRE(begun.has_value());
  return *std::move(begun);
}

std::string field(const IssuerAnswer& answer, const std::string& name) {
  for (const auto& [key, value] : answer.fields) {
    if (key == name) return value;
  }
  return "";
}

}  // namespace

TEST_SUITE("issuer desk") {
  TEST_CASE("the directory is given with its media type, no longer than until it changes") {
    Desk desk;
    CHECK(desk.directory().status == 503);  // nothing is published yet
    CHECK(field(desk.directory(), "Retry-After") == "5");
    desk.keeper.add(TokenType::ristretto, "web", noon + 100s);

    const auto answer = desk.directory();
    CHECK(answer.status == 200);
    CHECK(answer.type == "application/private-token-issuer-directory");
    CHECK(token::parse_directory(*answer.body)->keys.size() == 1);
    struct {
      Moment now;
      const char* age;
    } const ages[] = {
        {noon, "public, max-age=100"},
        {noon + 99s, "public, max-age=1"},
        {noon + 100s, "public, max-age=0"},
        {noon + 1h, "public, max-age=0"},
        {noon - 1h, "public, max-age=300"},
        {Moment(noon, noon + 40s), "public, max-age=60"},  // the later of both clocks
    };
    for (const auto& one : ages) {
      CAPTURE(one.age);
      CHECK(field(desk.directory("", one.now), "Cache-Control") == one.age);
    }
  }

  TEST_CASE("who has the directory already is told so") {
    Desk desk;
    desk.keeper.add(TokenType::ristretto, "web", noon + 100s);
    const auto same = desk.directory("\"tag\"");
    CHECK(same.status == 304);
    CHECK(same.body == nullptr);
    CHECK(field(same, "ETag") == "\"tag\"");
    CHECK(desk.directory("\"other\"").status == 200);
  }

  TEST_CASE("a token is signed, and its answer makes a token") {
    Desk desk;
    const auto& key = desk.keeper.add(TokenType::blind_rsa, "web", noon);
    const auto wanted = withdrawal(key);

    const auto call = desk.ask(wanted, Form::single);
    REQUIRE(call->answer.has_value());
    CHECK(call->answer->status == 200);
    CHECK(call->answer->type == "application/private-token-response");
    CHECK(field(*call->answer, "Cache-Control") == "no-store");
    CHECK(wanted.finish(as_bytes(*call->answer->body))->size() == 1);
    CHECK(call->client == "certificate sha256:aa");
    CHECK(desk.counts.tokens == 1);
    REQUIRE(desk.keeper.asked.size() == 1);
    CHECK(desk.keeper.asked[0].pool == "web");
    CHECK_FALSE(desk.keeper.asked[0].batch);
  }

  TEST_CASE("a batch of n counts n") {
    Desk desk(100);
    const auto& key = desk.keeper.add(TokenType::ristretto, "web", noon);
    const auto wanted = withdrawal(key, 60);

    const auto call = desk.ask(wanted, Form::batch);
    REQUIRE(call->answer.has_value());
    CHECK(call->answer->type == "application/private-token-amortized-batch-response");
    CHECK(wanted.finish(as_bytes(*call->answer->body))->size() == 60);
    CHECK(desk.counts.tokens == 60);

    const auto over = desk.ask(wanted, Form::batch);
    REQUIRE(over->answer.has_value());
    CHECK(over->answer->status == 429);
    CHECK(field(*over->answer, "Retry-After") == "3600");
    CHECK(desk.counts.of(keyd::Budget::Why::spent) == 1);
    CHECK(desk.keeper.asked.size() == 1);  // the keeper was not asked
    CHECK(desk.ask(withdrawal(key, 40), Form::batch)->answer->status == 200);
    CHECK(desk.ask(wanted, Form::batch, "sha256:bb")->answer->status == 200);  // another client
  }

  TEST_CASE("who is not attested gets a 401 with a challenge, and the keeper hears nothing") {
    Desk desk;
    const auto& key = desk.keeper.add(TokenType::ristretto, "web", noon);
    const auto call = desk.ask(withdrawal(key), Form::single, "");
    REQUIRE(call->answer.has_value());
    CHECK(call->answer->status == 401);
    CHECK(field(*call->answer, "WWW-Authenticate") == "Client-Certificate realm=\"web\"");
    CHECK(call->client.empty());
    CHECK(desk.keeper.asked.empty());
  }

  TEST_CASE("what is no request costs nothing") {
    Desk desk(1);
    const auto& key = desk.keeper.add(TokenType::ristretto, "web", noon);
    const auto whole = withdrawal(key);
    auto asked = Desk::request_of(whole, Form::single);
    const auto body = asked.body;
    asked.body = body.substr(1);
    CHECK(desk.ask(asked)->answer->status == 422);
    for (std::size_t size = 0; size < body.size(); ++size) {
      CAPTURE(size);
      asked.body = body.substr(0, size);
      CHECK(desk.ask(asked)->answer->status == 422);
    }
    asked.content_type = "application/json";
    CHECK(desk.ask(asked)->answer->status == 415);
    asked.method = "PUT";
    CHECK(field(*desk.ask(asked)->answer, "Allow") == "POST");
    CHECK(desk.keeper.asked.empty());

    const auto wanted = withdrawal(key);
    CHECK(desk.ask(wanted, Form::single)->answer->status == 200);
    CHECK(desk.ask(wanted, Form::single)->answer->status == 429);
  }

  TEST_CASE("what the keeper refuses is given back") {
    struct {
      keyd::Issued said;
      int status;
    } const cases[] = {
        {{0, 422, "", "no key of that id issues"}, 422},
        {{0, 503, "", "no key issues now"}, 503},
        {{0, 200, "", ""}, 503},    // a keeper that says nothing
        {{0, 200, "!!", ""}, 503},  // or no base64url
        {{0, 418, "", "odd"}, 503},
    };
    for (const auto& one : cases) {
      CAPTURE(one.said.status);
      CAPTURE(one.said.body);
      Desk desk(1);
      const auto wanted = withdrawal(desk.keeper.add(TokenType::ristretto, "web", noon));
      desk.keeper.instead = one.said;
      const auto call = desk.ask(wanted, Form::single);
      REQUIRE(call->answer.has_value());
      CHECK(call->answer->status == one.status);
      if (!one.said.error.empty()) CHECK(call->answer->error == one.said.error);
      CHECK(desk.counts.tokens == 0);

      desk.keeper.instead.reset();
      CHECK(desk.ask(wanted, Form::single)->answer->status == 200);
    }
  }

  TEST_CASE("a key that the keeper does not know is a 422") {
    Desk desk;
    const auto wanted = withdrawal(desk.keeper.add(TokenType::ristretto, "web", noon));
    auto body = to_bytes(wanted.request());
    body[2] ^= std::byte{0x55};
    auto asked = Desk::request_of(wanted, Form::single);
    asked.body = as_text(body);
    CHECK(desk.ask(asked)->answer->status == 422);
  }

  TEST_CASE("tokens count before the keeper has signed") {
    Desk desk(1);
    const auto wanted = withdrawal(desk.keeper.add(TokenType::ristretto, "web", noon));
    desk.keeper.slow = true;
    const auto first = desk.ask(wanted, Form::single);
    CHECK_FALSE(first->answer.has_value());
    CHECK(desk.ask(wanted, Form::single)->answer->status == 429);

    desk.keeper.answer_next();
    REQUIRE(first->answer.has_value());
    CHECK(first->answer->status == 200);
    CHECK(desk.woken == 1);
  }

  TEST_CASE("a late answer is nobody's, and counts all the same unless it is a refusal") {
    for (const bool evicted : {false, true}) {  // or tired of waiting
      for (const bool refused : {false, true}) {
        CAPTURE(evicted);
        CAPTURE(refused);
        Desk desk(1);
        const auto wanted = withdrawal(desk.keeper.add(TokenType::ristretto, "web", noon));
        desk.keeper.slow = true;
        auto first = desk.ask(wanted, Form::single);
        if (!evicted) CHECK(desk.desk->give_up(*first).status == 503);
        first.reset();
        CHECK(desk.ask(wanted, Form::single)->answer->status == 429);

        if (refused) desk.keeper.instead = keyd::Issued{0, 503, "", "no key issues now"};
        desk.keeper.answer_next();
        desk.keeper.instead.reset();
        CHECK(desk.counts.tokens == 0);
        const auto second = desk.ask(wanted, Form::single);
        CHECK(second->answer.has_value() == !refused);
        if (!refused) continue;
        desk.keeper.answer_next();
        CHECK(second->answer->status == 200);
        CHECK(desk.door.inside() == 0);
      }
    }
  }

  TEST_CASE("who gives up before the keeper has heard of it has its tokens back") {
    for (const bool evicted : {false, true}) {
      CAPTURE(evicted);
      Desk desk(2, 1, 1);
      const auto wanted = withdrawal(desk.keeper.add(TokenType::ristretto, "web", noon));
      desk.keeper.slow = true;
      const auto first = desk.ask(wanted, Form::single);
      auto second = desk.ask(wanted, Form::single);  // in the queue
      if (!evicted) desk.desk->give_up(*second);
      second.reset();
      desk.keeper.answer_next();
      CHECK(first->answer->status == 200);
      CHECK(desk.keeper.asked.size() == 1);
      CHECK_FALSE(desk.ask(wanted, Form::single)->answer.has_value());
      CHECK(desk.ask(wanted, Form::single)->answer->status == 429);
    }
  }

  TEST_CASE("a clock that is set and accepted ends no window of a budget") {
    for (const auto shift : {9 * 24h, -9 * 24h}) {
      CAPTURE(shift.count());
      Desk desk(1);
      const auto wanted = withdrawal(desk.keeper.add(TokenType::ristretto, "web", noon));
      CHECK(desk.ask(wanted, Form::single)->answer->status == 200);
      desk.desk->move_time(shift);
      const auto request = Desk::request_of(wanted, Form::single);
      CHECK(desk.ask(request, "sha256:aa", noon + shift + 3599s)->answer->status == 429);
      CHECK(desk.ask(request, "sha256:aa", noon + shift + 3600s)->answer->status == 200);
    }
  }

  TEST_CASE("the keeper works on a few requests at once, and some wait") {
    Desk desk(100, 2, 1);
    const auto wanted = withdrawal(desk.keeper.add(TokenType::ristretto, "web", noon));
    desk.keeper.slow = true;
    const auto a = desk.ask(wanted, Form::single), b = desk.ask(wanted, Form::single);
    auto c = desk.ask(wanted, Form::single);
    CHECK(desk.keeper.asked.size() == 2);

    const auto d = desk.ask(wanted, Form::single);
    REQUIRE(d->answer.has_value());
    CHECK(d->answer->status == 503);
    CHECK(field(*d->answer, "Retry-After") == "5");

    desk.desk->give_up(*c);  // in the queue still
    c.reset();
    desk.keeper.answer_next();
    desk.keeper.answer_next();
    CHECK(a->answer->status == 200);
    CHECK(b->answer->status == 200);
    CHECK(desk.keeper.asked.size() == 2);  // nobody signs for who left
  }

  TEST_CASE("another configuration keeps what was counted") {
    Desk desk(10);
    const auto& key = desk.keeper.add(TokenType::ristretto, "web", noon);
    REQUIRE(desk.ask(withdrawal(key, 9), Form::batch)->answer->status == 200);

    auto setup = setup_of(11);
    desk.desk->configure(setup);
    CHECK(desk.ask(withdrawal(key, 3), Form::batch)->answer->status == 429);
    CHECK(desk.ask(withdrawal(key, 2), Form::batch)->answer->status == 200);

    setup.attest = {"bearer"};
    setup.secrets = {{"alice", "no hash"}};
    CHECK_THROWS(desk.desk->configure(setup));
    desk.desk->configure(setup_of(100));
    setup = setup_of(100);
    setup.ristretto_type = 0;
    desk.desk->configure(setup);
    CHECK(desk.ask(withdrawal(key), Form::single)->answer->status == 422);
  }

  TEST_CASE("refusals are not kept by anybody, and say why in JSON") {
    Desk desk;
    keyd::issuer::Asked asked;
    asked.method = "GET";
    asked.target = "/";
    const auto answer = *desk.ask(asked)->answer;
    CHECK(answer.status == 404);
    CHECK(answer.type == "application/json");
    CHECK(*answer.body == "{\"error\":\"no such path\"}\n");
    CHECK(field(answer, "Cache-Control") == "no-store");
  }
}
