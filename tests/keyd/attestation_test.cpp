#include "attestation.hpp"

#include <doctest/doctest.h>

#include "attest_secrets.hpp"

using keyd::Attestation;
using keyd::Credentials;
using keyd::IssuerSetup;
using ticket::as_bytes;

namespace {

std::string hash_of(const std::string& secret) {
  return ticket::hex(ticket::crypto::sha256(as_bytes(secret)));
}

IssuerSetup setup(std::vector<std::string> attest) {
  IssuerSetup setup;
  setup.pool = "web";
  setup.attest = std::move(attest);
  setup.secrets = {{"alice", hash_of("open sesame")}, {"bob", hash_of("please")}};
  return setup;
}

const Credentials nothing{};
const Credentials trusted{.certificate = "sha256:aa", .distrust = ""};
const Credentials distrusted{.certificate = "sha256:aa", .distrust = "certificate has expired"};

Credentials bearer(std::string_view secret) {
  return {.certificate = "", .distrust = "", .bearer = secret};
}

}  // namespace

TEST_SUITE("attestation") {
  TEST_CASE("who is let in, and who is counted") {
    struct {
      const char* what;
      std::vector<std::string> attest;
      Credentials shown;
      const char* client;  // or nullptr
    } const cases[] = {
        {"a certificate", {"certificate"}, trusted, "certificate sha256:aa"},
        {"a certificate of others", {"certificate"}, distrusted, nullptr},
        {"nothing", {"certificate"}, nothing, nullptr},
        {"a secret instead", {"certificate"}, bearer("please"), nullptr},
        {"a secret", {"bearer"}, bearer("please"), "bearer bob"},
        {"another's", {"bearer"}, bearer("open sesame"), "bearer alice"},
        {"a wrong one", {"bearer"}, bearer("pleasf"), nullptr},
        {"the hash itself", {"bearer"}, bearer("5994471abb01112afcc1"), nullptr},
        {"no secret", {"bearer"}, nothing, nullptr},
        {"a certificate instead", {"bearer"}, trusted, nullptr},
        {"either", {"bearer", "certificate"}, trusted, "certificate sha256:aa"},
        {"either", {"certificate", "bearer"}, bearer("please"), "bearer bob"},
        {"anybody", {"open"}, nothing, "open"},
        {"a known one, of an open issuer", {"open", "bearer"}, bearer("please"), "bearer bob"},
        {"a wrong secret is not let in as anybody", {"open", "bearer"}, bearer("x"), nullptr},
        {"nor where nobody has one", {"open"}, bearer("please"), nullptr},
        {"nor a certificate of others", {"open", "certificate"}, distrusted, nullptr},
        {"anybody, beside certificates", {"open", "certificate"}, nothing, "open"},
    };
    for (const auto& one : cases) {
      CAPTURE(one.what);
      const auto client = Attestation(setup(one.attest)).client(one.shown);
      CHECK(client.has_value() == (one.client != nullptr));
      if (client && one.client != nullptr) CHECK(*client == one.client);
    }
  }

  TEST_CASE("a certificate that does not hold is no obstacle beside a secret that does") {
    auto shown = distrusted;
    shown.bearer = "please";
    CHECK(Attestation(setup({"certificate", "bearer"})).client(shown) == "bearer bob");
  }

  TEST_CASE("another scheme of authorization is not let in as anybody") {
    auto shown = nothing;
    shown.other_scheme = true;
    CHECK_FALSE(Attestation(setup({"open"})).client(shown).has_value());
  }

  TEST_CASE("no answer repeats what was shown") {
    const auto refused = Attestation(setup({"bearer"})).client(bearer("hunter2"));
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().find("hunter2") == std::string::npos);
  }

  TEST_CASE("a 401 names what is wanted") {
    CHECK(Attestation(setup({"bearer"})).challenge() == "Bearer realm=\"web\"");
    CHECK(Attestation(setup({"certificate", "bearer"})).challenge() == "Bearer realm=\"web\"");
    CHECK(Attestation(setup({"certificate"})).challenge() == "Client-Certificate realm=\"web\"");
  }

  TEST_CASE("a hash that is none is refused") {
    auto wrong = setup({"bearer"});
    wrong.secrets[1].sha256.pop_back();
    CHECK_THROWS_AS(Attestation{wrong}, std::runtime_error);
  }
}

TEST_SUITE("attest secrets") {
  const std::string a(64, 'a');
  const std::string b = std::string(63, 'b') + "C";

  TEST_CASE("a line each, with comments between") {
    const auto secrets = keyd::parse_attest_secrets("# who\n\n alice\t" + a + "  \r\nbob " + b);
    REQUIRE(secrets.has_value());
    REQUIRE(secrets->size() == 2);
    CHECK((*secrets)[0].name == "alice");
    CHECK((*secrets)[0].sha256 == a);
    CHECK((*secrets)[1].sha256 == std::string(63, 'b') + "c");
  }

  TEST_CASE("what is wrong is told with its line, and without the line") {
    struct {
      std::string text;
      int line;
      const char* problem;
    } const cases[] = {
        {"", 1, "no secret in it"},
        {"# none\n", 1, "no secret in it"},
        {"alice " + a + "\nbob hunter2\n", 2, "not a name and 64 hex digits"},
        {"alice " + a + "\nbob\n", 2, "not a name and 64 hex digits"},
        {a + "\n", 1, "not a name and 64 hex digits"},
        {"alice " + a + " x\n", 1, "not a name and 64 hex digits"},
        {"alice " + a.substr(1) + "\n", 1, "not a name and 64 hex digits"},
        {"\n.alice " + a + "\n", 2, "its name is none"},
        {"alice " + a + "\n\nalice " + b + "\n", 3, "its name stands twice"},
        {"alice " + b + "\nbob " + std::string(63, 'B') + "c\n", 2, "its hash stands twice"},
    };
    for (const auto& one : cases) {
      CAPTURE(one.text);
      const auto secrets = keyd::parse_attest_secrets(one.text);
      REQUIRE_FALSE(secrets.has_value());
      CHECK(secrets.error().line == one.line);
      CHECK(secrets.error().text == one.problem);
    }
  }

  TEST_CASE("there are not too many") {
    std::string text;
    for (std::size_t i = 0; i <= keyd::most_attest_secrets; ++i) {
      text += "n" + std::to_string(i) + " " + hash_of(std::to_string(i)) + "\n";
    }
    const auto secrets = keyd::parse_attest_secrets(text);
    REQUIRE_FALSE(secrets.has_value());
    CHECK(secrets.error().line == 10'001);
  }
}
