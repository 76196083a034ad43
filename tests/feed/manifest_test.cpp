#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "feed/bundle.hpp"
#include "support/rings.hpp"

namespace ticket::feed {

using namespace test;
using nlohmann::json;

namespace {

Manifest full() {
  Manifest manifest;
  manifest.pool = "web";
  manifest.generation = 1'790'000'000'000;
  manifest.issued_at = noon;
  manifest.epochs = hourly(1, 2);
  manifest.not_after = manifest.epochs.back().opens_until;
  manifest.members = {{1, "web1"}};
  manifest.revocations = {{1, noon, noon + 1h}};
  manifest.policy.unattributed = ring::Unattributed::refuse;
  manifest.next_signer = crypto::SignerPublic{std::byte{1}};
  manifest.tokens =
      TokenNotice{"issuer.example",
                  "a.test,b.test",
                  {{1, {std::byte{2}}, noon, noon + 1h, noon + 2h, {{2, {std::byte{3}}}}}}};
  return manifest;
}

}  // namespace

TEST_SUITE("manifest") {
  TEST_CASE("it comes back as it went") {
    const auto text = write_manifest(full());
    const auto parsed = parse_manifest(text);
    REQUIRE(parsed.has_value());
    CHECK(write_manifest(*parsed) == text);
    CHECK(parsed->policy == full().policy);
    CHECK(parsed->epochs == full().epochs);
    CHECK(parsed->next_signer == full().next_signer);
    CHECK(parsed->tokens == full().tokens);
  }

  TEST_CASE("unknown fields are left to later versions") {
    auto object = json::parse(write_manifest(full()));
    object["colour"] = "blue";
    CHECK(parse_manifest(object.dump()).has_value());
  }

  TEST_CASE("every truncation is malformed") {
    const auto text = write_manifest(full());
    for (std::size_t size = 0; size < text.size(); ++size) {
      CAPTURE(size);
      CHECK(parse_manifest(text.substr(0, size)).error() == Rejection::malformed);
    }
  }

  TEST_CASE("what is missing, of another type or out of range is malformed") {
    struct {
      const char* where;
      json value;
    } const cases[] = {
        {"/version", 2},
        {"/version", "1"},
        {"/pool", ""},
        {"/pool", 7},
        {"/pool", std::string(256, 'x')},
        {"/generation", 0},
        {"/generation", -1},
        {"/generation", 1.5},
        {"/generation", "1"},
        {"/issued_at", -1},
        {"/issued_at", 1e300},
        {"/not_after", 1},
        {"/policy", json::array()},
        {"/policy/lifetime", 0},
        {"/policy/lifetime", 4'000'000'000},
        {"/policy/publish_ahead", 1},
        {"/policy/unattributed", "perhaps"},
        {"/policy/unattributed", true},
        {"/tokens", 7},
        {"/tokens/issuer", nullptr},
        {"/tokens/origins", std::string(4097, 'x')},
        {"/tokens/epochs/0/id", "00"},
        {"/tokens/epochs/0/issues_from", -1},
        {"/tokens/epochs/0/keys/0/type", 65536},
        {"/tokens/epochs/0/keys/0/id", "zz"},
        {"/epochs", json::object()},
        {"/epochs/0/number", 0},
        {"/epochs/0/number", 2},
        {"/epochs/0/number", 4'294'967'296},
        {"/epochs/0/id", "00"},
        {"/epochs/0/id", json::parse(write_manifest(full()))["epochs"][1]["id"]},
        {"/epochs/0/id", std::string(32, 'g')},
        {"/epochs/0/seals_until", 1},
        {"/epochs/1/opens_until", 1'099'511'627'776},
        {"/epochs/0/burned", 0},
        {"/members/0/number", 0},
        {"/members/0/number", 65'536},
        {"/members/0/name", ""},
        {"/revocations/0/minter", -1},
        {"/next_signer", "AA"},
        {"/next_signer", 7},
    };
    for (const auto& test : cases) {
      CAPTURE(test.where);
      CAPTURE(test.value.dump());
      auto object = json::parse(write_manifest(full()));
      object[json::json_pointer(test.where)] = test.value;
      CHECK(parse_manifest(object.dump()).error() == Rejection::malformed);
    }
    const auto whole = json::parse(write_manifest(full()));
    for (auto field = whole.begin(); field != whole.end(); ++field) {
      CAPTURE(field.key());
      auto object = whole;
      object.erase(field.key());
      CHECK(parse_manifest(object.dump()).error() == Rejection::malformed);
    }
  }

  TEST_CASE("what is not JSON, or too deep, is malformed and harmless") {
    for (const std::string& text : {std::string(), std::string("nul"), std::string("[]"),
                                    std::string("\xff\xfe"), std::string(1'000'000, '[')}) {
      CHECK(parse_manifest(text).error() == Rejection::malformed);
      CHECK(parse_bundle(text).error() == Rejection::malformed);
    }
  }

  TEST_CASE("a bundle with anything but one spelling of base64url is malformed") {
    Bundle bundle{write_manifest(full()), {}, Bytes(80)};
    auto object = json::parse(write_bundle(bundle));
    for (const char* field : {"manifest", "signature", "secrets"}) {
      CAPTURE(field);
      for (const json& value : {json(7), json(nullptr), json("A"), json("AA=="), json("@@@@")}) {
        auto altered = object;
        altered[field] = value;
        CHECK(parse_bundle(altered.dump()).error() == Rejection::malformed);
      }
    }
  }
}

}  // namespace ticket::feed
