#include "redeem_talk.hpp"

#include <doctest/doctest.h>

#include "agent/fake_desk.hpp"
#include "agent/flips.hpp"

using keyd::RedeemTalk;
using test::FakeDesk;
using test::Outcome;
using ticket::Bytes;
using ticket::BytesView;

namespace {

constexpr auto authorization = "Authorization: PrivateToken token=\"AA==\"\r\n";

std::string request(const std::string& target, const std::string& fields = authorization,
                    const std::string& method = "GET") {
  return method + " " + target + " HTTP/1.1\r\nHost: keyd\r\n" + fields + "\r\n";
}

struct Conversation {
  FakeDesk desk;
  std::shared_ptr<RedeemTalk> talk = std::make_shared<RedeemTalk>(desk);

  std::string ask(const std::string& text) {
    talk->take(ticket::as_bytes(text));
    return output();
  }
  std::string output() { return std::string(ticket::as_text(talk->take_output())); }
};

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_SUITE("redeem talk") {
  TEST_CASE("promise 13: only a token that was spent now is a 200") {
    for (std::size_t i = 0; i < ticket::redeem::outcome_count; ++i) {
      Conversation with;
      with.desk.outcome = static_cast<Outcome>(i);
      const std::string name = ticket::redeem::to_text(with.desk.outcome);
      CAPTURE(name);

      const auto answer = with.ask(request("/redeem?origin=a.test"));

      const auto status = answer.substr(0, 12);
      const bool known = with.desk.outcome != Outcome::unknown;
      CHECK(status == (with.desk.outcome == Outcome::ok ? "HTTP/1.1 200"
                       : known                          ? "HTTP/1.1 401"
                                                        : "HTTP/1.1 503"));
      CHECK(has(answer, "X-Ticket-Token: " + name + "\r\n"));
      CHECK(has(answer, "WWW-Authenticate: PrivateToken challenge=\"AA==\"\r\n") ==
            (status == "HTTP/1.1 401"));
      CHECK(has(answer, "Cache-Control: no-store\r\n"));
    }
  }

  TEST_CASE("clients that are shown the body learn nothing of why") {
    std::string first;
    for (const auto outcome : {Outcome::replay, Outcome::invalid, Outcome::missing}) {
      Conversation with;
      with.desk.outcome = outcome;
      const auto answer = with.ask(request("/redeem?origin=a.test"));
      const auto body = answer.substr(answer.find("\r\n\r\n"));
      if (first.empty()) first = body;
      CHECK(body == first);
    }
  }

  TEST_CASE("while no token can be had for that origin it is a 503, and no empty 401") {
    Conversation with;
    with.desk.outcome = Outcome::missing;
    with.desk.challenged.clear();
    const auto answer = with.ask(request("/redeem?origin=a.test"));
    CHECK(has(answer, "HTTP/1.1 503 "));
    CHECK(has(answer, "X-Ticket-Token: missing\r\n"));
  }

  TEST_CASE("the origin comes in the query or in its field") {
    Conversation with;
    CHECK(has(with.ask(request("/redeem?origin=a.test")), " 200 "));
    CHECK(has(with.ask(request("/redeem", "X-Ticket-Origin: b.test\r\n")), " 200 "));
    CHECK(has(with.ask(request("/redeem?origin=c.test:8443", "X-Ticket-Origin: c.test:8443\r\n")),
              " 200 "));
    REQUIRE(with.desk.asked.size() == 3);
    CHECK(with.desk.asked[0].origin == "a.test");
    CHECK(with.desk.asked[0].authorization == "PrivateToken token=\"AA==\"");
    CHECK(with.desk.asked[1].origin == "b.test");
    CHECK_FALSE(with.desk.asked[1].authorization.has_value());
    CHECK(with.desk.asked[2].origin == "c.test:8443");
  }

  TEST_CASE("what is no question is told why, and asks nothing") {
    const struct {
      std::string request;
      const char* status;
      const char* why;
    } cases[] = {
        {request("/redeem"), " 400 ", "no origin"},
        {request("/redeem?origin="), " 400 ", "no origin"},
        {request("/redeem?host=a.test"), " 400 ", "the query is"},
        {request("/redeem?origin=a.test&origin=b.test"), " 400 ", "the query is"},
        {request("/redeem?origin=a%2etest"), " 400 ", "the query is"},
        {request("/redeem?origin=a.test", "X-Ticket-Origin: b.test\r\n"), " 400 ", "two origins"},
        {request("/redeem", "X-Ticket-Origin: a\r\nX-Ticket-Origin: b\r\n"), " 400 ",
         "two origins"},
        {request("/redeem/?origin=a.test"), " 404 ", "there is /redeem"},
        {request("/?origin=a.test"), " 404 ", "there is /redeem"},
        {request("/redeem?origin=a.test", "Content-Length: 3\r\n") + "abc", " 400 ",
         "without a body"},
        {request("/redeem?origin=a.test", "Transfer-Encoding: chunked\r\n"), " 400 ",
         "without a body"},
        {request("/redeem?origin=a.test", "Content-Length: 0\r\nContent-Length: 7\r\n"), " 400 ",
         "without a body"},
        {request("/redeem?origin=a.test", "X-Ticket-Origin : b\r\n"), " 400 ", ""},
        {request("/redeem", "X-Ticket-Origin: a.\r\n test\r\n"), " 400 ", "the next line"},
        {request("/redeem", "X-Ticket-Origin:\r\n\ta.test\r\n"), " 400 ", "the next line"},
        {"\x16\x03\x01 not HTTP\r\n\r\n", " 400 ", ""},
        {std::string(RedeemTalk::most_head + 1, 'x'), " 431 ", "16 KiB"},
        {request("/redeem?origin=a", "X: " + std::string(100'000, 'x') + "\r\n"), " 431 ",
         "16 KiB"},
    };
    for (const auto& c : cases) {
      Conversation with;
      CAPTURE(c.request.substr(0, 120));
      const auto answer = with.ask(c.request);
      CAPTURE(answer);
      CHECK(has(answer.substr(0, 14), c.status));
      CHECK(has(answer, c.why));
      CHECK(with.desk.asked.empty());
      CHECK(with.talk->over());
    }
  }

  TEST_CASE("two Authorization fields are no token") {
    Conversation with;
    static_cast<void>(
        with.ask(request("/redeem?origin=a.test", std::string(authorization) + authorization)));
    REQUIRE(with.desk.asked.size() == 1);
    CHECK(with.desk.asked[0].authorization == "PrivateToken");
  }

  TEST_CASE("requests of one connection are answered one after the other") {
    Conversation with;
    with.desk.at_once = false;
    const auto two = request("/redeem?origin=a.test") + request("/redeem?origin=b.test");

    CHECK(with.ask(two).empty());
    CHECK(with.desk.asked.size() == 1);
    with.desk.answer_first();
    CHECK(has(with.output(), "Connection: keep-alive\r\n"));
    REQUIRE(with.desk.asked.size() == 2);
    CHECK(with.desk.asked[1].origin == "b.test");
    with.desk.answer_first();
    CHECK(has(with.output(), " 200 "));
    CHECK_FALSE(with.talk->over());
  }

  TEST_CASE("HEAD gets no body, Connection: close ends, any method asks the same") {
    Conversation with;
    with.desk.outcome = Outcome::missing;
    const auto head = with.ask(request("/redeem?origin=a.test", "", "HEAD"));
    CHECK(head.ends_with("\r\n\r\n"));
    CHECK(
        has(with.ask(request("/redeem?origin=a.test", "Content-Length: 0\r\n", "POST")), " 401 "));
    CHECK_FALSE(with.talk->over());
    CHECK(has(with.ask(request("/redeem?origin=a.test", "Connection: close\r\n")), " 401 "));
    CHECK(with.talk->over());
  }

  TEST_CASE("every truncated and every flipped request ends well") {
    const auto whole = request("/redeem?origin=a.test");
    for (std::size_t size = 0; size < whole.size(); ++size) {
      Conversation with;
      CHECK(with.ask(whole.substr(0, size)).empty());
      CHECK(with.desk.asked.empty());
    }
    test::each_flip(ticket::to_bytes(ticket::as_bytes(whole)), [](const Bytes& flipped) {
      Conversation with;
      with.desk.outcome = Outcome::missing;
      const auto answer = with.ask(std::string(ticket::as_text(flipped)));
      CHECK_FALSE(has(answer, " 200 "));
    });
  }
}
