// ticketctl token get against an issuer and a server of libticket/token.
#include <doctest/doctest.h>
#include <sys/stat.h>

#include <nlohmann/json.hpp>
#include <set>

#include "token/header.hpp"
#include "token_world.hpp"

using namespace ticket;
using nlohmann::json;
using token::TokenType;
using tokens::contains;
using tokens::Issuer;
using tokens::Origin;
using tokens::Rules;
using tokens::ticketctl_does;

namespace {

// A challenge for a.test, with a context as the pools of keyd have it.
Bytes challenge(TokenType type, const std::string& issuer, const std::string& origins = "a.test") {
  return *token::write_challenge({type, issuer, ByteArray<32>{std::byte{7}}, origins},
                                 samples::both);
}

std::string asked(const Bytes& challenge, const Bytes& key = {}) {
  return token::write_authenticate({{challenge, key, std::nullopt}});
}

const Bytes& key_of(TokenType type) { return samples::issuer_key(type).public_key().bytes; }

// The tokens of `Authorization:` lines.
std::vector<Bytes> tokens_in(const std::string& output) {
  std::vector<Bytes> all;
  constexpr std::string_view start = "Authorization: ";
  for (std::size_t at = output.find(start); at != std::string::npos; at = output.find(start, at)) {
    at += start.size();
    auto token = token::parse_authorization(output.substr(at, output.find('\n', at) - at));
    REQUIRE(token.has_value());
    all.push_back(*std::move(token));
  }
  return all;
}

bool genuine(const Bytes& bytes, const Bytes& challenge) {
  const auto token = token::parse_token(bytes, samples::both);
  return token && std::ranges::equal(token->challenge_digest, crypto::sha256(challenge)) &&
         samples::redeemer_key(samples::issuer_key(token->type)).verify(*token);
}

// An https server for a.test that asks for tokens of that issuer, and its certificate.
struct Site {
  explicit Site(const std::string& challenges) {
    tokens::make_certificate(folder.path(), "a.test");
    origin = std::make_unique<Origin>(challenges,
                                      web::Tls{folder / "a.test.pem", folder / "a.test.key", ""});
  }
  // The options that lead there.
  std::vector<std::string> options(std::vector<std::string> more = {}) const {
    std::vector<std::string> all = {"token",        "get",
                                    "--url",        "https://a.test/door",
                                    "--ca",         folder / "a.test.pem",
                                    "--connect-to", "a.test:443:" + origin->address()};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }

  support::TempFolder folder;
  std::unique_ptr<Origin> origin;
};

}  // namespace

TEST_SUITE("token get") {
  TEST_CASE("a URL's 401 is answered with tokens of both types that its servers take") {
    const Issuer issuer;
    for (const auto type : {TokenType::blind_rsa, TokenType::ristretto}) {
      const auto asks = challenge(type, issuer.address());
      const Site site(asked(asks, key_of(type)));
      auto options = site.options({"--issuer", issuer.url()});
      if (type == TokenType::ristretto) options.insert(options.end(), {"--type", "ristretto"});

      const auto outcome = ticketctl_does(options);
      CAPTURE(outcome.output);
      CHECK(outcome.code == 0);
      const auto got = tokens_in(outcome.output);
      REQUIRE(got.size() == 1);
      CHECK(genuine(got[0], asks));
    }
  }

  TEST_CASE("an issuer in TLS is verified for the name in the challenge") {
    const support::TempFolder folder;
    for (const auto* name : {"issuer.test", "other.test"})
      tokens::make_certificate(folder.path(), name);
    const auto asks = base64url_padded(challenge(TokenType::blind_rsa, "issuer.test"));
    const auto get_from = [&](const std::string& certificate) {
      const Issuer issuer(
          {.tls = {folder / (certificate + ".pem"), folder / (certificate + ".key"), ""}});
      return ticketctl_does({"token", "get", "--challenge", asks, "--ca",
                             folder / (certificate + ".pem"), "--connect-to",
                             "issuer.test:443:" + issuer.address()});
    };

    CHECK(tokens_in(get_from("issuer.test").output).size() == 1);
    const auto untrusted = get_from("other.test");
    CHECK(untrusted.code == 3);
    CHECK(contains(untrusted.output, "--ca FILE"));
  }

  TEST_CASE("many tokens are all different, and ristretto ones come in batches") {
    const Issuer issuer;
    const struct {
      TokenType type;
      std::size_t count, requests;
    } cases[] = {{TokenType::blind_rsa, 3, 3}, {TokenType::ristretto, 300, 2}};
    for (const auto& [type, count, requests] : cases) {
      const auto before = issuer.token_requests().size();
      const auto asks = challenge(type, issuer.address());
      const auto outcome =
          ticketctl_does({"token", "get", "--challenge", base64url(asks), "--issuer", issuer.url(),
                          "--count", std::to_string(count), "--type",
                          type == TokenType::blind_rsa ? "blind-rsa" : "ristretto", "--json"});
      CHECK(outcome.code == 0);
      const auto told = json::parse(outcome.output);
      std::set<std::string> different;
      for (const auto& token : told.at("tokens")) {
        different.insert(token.get<std::string>());
        CHECK(genuine(*from_base64url_padded(token.get<std::string>()), asks));
      }
      CHECK(different.size() == count);
      CHECK(issuer.token_requests().size() - before == requests);
      CHECK(told.at("key_id") == hex(samples::issuer_key(type).public_key().id));
    }
  }

  TEST_CASE("an issuer alone can be tried, with a challenge of our own") {
    const Issuer issuer;
    const auto outcome =
        ticketctl_does({"token", "get", "--issuer", issuer.url(), "--origin", "a.test"});
    const auto got = tokens_in(outcome.output);
    REQUIRE(got.size() == 1);
    CHECK(genuine(got[0], *token::write_challenge(
                              {TokenType::blind_rsa, issuer.address(), std::nullopt, "a.test"},
                              samples::both)));
  }

  TEST_CASE("who asks is shown by a secret from a file, which stands nowhere else") {
    const Issuer issuer({.wanted_secret = "s3cret-of-alice"});
    const support::TempFolder folder;
    const auto file = folder / "secret";
    support::write_text(file, "s3cret-of-alice\n");
    chmod(file.c_str(), 0600);
    const std::vector<std::string> ask = {"token",      "get",      "--issuer",
                                          issuer.url(), "--origin", "a.test"};
    auto with_secret = ask;
    with_secret.insert(with_secret.end(), {"--secret-file", file});

    const auto known = ticketctl_does(with_secret);
    CHECK(tokens_in(known.output).size() == 1);
    CHECK_FALSE(contains(known.output, "s3cret"));
    CHECK_FALSE(contains(known.output, "chmod"));
    CHECK(issuer.token_requests().back().header("authorization") == "Bearer s3cret-of-alice");

    const auto unknown = ticketctl_does(ask);
    CHECK(unknown.code == 1);
    CHECK(contains(unknown.output, "--secret-file"));

    chmod(file.c_str(), 0644);
    CHECK(contains(ticketctl_does(with_secret).output, "chmod 600"));
  }

  TEST_CASE("a client certificate is shown to the issuer, and never to who asks for a token") {
    const support::TempFolder folder;
    for (const auto* name : {"issuer.test", "a.test", "alice"})
      tokens::make_certificate(folder.path(), name);
    support::write_text(folder / "ca.pem", support::read_text(folder / "issuer.test.pem") +
                                               support::read_text(folder / "a.test.pem"));
    const Issuer issuer(
        {.tls = {folder / "issuer.test.pem", folder / "issuer.test.key", folder / "alice.pem"}});
    const Origin origin(asked(challenge(TokenType::blind_rsa, "issuer.test")),
                        {folder / "a.test.pem", folder / "a.test.key", folder / "alice.pem"});

    const auto outcome =
        ticketctl_does({"token", "get", "--url", "https://a.test/door", "--issuer", "issuer.test",
                        "--ca", folder / "ca.pem", "--cert", folder / "alice.pem", "--key",
                        folder / "alice.key", "--connect-to", "a.test:443:" + origin.address(),
                        "--connect-to", "issuer.test:443:" + issuer.address()});
    CAPTURE(outcome.output);
    CHECK(tokens_in(outcome.output).size() == 1);
    CHECK(issuer.token_requests().at(0).client == "/CN=alice");
    CHECK(origin.requests().at(0).client.empty());
  }

  TEST_CASE("what shows who you are goes to no issuer that a server chose") {
    const Issuer issuer;
    const support::TempFolder folder;
    support::write_text(folder / "secret", "s3cret\n");
    chmod((folder / "secret").c_str(), 0600);
    const Site site(asked(challenge(TokenType::blind_rsa, issuer.address())));

    const auto unnamed = ticketctl_does(site.options({"--secret-file", folder / "secret"}));
    CHECK(unnamed.code == 2);
    CHECK(contains(unnamed.output, "--issuer " + issuer.address()));
    const auto another = ticketctl_does(
        site.options({"--secret-file", folder / "secret", "--issuer", "issuer.test"}));
    CHECK(another.code == 1);
    CHECK(issuer.requests().empty());
  }

  TEST_CASE("a directory that sends requests elsewhere is not followed with a secret") {
    const Issuer elsewhere;
    const support::TempFolder folder;
    support::write_text(folder / "secret", "s3cret\n");
    chmod((folder / "secret").c_str(), 0600);
    const Issuer issuer({.request_uri = elsewhere.url() + "/token-request"});
    const std::vector<std::string> ask = {"token",      "get",      "--issuer",
                                          issuer.url(), "--origin", "a.test"};
    auto with_secret = ask;
    with_secret.insert(with_secret.end(), {"--secret-file", folder / "secret"});

    CHECK(ticketctl_does(with_secret).code == 1);
    CHECK(elsewhere.requests().empty());
    CHECK(tokens_in(ticketctl_does(ask).output).size() == 1);  // RFC 9578 allows it
    const Issuer weaker({.request_uri = "ftp://127.0.0.1/token-request"});
    CHECK(ticketctl_does({"token", "get", "--issuer", weaker.url(), "--origin", "a.test"}).code ==
          2);
  }

  TEST_CASE("a server gets no token for others, and none by a key of its own") {
    const Issuer issuer;
    const auto foreign = challenge(TokenType::blind_rsa, issuer.address(), "b.test,c.test");
    const Site harvester(asked(foreign, key_of(TokenType::blind_rsa)));
    auto outcome = ticketctl_does(harvester.options({"--issuer", issuer.url()}));
    CHECK(outcome.code == 1);
    CHECK(contains(outcome.output, "b.test, c.test"));

    const auto own_key = token::IssuerKey::generate(TokenType::ristretto).public_key().bytes;
    const Site tracker(asked(challenge(TokenType::ristretto, issuer.address()), own_key));
    outcome = ticketctl_does(tracker.options({"--issuer", issuer.url(), "--type", "ristretto"}));
    CHECK(outcome.code == 1);
    CHECK(contains(outcome.output, "recognise"));
    CHECK(issuer.token_requests().empty());
  }

  TEST_CASE("tokens that came before the budget was spent are printed") {
    for (const bool as_json : {false, true}) {
      const Issuer issuer({.budget = 2});
      std::vector<std::string> ask = {"token",    "get",    "--issuer", issuer.url(),
                                      "--origin", "a.test", "--count",  "5"};
      if (as_json) ask.emplace_back("--json");
      const auto outcome = ticketctl_does(ask);
      CHECK(outcome.code == 1);
      CHECK(contains(outcome.output, "try again in 60 s"));
      CHECK(contains(outcome.output, "2 of 5 tokens came"));
      const auto end = outcome.output.find("ticketctl:");
      CHECK((as_json ? json::parse(outcome.output.substr(0, end)).at("tokens").size()
                     : tokens_in(outcome.output).size()) == 2);
    }
  }

  TEST_CASE("an answer that is not by the published key is no token") {
    const Issuer issuer({.by_another_key = true});
    const auto outcome = ticketctl_does(
        {"token", "get", "--issuer", issuer.url(), "--origin", "a.test", "--type", "ristretto"});
    CHECK(tokens_in(outcome.output).empty());
    CHECK(outcome.code == 3);
    CHECK(contains(outcome.output, "not by the key that it publishes"));
  }

  TEST_CASE("servers that ask for no token, or for one of another type, are named") {
    const Site plain("Basic realm=\"x\"");
    CHECK(contains(ticketctl_does(plain.options()).output, "without a challenge"));
    const Site ristretto(asked(challenge(TokenType::ristretto, "issuer.test")));
    const auto outcome = ticketctl_does(ristretto.options());
    CHECK(outcome.code == 1);
    CHECK(contains(outcome.output, "0x0005"));
    auto open = ristretto.options();
    open[3] = "https://a.test/open";
    CHECK(contains(ticketctl_does(open).output, "answers 200, not 401"));
  }

  TEST_CASE("promise 15: what is wrong in a command is told with the way out, and asks nobody") {
    const Issuer issuer;
    const auto text = base64url(challenge(TokenType::blind_rsa, issuer.address()));
    const struct {
      std::vector<std::string> options;
      const char* told;
    } cases[] = {
        {{}, "a token for what?"},
        {{"--url", "https://a.test/", "--challenge", text}, "a token for what?"},
        {{"--origin", "a.test"}, "--issuer"},
        {{"--url", "a.test"}, "https://"},
        {{"--url", "file:///etc/passwd"}, "https://"},
        {{"--url", "https://me:word@a.test/"}, "https://"},
        {{"--challenge", "!"}, "base64url"},
        {{"--challenge", "AAAA"}, "--challenge"},
        {{"--challenge", text, "--type", "rsa"}, "--type"},
        {{"--challenge", text, "--type", "ristretto"}, "--type"},
        {{"--challenge", text, "--type", "ristretto", "--ristretto-type", "2"}, "1 to 65535"},
        {{"--challenge", text, "--count", "0"}, "1 to 10000"},
        {{"--challenge", text, "--count", "10001"}, "1 to 10000"},
        {{"--challenge", text, "--cert", "x"}, "belong together"},
        {{"--challenge", text, "--secret-file", "/no/such"}, "/no/such"},
        {{"--challenge", text, "--connect-to", "127.0.0.1:1"}, "HOST1:PORT1"},
        {{"--challenge", text, "--issuer", "http://issuer.test"}, "this machine"},
        {{"--challenge", text, "--issuer", "https://issuer.test/x"}, "HOST:PORT"},
        {{"--challenge", text, "surplus"}, "surplus"},
    };
    for (const auto& one : cases) {
      std::vector<std::string> arguments = {"token", "get"};
      arguments.insert(arguments.end(), one.options.begin(), one.options.end());
      const auto outcome = ticketctl_does(arguments);
      CAPTURE(outcome.output);
      CHECK(outcome.code == 2);
      CHECK(contains(outcome.output, one.told));
    }
    CHECK(issuer.requests().empty());
  }

  TEST_CASE("issuers that are none, or not there, are told by their URL") {
    const web::Server nonsense([](const web::Request&) { return web::Answer{200, {}, "{}"}; });
    const web::Server missing([](const web::Request&) { return web::Answer{404, {}, ""}; });
    for (const auto& address :
         {nonsense.address(), missing.address(), std::string("127.0.0.1:1")}) {
      const auto outcome =
          ticketctl_does({"token", "get", "--issuer", "http://" + address, "--origin", "a.test"});
      CHECK(outcome.code == 3);
      CHECK(contains(outcome.output, "http://" + address + "/.well-known/"));
    }
  }
}
