// ticketctl token inspect and redeem.
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "support/listens.hpp"
#include "token/directory.hpp"
#include "token/header.hpp"
#include "token_text.hpp"
#include "token_world.hpp"

using namespace ticket;
using nlohmann::json;
using ticketctl::read_token;
using token::TokenType;
using tokens::contains;
using tokens::ticketctl_does;

namespace {

struct Sample {
  explicit Sample(TokenType type)
      : challenge(samples::challenge(type)), token(samples::tokens(type, challenge).front()) {}
  std::string text() const { return base64url_padded(token); }

  Bytes challenge, token;
};

std::string directory_file(const support::TempFolder& folder, const std::vector<Bytes>& keys) {
  token::Directory directory{"/token-request", {}};
  for (const auto& key : keys) {
    directory.keys.push_back(
        {static_cast<std::uint16_t>(key.size() == 32 ? 5 : 2), key, std::nullopt});
  }
  support::write_text(folder / "directory", token::write_directory(directory));
  return folder / "directory";
}

const Bytes& key_of(TokenType type) { return samples::issuer_key(type).public_key().bytes; }

}  // namespace

TEST_SUITE("token text") {
  TEST_CASE("a token is read in every form in which people have it") {
    const Sample sample(TokenType::ristretto);
    const auto padded = sample.text();
    const auto header = "PrivateToken token=\"" + padded + "\"";
    for (const auto& text : {padded, base64url(sample.token), " " + padded + "\r\n", header,
                             "privatetoken token=" + padded, "Authorization: " + header + "\n",
                             "authorization:" + header, std::string(as_text(sample.token))}) {
      CAPTURE(text);
      const auto read = read_token(text);
      REQUIRE(read.has_value());
      CHECK(*read == sample.token);
    }
  }

  TEST_CASE("what is none is told without telling it") {
    const Sample sample(TokenType::ristretto);
    const auto header = "Authorization: PrivateToken token=\"" + sample.text() + "\"";
    for (const auto& text : {std::string(), std::string(" \n"), std::string("s3cret!"),
                             sample.text() + "=", header + "\n" + header, header.substr(0, 60),
                             std::string("PrivateToken"), std::string("PrivateToken s3cret")}) {
      CAPTURE(text);
      const auto read = read_token(text);
      REQUIRE_FALSE(read.has_value());
      CHECK_FALSE(contains(read.error(), "s3cret"));
    }
  }
}

TEST_SUITE("token inspect") {
  TEST_CASE("a token tells its type, nonce, challenge and key") {
    for (const auto type : {TokenType::blind_rsa, TokenType::ristretto}) {
      const Sample sample(type);
      const auto outcome = ticketctl_does({"token", "inspect", sample.text(), "--json"});
      CAPTURE(outcome.output);
      CHECK(outcome.code == 0);
      const auto told = json::parse(outcome.output);
      CHECK(told.at("type") == (type == TokenType::blind_rsa ? "blind-rsa" : "ristretto"));
      CHECK(told.at("nonce") == hex(BytesView(sample.token).subspan(2, 32)));
      CHECK(told.at("challenge_digest") == hex(crypto::sha256(sample.challenge)));
      CHECK(told.at("key_id") == hex(samples::issuer_key(type).public_key().id));
      CHECK_FALSE(told.contains("genuine"));
    }
  }

  TEST_CASE("with challenge and directory it says whether they are the token's") {
    const Sample sample(TokenType::blind_rsa);
    const support::TempFolder folder;
    const auto directory =
        directory_file(folder, {key_of(TokenType::ristretto), key_of(TokenType::blind_rsa)});
    const auto inspect = [&](const Bytes& token, const Bytes& challenge) {
      return ticketctl_does({"token", "inspect", "-", "--challenge", base64url_padded(challenge),
                             "--directory", directory},
                            base64url_padded(token) + "\n");
    };

    const auto good = inspect(sample.token, sample.challenge);
    CAPTURE(good.output);
    CHECK(good.code == 0);
    CHECK(contains(good.output, "yes, by a key of that directory"));
    CHECK(contains(good.output, "issuer.example"));
    const auto altered = inspect(samples::flipped(sample.token, 10), sample.challenge);
    CHECK(altered.code == 1);
    CHECK(contains(altered.output, "NO: it was altered"));
    const auto other = samples::challenge(TokenType::blind_rsa, "other.example");
    const auto misplaced = inspect(sample.token, other);
    CHECK(misplaced.code == 1);
    CHECK(contains(misplaced.output, "NOT that of the challenge"));
    directory_file(folder, {key_of(TokenType::ristretto)});
    const auto unpublished = inspect(sample.token, sample.challenge);
    CHECK(unpublished.code == 1);
    CHECK(contains(unpublished.output, "NOT by a key"));
  }

  TEST_CASE("of a ristretto token nobody without the private key can say whether it is genuine") {
    const Sample sample(TokenType::ristretto);
    const support::TempFolder folder;
    const auto outcome = ticketctl_does({"token", "inspect", sample.text(), "--directory",
                                         directory_file(folder, {key_of(TokenType::ristretto)})});
    CHECK(outcome.code == 0);
    CHECK(contains(outcome.output, "only who has the private key can"));
  }

  TEST_CASE("the directory comes from an issuer, too") {
    const tokens::Issuer issuer;
    const Sample sample(TokenType::blind_rsa);
    const auto outcome =
        ticketctl_does({"token", "inspect", sample.text(), "--directory",
                        issuer.url() + std::string(token::directory_path), "--json"});
    CAPTURE(outcome.output);
    CHECK(json::parse(outcome.output).at("genuine") == true);
  }

  TEST_CASE("every truncation of a token, and an unknown type, is refused") {
    const Sample sample(TokenType::ristretto);
    for (std::size_t size = 1; size < sample.token.size(); size += 23) {
      const auto outcome =
          ticketctl_does({"token", "inspect", base64url(BytesView(sample.token).first(size))});
      CHECK(outcome.code == 2);
      CHECK(contains(outcome.output, "are no token"));
    }
    auto unknown = sample.token;
    unknown[1] = std::byte{9};
    CHECK(contains(ticketctl_does({"token", "inspect", base64url(unknown)}).output, "0x0009"));
    CHECK(ticketctl_does({"token", "inspect", base64url(unknown), "--ristretto-type", "9"}).code ==
          0);
  }
}

TEST_SUITE("token redeem") {
  TEST_CASE("a token is accepted once, then refused; a server that cannot tell says so") {
    const Sample sample(TokenType::ristretto);
    const support::TempFolder folder;
    tokens::make_certificate(folder.path(), "a.test");
    const tokens::Origin origin(token::write_authenticate({{sample.challenge, {}, std::nullopt}}),
                                {folder / "a.test.pem", folder / "a.test.key", ""});
    const auto redeem = [&](const std::string& path) {
      return ticketctl_does(
          {"token", "redeem", "-", "--url", "https://a.test" + path, "--ca", folder / "a.test.pem",
           "--connect-to", "a.test:443:" + origin.address()},
          sample.text());
    };

    const auto first = redeem("/door");
    CAPTURE(first.output);
    CHECK(first.code == 0);
    CHECK(contains(first.output, "accepted (200)"));
    CHECK(origin.requests().at(0).header("authorization") ==
          "PrivateToken token=\"" + sample.text() + "\"");
    const auto again = redeem("/door");
    CHECK(again.code == 1);
    CHECK(contains(again.output, "refused (401)"));
    const auto down = redeem("/down");
    CHECK(down.code == 1);
    CHECK(contains(down.output, "cannot be told now"));
  }

  TEST_CASE("an agent is asked for the origin that is named") {
    const Sample sample(TokenType::ristretto);
    const tokens::Origin agent(token::write_authenticate({{sample.challenge, {}, std::nullopt}}));
    const auto outcome = ticketctl_does({"token", "redeem", sample.text(), "--agent",
                                         agent.address(), "--origin", "a.test", "--json"});
    CAPTURE(outcome.output);
    CHECK(outcome.code == 0);
    CHECK(json::parse(outcome.output) == json{{"outcome", "accepted"}, {"status", 200}});
    CHECK(agent.requests().at(0).path == "/redeem");
    CHECK(agent.requests().at(0).header("x-ticket-origin") == "a.test");
  }

  TEST_CASE("promise 15: where to is to be said once, and an agent is of this machine") {
    const Sample sample(TokenType::ristretto);
    const std::vector<std::vector<std::string>> wrong = {
        {},
        {"--url", "https://a.test/", "--agent", "127.0.0.1:1"},
        {"--agent", "127.0.0.1:1"},
        {"--agent", "192.0.2.1:9002", "--origin", "a.test"},
        {"--agent", "nonsense", "--origin", "a.test"},
        {"--url", "https://a.test/", "--origin", "a.test"}};
    for (const auto& options : wrong) {
      std::vector<std::string> arguments = {"token", "redeem", sample.text()};
      arguments.insert(arguments.end(), options.begin(), options.end());
      const auto outcome = ticketctl_does(arguments);
      CAPTURE(outcome.output);
      CHECK(outcome.code == 2);
    }
    CHECK(ticketctl_does(
              {"token", "redeem", sample.text(), "--agent", "127.0.0.1:1", "--origin", "a.test"})
              .code == 3);
  }
}
