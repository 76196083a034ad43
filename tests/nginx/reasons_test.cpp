// Why a ticket was not taken, in the words of $ticket_status, one reason after the other.
#include <doctest/doctest.h>

#include <algorithm>

#include "nginx/nginx.hpp"
#include "support/tls_visit.hpp"

using namespace nginx;
using support::Session;
using support::Tls;

namespace {

// The same session with a ticket of which one byte, counted from the end, is another.
Session altered(const Session& session, std::size_t from_the_end) {
  const unsigned char* ticket = nullptr;
  std::size_t size = 0;
  SSL_SESSION_get0_ticket(session.get(), &ticket, &size);
  std::string der(static_cast<std::size_t>(i2d_SSL_SESSION(session.get(), nullptr)), '\0');
  auto* out = reinterpret_cast<unsigned char*>(der.data());
  i2d_SSL_SESSION(session.get(), &out);
  const auto at = der.find(std::string(reinterpret_cast<const char*>(ticket), size));
  REQUIRE(at != std::string::npos);
  der[at + size - from_the_end] ^= 1;
  const auto* in = reinterpret_cast<const unsigned char*>(der.data());
  return Session(d2i_SSL_SESSION(nullptr, &in, static_cast<long>(der.size())), SSL_SESSION_free);
}

std::string status_in(const std::string& answer) {
  const auto begin = answer.find("<<");
  if (begin == std::string::npos) return answer;
  return answer.substr(begin + 2, answer.find(">>", begin) - begin - 2);
}

}  // namespace

TEST_SUITE("nginx: reasons") {
  TEST_CASE("$ticket_status says why a ticket was not taken") {
    const support::TempFolder folder;
    const Certificates certificates(folder / "web");
    RingFile ring(folder / "web.ring");
    ring.publish({{1, -1h, 14h, 30h}});
    const auto port = support::unused_port(), other = support::unused_port(),
               later = support::unused_port();
    const auto server = [&](std::uint16_t where, const std::string& name,
                            const std::string& more = "ticket_context www;") {
      return "server { listen 127.0.0.1:" + std::to_string(where) + " ssl; server_name " + name +
             "; " + certificates.of(name) + more + " return 200 \"<<$ticket_status>>\"; }\n";
    };
    const auto head = "ticket_ring " + ring.path().string() + ";\n";
    const Nginx now(
        folder / "now",
        http_block(folder / "now", head + server(port, "a.test") + server(port, "b.test") +
                                       server(port, "secure.test", "ticket_context secure;") +
                                       server(other, "a.test",
                                              "ticket_context www; ticket_session_id_context x;")));
    const Nginx in_13_hours(folder / "later",
                            http_block(folder / "later", head + server(later, "a.test")),
                            {"faketime", "-f", "+13h"});
    const struct {
      const char* says;
      std::uint16_t port;
      const char* name;
      std::size_t alter;  // a byte of the ticket, from its end; 0: none
    } cases[] = {
        {"resumed", port, "a.test", 0},      {"name", port, "b.test", 0},
        {"context", port, "secure.test", 0}, {"session", other, "a.test", 0},
        {"forged", port, "a.test", 1},       {"forged", port, "a.test", 40},
        {"expired", later, "a.test", 0},
    };
    for (const auto version : {Tls::v1_2, Tls::v1_3}) {
      const auto begun = support::visit({.port = port, .name = "a.test", .version = version});
      REQUIRE(begun.session);
      CHECK(status_in(begun.answer) == "new");
      for (const auto& each : cases) {
        CAPTURE(to_text(version));
        CAPTURE(each.says);
        CAPTURE(each.alter);
        const auto again = support::visit(
            {.port = each.port,
             .name = each.name,
             .version = version,
             .offer = each.alter == 0 ? begun.session : altered(begun.session, each.alter)});
        CHECK(again.ok);
        CHECK(again.reused == (each.says == std::string("resumed")));
        CHECK(status_in(again.answer) == each.says);
      }
    }
  }
}
