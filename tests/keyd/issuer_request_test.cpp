#include "issuer_request.hpp"

#include <doctest/doctest.h>

#include "token/directory.hpp"

using namespace keyd::issuer;
using ticket::token::Form;
using ticket::token::TokenTypes;

namespace {

Asked post(std::string_view type) {
  Asked asked;
  asked.method = "POST";
  asked.target = request_path;
  asked.content_type = type;
  return asked;
}

Asked get(std::string_view target) {
  Asked asked;
  asked.method = "GET";
  asked.target = target;
  return asked;
}

int status_of(const Asked& asked) {
  const auto request = parse_request(asked);
  return request ? 200 : request.error().status;
}

}  // namespace

TEST_SUITE("issuer request") {
  TEST_CASE("the directory is had by GET and HEAD") {
    auto asked = get(ticket::token::directory_path);
    for (const auto* method : {"GET", "HEAD"}) {
      asked.method = method;
      const auto request = parse_request(asked);
      REQUIRE(request.has_value());
      CHECK(std::holds_alternative<DirectoryRequest>(*request));
    }
    for (const auto* method : {"POST", "PUT", "get", "OPTIONS", ""}) {
      CAPTURE(method);
      asked.method = method;
      const auto request = parse_request(asked);
      REQUIRE_FALSE(request.has_value());
      CHECK(request.error().status == 405);
      CHECK(request.error().allow == "GET, HEAD");
    }
  }

  TEST_CASE("the media type says whether it is one token or a batch") {
    struct {
      const char* type;
      std::optional<Form> form;
    } const cases[] = {
        {"application/private-token-request", Form::single},
        {"Application/Private-Token-Request", Form::single},
        {"application/private-token-request ; charset=utf-8", Form::single},
        {"application/private-token-amortized-batch-request", Form::batch},
        {"application/private-token-response", std::nullopt},
        {"application/private-token-requests", std::nullopt},
        {"application/json", std::nullopt},
        {"", std::nullopt},
        {";", std::nullopt},
    };
    for (const auto& one : cases) {
      CAPTURE(one.type);
      const auto request = parse_request(post(one.type));
      REQUIRE(request.has_value() == one.form.has_value());
      if (request) {
        CHECK(std::get<TokensRequest>(*request).form == *one.form);
      } else {
        CHECK(request.error().status == 415);
      }
    }
  }

  TEST_CASE("tokens are asked for by POST alone") {
    auto asked = post(ticket::token::request_media_type);
    asked.method = "GET";
    const auto request = parse_request(asked);
    REQUIRE_FALSE(request.has_value());
    CHECK(request.error().status == 405);
    CHECK(request.error().allow == "POST");
  }

  TEST_CASE("paths are compared whole, queries are passed over, a server may stand before") {
    const std::string path(ticket::token::directory_path);
    struct {
      std::string target;
      int status;
    } const cases[] = {
        {path, 200},
        {path + "?fresh=1", 200},
        {"https://issuer.example" + path, 200},
        {"HTTP://issuer.example:8443" + path + "?x", 200},
        {"https://issuer.example", 404},
        {path + "/", 404},
        {"/" + path, 404},
        {path.substr(1), 404},
        {"/.well-known/private-token-issuer-director", 404},
        {"/", 404},
        {"*", 404},
        {"", 404},
        {"/v1/pools/web/bundle", 404},
        {"/token-request", 405},
        {"/token-request/", 404},
        {"/%74oken-request", 404},
    };
    for (const auto& one : cases) {
      CAPTURE(one.target);
      CHECK(status_of(get(one.target)) == one.status);
    }
  }

  TEST_CASE("a field that decides may not stand twice") {
    auto asked = post(ticket::token::request_media_type);
    asked.twice = "Content-Type";
    const auto request = parse_request(asked);
    REQUIRE_FALSE(request.has_value());
    CHECK(request.error().status == 400);
    CHECK(request.error().text == "the field Content-Type stands more than once");
  }

  TEST_CASE("the tokens of a body are counted before anything is done with them") {
    const TokenTypes rsa_only, both(0x0005);
    const std::string rsa = std::string("\0\2k", 3) + std::string(256, 'x');
    const std::string one = std::string("\0\5k", 3) + std::string(32, 'x');
    const std::string three = std::string("\0\5k\x40\x60", 5) + std::string(96, 'x');
    struct {
      const char* what;
      std::string body;
      Form form;
      const TokenTypes& types;
      std::size_t count;  // 0: 422
    } const cases[] = {
        {"blind RSA", rsa, Form::single, rsa_only, 1},
        {"blind RSA in batches", rsa, Form::batch, rsa_only, 0},
        {"cut short", rsa.substr(0, 258), Form::single, rsa_only, 0},
        {"too long", rsa + "x", Form::single, rsa_only, 0},
        {"ristretto", one, Form::single, both, 1},
        {"ristretto where it is off", one, Form::single, rsa_only, 0},
        {"a batch", three, Form::batch, both, 3},
        {"a batch as if it were one", three, Form::single, both, 0},
        {"a batch cut short", three.substr(0, 100), Form::batch, both, 0},
        {"a batch of 2^62 bytes", std::string("\0\5k", 3) + std::string(8, '\xff') + one,
         Form::batch, both, 0},
        {"nothing", "", Form::single, both, 0},
    };
    for (const auto& one_case : cases) {
      CAPTURE(one_case.what);
      const auto count = count_tokens(one_case.body, one_case.form, one_case.types);
      CHECK(count.value_or(0) == one_case.count);
      if (!count) CHECK(count.error().status == 422);
    }
  }

  TEST_CASE("a bearer's secret is what follows its scheme") {
    struct {
      const char* field;
      const char* secret;
    } const cases[] = {
        {"Bearer abc", "abc"},    {"bearer  a-b._~+/c== ", "a-b._~+/c=="},
        {"Bearer", ""},           {"Bearer ", ""},
        {"Basic abc", ""},        {"Bearerabc", ""},
        {"Bearer a b", ""},       {"Bearer \"abc\"", ""},
        {"PrivateToken abc", ""}, {"", ""},
        {"Bearer \xc3\xa9", ""},
    };
    for (const auto& one : cases) {
      CAPTURE(one.field);
      CHECK(bearer_of(one.field) == one.secret);
    }
  }

  TEST_CASE("If-None-Match names a tag alone, among others, weakly, or all") {
    for (const auto* field : {"\"a\"", " \"b\" , \"a\"", "W/\"a\"", "*"}) {
      CAPTURE(field);
      CHECK(names_tag(field, "\"a\""));
    }
    for (const auto* field : {"", "a", "\"b\"", "\"a", "\"aa\"", ",,", "\"a \""}) {
      CAPTURE(field);
      CHECK_FALSE(names_tag(field, "\"a\""));
    }
  }
}
