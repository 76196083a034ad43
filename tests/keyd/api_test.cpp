#include "api.hpp"

#include <doctest/doctest.h>

using namespace keyd::api;

TEST_SUITE("http api") {
  TEST_CASE("a bundle is asked for with what is known") {
    const auto parsed = parse_request(
        "GET", "/v1/pools/web/bundle?after=18446744073709551615&wait=300&applied=0&x=y");
    REQUIRE(parsed.has_value());
    const auto& request = std::get<BundleRequest>(*parsed);
    CHECK(request.pool == "web");
    CHECK(request.after == 18446744073709551615u);
    CHECK(request.wait == 300);
    CHECK(request.applied == 0);
    CHECK_FALSE(std::get<BundleRequest>(*parse_request("GET", "/v1/pools/web/bundle")).applied);
  }

  TEST_CASE("wraps and enrolments") {
    const auto wrap = std::get<WrapRequest>(*parse_request("GET", "/v1/pools/web/wraps/web-1.a"));
    CHECK(wrap.member == "web-1.a");
    CHECK(std::get<EnrolRequest>(*parse_request("PUT", "/v1/pools/web/members/self")).pool ==
          "web");
  }

  TEST_CASE("everything else is refused with a number that fits") {
    struct {
      const char* method;
      const char* target;
      int status;
    } const requests[] = {
        {"GET", "/", 404},
        {"GET", "", 404},
        {"GET", "/v1/pools", 404},
        {"GET", "/v1/pools//bundle", 404},
        {"GET", "/v1/pools/web/bundle/", 404},
        {"GET", "/v1/pools/a%2Fb/bundle", 404},
        {"GET", "/v1/pools/web/members/self", 405},
        {"POST", "/v1/pools/web/bundle", 405},
        {"HEAD", "/v1/pools/web/bundle", 405},
        {"GET", "/v1/pools/web/bundle?wait=301", 400},
        {"GET", "/v1/pools/web/bundle?after=-1", 400},
        {"GET", "/v1/pools/web/bundle?after=18446744073709551616", 400},
        {"GET", "/v1/pools/web/bundle?applied=", 400},
        {"GET", "/v1/pools/web/bundle?after=1x", 400},
    };
    for (const auto& request : requests) {
      CAPTURE(request.method);
      CAPTURE(request.target);
      const auto parsed = parse_request(request.method, request.target);
      REQUIRE_FALSE(parsed.has_value());
      CHECK(parsed.error().status == request.status);
    }
  }

  TEST_CASE("an enrolment has its four fields, of their types") {
    CHECK(parse_enrolment(R"({"chain":"c","sealing_key":"k","time":5,"signature":"s"})")->time ==
          5);
    for (const char* body :
         {"", "[]", "{}", R"({"chain":"c","sealing_key":"k","time":"5","signature":"s"})",
          R"({"chain":1,"sealing_key":"k","time":5,"signature":"s"})"}) {
      CAPTURE(body);
      CHECK(parse_enrolment(body).error().status == 400);
    }
  }
}
