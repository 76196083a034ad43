// Tokens from the request to the redeemer, of both types.
#include <doctest/doctest.h>
#include <openssl/pem.h>

#include <algorithm>
#include <set>

#include "samples.hpp"
#include "support/vectors.hpp"
#include "token/rfc_figures.hpp"

namespace ticket::token {

namespace {

using samples::both;
using samples::noon;
using support::unhex;

constexpr TokenType types[] = {TokenType::blind_rsa, TokenType::ristretto};

// A private key in PEM (in hex) as IssuerKey::load wants it.
IssuerKey issuer_of_pem(std::string_view text) {
  const auto pem = unhex(text);
  auto* bio = BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()));
  auto* key = PEM_read_bio_PrivateKey(bio, nullptr, nullptr, nullptr);
  REQUIRE(key != nullptr);
  unsigned char* der = nullptr;
  const int size = i2d_PrivateKey(key, &der);
  auto issuer = IssuerKey::load(TokenType::blind_rsa,
                                std::as_bytes(std::span(der, static_cast<std::size_t>(size))));
  OPENSSL_free(der);
  EVP_PKEY_free(key), BIO_free(bio);
  REQUIRE(issuer.has_value());
  return std::move(*issuer);
}

void check_issuance(std::string_view pem, std::string_view token_key,
                    const rfc::Issuance& figures) {
  Issuer issuer(both);
  REQUIRE(issuer.add(issuer_of_pem(pem)).has_value());
  const auto& key = issuer.keys()[0].public_key();
  CHECK(hex(key.bytes) == token_key);

  std::vector<Withdrawal::Drawn> drawn(1);
  drawn[0] = {to_array(BytesView(unhex(figures.nonce)).first<32>()), unhex(figures.salt),
              SecretBytes::copy_of(unhex(figures.blind))};
  const auto withdrawal =
      Withdrawal::begin(unhex(figures.challenge), key, both, Form::single, drawn);
  REQUIRE(withdrawal.has_value());
  CHECK(hex(withdrawal->request()) == figures.request);
  const auto response = issuer.answer(withdrawal->request(), Form::single);
  REQUIRE(response.has_value());
  CHECK(hex(*response) == figures.response);
  const auto tokens = withdrawal->finish(*response);
  REQUIRE(tokens.has_value());
  CHECK(hex(tokens->at(0)) == figures.token);

  const auto token = parse_token(tokens->at(0), both);
  CHECK(RedeemerKey::blind_rsa(key)->verify(*token));
}

std::string verdict(const Redeemer& redeemer, BytesView token, Moment now = noon,
                    std::string_view origin = samples::origin) {
  const auto prospect = redeemer.look(token, origin, now);
  if (!prospect) return to_text(prospect.error());
  const auto verified = Redeemer::verify(*prospect);
  return verified ? "ok" : to_text(verified.error());
}

// Every run of 16 bytes of `bytes`.
std::set<std::string> runs(BytesView bytes) {
  std::set<std::string> found;
  for (std::size_t at = 0; at + 16 <= bytes.size(); ++at) found.insert(hex(bytes.subspan(at, 16)));
  return found;
}

bool disjoint(const std::set<std::string>& a, const std::set<std::string>& b) {
  return std::ranges::none_of(a, [&](const std::string& run) { return b.contains(run); });
}

}  // namespace

TEST_SUITE("token journey") {
  TEST_CASE("issuance by the figures of RFC 9578, appendix A.2") {
    for (const auto& figures : rfc::issuance) {
      check_issuance(rfc::private_key, rfc::token_key, figures);
    }
  }

  TEST_CASE("the published vectors of RFC 9578: issuance") {
    for (const auto& v : support::vectors("privacypass-ts_pub_verif_rfc9578.go.json")) {
      std::vector<std::string> fields;
      for (const char* name : {"token_challenge", "nonce", "blind", "salt", "token_request",
                               "token_response", "token"}) {
        fields.push_back(v.at(name).get<std::string>());
      }
      check_issuance(v.at("skS").get<std::string>(), v.at("pkS").get<std::string>(),
                     {fields[0].c_str(), fields[1].c_str(), fields[2].c_str(), fields[3].c_str(),
                      fields[4].c_str(), fields[5].c_str(), fields[6].c_str()});
    }
  }

  TEST_CASE("what is issued is redeemed, in both forms") {
    const Redeemer redeemer(both, samples::one(samples::epoch()));
    for (const auto type : types) {
      const auto token = samples::tokens(type, samples::challenge(type)).front();
      CHECK(verdict(redeemer, token) == "ok");
    }
    const auto batch = samples::tokens(TokenType::ristretto,
                                       samples::challenge(TokenType::ristretto), Form::batch, 32);
    std::set<Location> locations;
    for (const auto& token : batch) {
      CHECK(verdict(redeemer, token) == "ok");
      locations.insert(redeemer.look(token, samples::origin, noon)->location);
    }
    CHECK(locations.size() == 32);
  }

  TEST_CASE("nothing that a redeemer sees was sent to the issuer, and nothing repeats") {
    for (const auto type : types) {
      CAPTURE(element_size(type));
      const auto challenge = samples::challenge(type);
      const auto& key = samples::issuer_key(type).public_key();
      const auto issuer = samples::issuer();
      std::set<std::string> to_issuer, from_issuer, presented;
      std::size_t requests = 0, responses = 0, tokens = 0;
      for (int i = 0; i < 5; ++i) {
        // all are for one challenge and key: these are no secret and the same for everybody
        const auto withdrawal = Withdrawal::begin(challenge, key, both);
        const auto response = issuer.answer(withdrawal->request(), Form::single);
        const auto token = withdrawal->finish(*response)->front();
        const auto request = BytesView(withdrawal->request()).subspan(3);
        to_issuer.merge(runs(request)), requests += request.size() - 15;
        from_issuer.merge(runs(*response)), responses += response->size() - 15;
        const auto parsed = *parse_token(token, both);
        for (const auto part : {parsed.input.subspan(2, 32), parsed.authenticator}) {
          presented.merge(runs(part)), tokens += part.size() - 15;
        }
      }
      CHECK(disjoint(presented, to_issuer));
      CHECK(disjoint(presented, from_issuer));
      // fresh each time: no run of bytes comes twice
      CHECK(to_issuer.size() == requests);
      CHECK(from_issuer.size() == responses);
      CHECK(presented.size() == tokens);
    }
  }

  TEST_CASE("what hides a token from its issuer is drawn for it alone") {
    constexpr std::size_t batch = 32;
    std::set<std::string> nonces, factors;
    for (int i = 0; i < 4; ++i) {
      for (const auto& drawn : Withdrawal::draw(TokenType::ristretto, batch)) {
        CHECK(crypto::voprf::valid_scalar(drawn.factor.expose()));
        nonces.insert(hex(drawn.nonce)), factors.insert(hex(drawn.factor.expose()));
      }
    }
    CHECK(nonces.size() == 4 * batch);
    CHECK(factors.size() == 4 * batch);
  }

  TEST_CASE("what a client sends is not its input's element, which an issuer could look for") {
    const auto type = TokenType::ristretto;
    const auto withdrawal = Withdrawal::begin(
        samples::challenge(type), samples::issuer_key(type).public_key(), both, Form::batch, 8);
    const auto response = samples::issuer().answer(withdrawal->request(), Form::batch);
    const auto request = *parse_request(withdrawal->request(), Form::batch, both);
    const auto tokens = *withdrawal->finish(*response);
    ByteArray<32> one{std::byte{1}};
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      const auto input = parse_token(tokens[i], both)->input;
      const auto bare = crypto::voprf::blind(input, crypto::voprf::Scalar::copy_of(one));
      CHECK(hex(*bare) != hex(request.blinded[i]));
    }
  }

  TEST_CASE("a token with any byte changed is not redeemed") {
    const Redeemer redeemer(both, samples::one(samples::epoch()));
    for (const auto type : types) {
      const auto token = samples::tokens(type, samples::challenge(type)).front();
      for (std::size_t at = 0; at < token.size(); ++at) {
        CAPTURE(at);
        const auto* expected = at < 2    ? "unsupported"
                               : at < 34 ? "forged"  // the nonce
                               : at < 66 ? "audience"
                               : at < 98 ? "unknown_key"
                                         : "forged";
        CHECK(verdict(redeemer, samples::flipped(token, at)) == expected);
      }
    }
  }

  TEST_CASE("tokens for another origin, of another key, of an epoch that is over") {
    for (const auto type : types) {
      const auto token = samples::tokens(type, samples::challenge(type)).front();
      const auto elsewhere = samples::tokens(type, samples::challenge(type, "other.test")).front();
      const Redeemer redeemer(both, samples::one(samples::epoch()));
      CHECK(verdict(redeemer, elsewhere) == "audience");
      CHECK(verdict(redeemer, token, noon + seconds(3599)) == "ok");
      CHECK(verdict(redeemer, token, noon + seconds(3600)) == "expired");
      // a wall clock set back revives nothing, nor does one set ahead of it
      CHECK(verdict(redeemer, token, Moment(noon + seconds(3600), noon)) == "expired");
      CHECK(verdict(redeemer, token, Moment(noon, noon + seconds(3600))) == "expired");

      auto keyless = samples::epoch();
      std::erase_if(keyless.keys,
                    [&](const RedeemerKey& key) { return key.public_key().type == type; });
      CHECK(verdict(Redeemer(both, samples::one(std::move(keyless))), token) == "unknown_key");
    }
    CHECK(verdict(Redeemer(both, {}),
                  samples::tokens(TokenType::ristretto,
                                  samples::challenge(TokenType::ristretto))[0]) == "audience");
  }

  TEST_CASE("an epoch that has not begun, by either clock, takes nothing: nothing is spent in it") {
    const Redeemer redeemer(both, samples::one(samples::epoch()));
    const auto early = noon - seconds(1);
    for (const auto type : types) {
      const auto token = samples::tokens(type, samples::challenge(type)).front();
      CHECK(verdict(redeemer, token, early) == "early");
      CHECK(verdict(redeemer, token, Moment(early, noon)) == "early");
      CHECK(verdict(redeemer, token, Moment(noon, early)) == "early");
      CHECK(verdict(redeemer, token, noon) == "ok");
      CHECK(redeemer.look(token, samples::origin, early).error() == Refusal::early());
    }
    auto backwards = samples::epoch();
    backwards.begins = backwards.redeems_until;
    CHECK_THROWS_AS(Redeemer(both, samples::one(std::move(backwards))), std::invalid_argument);
  }

  TEST_CASE("a token for one origin is none at another that the same redeemer serves") {
    const auto type = TokenType::ristretto;
    const auto one = samples::challenge(type, "a.example"),
               two = samples::challenge(type, "b.example");
    const auto shared = samples::challenge(type, "a.example,b.example");
    const auto any = samples::challenge(type, ""), comma = samples::challenge(type, ",");
    auto epoch = samples::epoch();
    epoch.challenges = {one, two, shared, any, comma};
    const Redeemer redeemer(both, samples::one(std::move(epoch)));
    const struct {
      const Bytes& challenge;
      const char *at_a, *at_b, *at_c;
    } cases[] = {{one, "ok", "audience", "audience"},
                 {two, "audience", "ok", "audience"},
                 {shared, "ok", "ok", "audience"},
                 {any, "ok", "ok", "ok"},
                 {comma, "audience", "audience", "audience"}};
    for (const auto& c : cases) {
      const auto token = samples::tokens(type, c.challenge).front();
      CHECK(verdict(redeemer, token, noon, "a.example") == c.at_a);
      CHECK(verdict(redeemer, token, noon, "b.example") == c.at_b);
      CHECK(verdict(redeemer, token, noon, "c.example") == c.at_c);
      CHECK(verdict(redeemer, token, noon, "") == (&c.challenge == &any ? "ok" : "audience"));
    }
  }

  TEST_CASE("a token of one type is none for a challenge that asks for the other") {
    // a genuine token, over the digest of a challenge for blind RSA: no client of ours makes it
    const auto& key = samples::issuer_key(TokenType::ristretto);
    const Redeemer redeemer(both, samples::one(samples::epoch()));
    for (const auto asked : types) {
      const auto input =
          token_input(TokenTypes::ristretto_draft_code, Nonce{},
                      crypto::sha256(samples::challenge(asked)), key.public_key().id);
      const auto scalar = crypto::voprf::Scalar::copy_of(key.secret().expose().first<32>());
      const auto output = crypto::voprf::evaluate(scalar, input);
      Bytes token(input.begin(), input.end());
      token.insert(token.end(), output->begin(), output->end());
      REQUIRE(samples::redeemer_key(key).verify(*parse_token(token, both)));
      CHECK(verdict(redeemer, token) == (asked == TokenType::ristretto ? "ok" : "audience"));
    }
  }

  TEST_CASE("two epochs that overlap, each with its own keys, challenges and locations") {
    const auto later = noon + seconds(1800);
    for (const auto type : types) {
      const IssuerKey& first_key = samples::issuer_key(type);
      const auto second_key = IssuerKey::generate(type);
      const auto first = samples::challenge(type);
      const auto second = *write_challenge(
          {type, "issuer.example", ByteArray<32>{std::byte{2}}, samples::origin}, both);
      std::vector<RedeemerEpoch> epochs;
      epochs.push_back({{std::byte{1}},
                        noon,
                        noon + seconds(3600),
                        {},
                        {first},
                        crypto::HmacSha256(as_bytes("location key 1"))});
      epochs.push_back({{std::byte{2}},
                        later,
                        later + seconds(3600),
                        {},
                        {second},
                        crypto::HmacSha256(as_bytes("location key 2"))});
      epochs[0].keys.push_back(samples::redeemer_key(first_key));
      epochs[1].keys.push_back(samples::redeemer_key(second_key));
      const Redeemer redeemer(both, std::move(epochs));

      const struct {
        const IssuerKey& key;
        const Bytes& challenge;
        const char *before, *at_noon, *while_both, *first_over, *both_over;
      } cases[] = {
          {first_key, first, "early", "ok", "ok", "expired", "expired"},
          {second_key, second, "early", "early", "ok", "ok", "expired"},
          {first_key, second, "early", "early", "unknown_key", "unknown_key", "expired"},
          {second_key, first, "early", "unknown_key", "unknown_key", "expired", "expired"},
      };
      for (const auto& c : cases) {
        const auto token = samples::token_by(c.key, c.challenge);
        CHECK(verdict(redeemer, token, noon - seconds(1)) == c.before);
        CHECK(verdict(redeemer, token, noon) == c.at_noon);
        CHECK(verdict(redeemer, token, later) == c.while_both);
        CHECK(verdict(redeemer, token, noon + seconds(3600)) == c.first_over);
        CHECK(verdict(redeemer, token, later + seconds(3600)) == c.both_over);
        const auto prospect = redeemer.look(token, samples::origin, later);
        if (!prospect) continue;
        const bool is_first = &c.challenge == &first;
        CHECK(prospect->epoch == &redeemer.epochs()[is_first ? 0 : 1]);
        Location expected;
        crypto::HmacSha256(as_bytes(is_first ? "location key 1" : "location key 2"))
            .tag(BytesView(token).first(98), expected);
        CHECK(prospect->location == expected);
      }
    }
  }

  TEST_CASE("a location depends on the first 98 bytes and on the epoch's key alone") {
    const auto challenge = samples::challenge(TokenType::blind_rsa);
    const auto token = samples::tokens(TokenType::blind_rsa, challenge).front();
    const Redeemer redeemer(both, samples::one(samples::epoch()));
    const Redeemer other(both, samples::one(samples::epoch("another key")));
    const auto location = redeemer.look(token, samples::origin, noon)->location;

    CHECK(redeemer.look(samples::flipped(token, 200), samples::origin, noon)->location == location);
    CHECK(redeemer.look(samples::flipped(token, 2), samples::origin, noon)->location != location);
    CHECK(redeemer.look(samples::flipped(token, 33), samples::origin, noon)->location != location);
    CHECK(other.look(token, samples::origin, noon)->location != location);
  }

  TEST_CASE("a challenge belongs to one epoch") {
    std::vector<RedeemerEpoch> epochs;
    epochs.push_back(samples::epoch());
    epochs.push_back(samples::epoch("another key"));
    CHECK_THROWS_AS(Redeemer(both, std::move(epochs)), std::invalid_argument);
    auto nonsense = samples::epoch();
    nonsense.challenges.push_back(to_bytes(as_bytes("no challenge")));
    CHECK_THROWS_AS(Redeemer(both, samples::one(std::move(nonsense))), std::invalid_argument);
  }

  TEST_CASE("an issuer refuses what it cannot answer") {
    const auto issuer = samples::issuer();
    for (const auto type : types) {
      const auto request =
          Withdrawal::begin(samples::challenge(type), samples::issuer_key(type).public_key(), both)
              ->request();
      CHECK(issuer.answer(request, Form::single).has_value());
      CHECK(issuer.answer(samples::flipped(request, 0), Form::single).error() ==
            Rejection::unsupported);
      CHECK(issuer.answer(samples::flipped(request, 2), Form::single).error() ==
            Rejection::unknown_key);
      auto unfit = request;
      std::fill(unfit.begin() + 3, unfit.end(), std::byte{0xff});  // above modulus or prime
      CHECK(issuer.answer(unfit, Form::single).error() == Rejection::malformed);
    }
    Bytes identity = {std::byte{0}, std::byte{5}, std::byte{0}};
    identity[2] = samples::issuer_key(TokenType::ristretto).public_key().id.back();
    identity.resize(35);
    CHECK(issuer.answer(identity, Form::single).error() == Rejection::malformed);
  }

  TEST_CASE("an issuer takes no second key with the same type and truncated id") {
    Issuer issuer(both);
    const auto& key = samples::issuer_key(TokenType::ristretto);
    CHECK(issuer.add(samples::copy_of(key)).has_value());
    CHECK(issuer.add(samples::copy_of(key)).error() == Rejection::bad_key);
  }

  TEST_CASE("a client refuses answers that are not by the key it asked for") {
    for (const auto type : types) {
      const auto& key = samples::issuer_key(type).public_key();
      const auto withdrawal = Withdrawal::begin(samples::challenge(type), key, both);
      const auto response = *samples::issuer().answer(withdrawal->request(), Form::single);
      CHECK(withdrawal->finish(response).has_value());

      CHECK(withdrawal->finish(samples::flipped(response, 40)).error() == Rejection::forged);
      CHECK(withdrawal->finish(BytesView(response).first(response.size() - 1)).error() ==
            Rejection::malformed);
      CHECK(withdrawal->finish({}).error() == Rejection::malformed);
      const auto other = Withdrawal::begin(samples::challenge(type), key, both);
      CHECK(withdrawal->finish(*samples::issuer().answer(other->request(), Form::single)).error() ==
            Rejection::forged);
      // another key in the place of the one that was asked for tells clients apart; it may
      // be that a smaller modulus does not even sign
      const auto foreign = IssuerKey::generate(type);
      const auto request = parse_request(withdrawal->request(), Form::single, both);
      const auto answer = foreign.issue(*request, Form::single);
      CHECK((answer ? withdrawal->finish(*answer).error() : Rejection::forged) ==
            Rejection::forged);
    }
  }

  TEST_CASE("a batch is all or nothing") {
    const auto type = TokenType::ristretto;
    const auto& key = samples::issuer_key(type).public_key();
    const auto withdrawal = Withdrawal::begin(samples::challenge(type), key, both, Form::batch, 3);
    const auto response = *samples::issuer().answer(withdrawal->request(), Form::batch);
    const auto parsed = *parse_response(response, type, Form::batch);

    auto fewer = parsed;
    fewer.evaluated.pop_back();
    CHECK(withdrawal->finish(*write_response(fewer, type, Form::batch)).error() ==
          Rejection::malformed);
    auto swapped = parsed;
    std::swap(swapped.evaluated[0], swapped.evaluated[1]);
    CHECK(withdrawal->finish(*write_response(swapped, type, Form::batch)).error() ==
          Rejection::forged);
  }

  TEST_CASE("a client asks for what there is") {
    const auto& rsa = samples::issuer_key(TokenType::blind_rsa).public_key();
    const auto& ristretto = samples::issuer_key(TokenType::ristretto).public_key();
    const auto challenge = samples::challenge(TokenType::blind_rsa);
    const auto batched = samples::challenge(TokenType::ristretto);

    CHECK(Withdrawal::begin(challenge, ristretto, both).error() == Rejection::bad_key);
    CHECK(Withdrawal::begin(as_bytes("x"), rsa, both).error() == Rejection::malformed);
    CHECK(Withdrawal::begin(challenge, rsa, both, Form::single, 2).error() == Rejection::malformed);
    CHECK(Withdrawal::begin(challenge, rsa, both, Form::batch, 2).error() ==
          Rejection::unsupported);
    CHECK(Withdrawal::begin(batched, ristretto, both, Form::batch, 0).error() ==
          Rejection::malformed);
    CHECK(Withdrawal::begin(batched, ristretto, both, Form::batch, 257).error() ==
          Rejection::malformed);
    CHECK(Withdrawal::begin(batched, ristretto, TokenTypes()).error() == Rejection::unsupported);
  }

  TEST_CASE("keys load from what they were stored as, and from nothing else") {
    for (const auto type : types) {
      const auto& key = samples::issuer_key(type);
      CHECK(samples::copy_of(key).public_key() == key.public_key());
      CHECK_FALSE(IssuerKey::load(type, as_bytes("not a key")).has_value());
      CHECK_FALSE(IssuerKey::load(type, {}).has_value());
    }
    CHECK(IssuerKey::load(TokenType::ristretto, Bytes(32)).error() == Rejection::bad_key);
    CHECK(RedeemerKey::ristretto(Bytes(32, std::byte{0xff})).error() == Rejection::bad_key);
    CHECK(RedeemerKey::blind_rsa(samples::issuer_key(TokenType::ristretto).public_key()).error() ==
          Rejection::bad_key);
  }
}

}  // namespace ticket::token
