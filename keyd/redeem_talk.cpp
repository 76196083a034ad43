#include "redeem_talk.hpp"

#include <fmt/format.h>

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>

namespace keyd {

namespace http = boost::beast::http;
using ticket::BytesView;
using ticket::redeem::Outcome;

namespace {

using Request = http::request<http::empty_body>;

constexpr std::string_view head_end = "\r\n\r\n";
constexpr auto path = "/redeem";

std::string_view view(boost::beast::string_view text) { return {text.data(), text.size()}; }

const char* reason(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 401:
      return "Unauthorized";
    case 404:
      return "Not Found";
    case 431:
      return "Request Header Fields Too Large";
    case 503:
      return "Service Unavailable";
    default:
      return "Bad Request";
  }
}

// A field that goes on on the next line, which nobody writes and the parser would join
// (RFC 9112 section 5.2).
bool folded(std::string_view head) {
  return head.find("\r\n ") != std::string_view::npos ||
         head.find("\r\n\t") != std::string_view::npos;
}

// What a question says wrong, for people.
struct Wrong {
  int status;
  std::string_view why;
};

// "origin=NAME" and nothing else; empty when there is no query.
tl::expected<std::string_view, Wrong> origin_in_query(std::string_view query) {
  constexpr std::string_view name = "origin=";
  if (query.empty()) return query;
  const bool plain = query.find_first_of("&%+") == std::string_view::npos;
  if (!query.starts_with(name) || !plain) {
    return tl::unexpected(Wrong{400, "the query is ?origin=NAME and nothing else"});
  }
  return query.substr(name.size());
}

// Who asks says which origin, in one place. A client's own X-Ticket-Origin, passed on by a
// server that names another one in the query, is a contradiction and gets nothing.
tl::expected<std::string, Wrong> origin_of(const Request& request) {
  const auto target = view(request.target());
  const auto question = target.find('?');
  if (target.substr(0, question) != path) {
    return tl::unexpected(Wrong{404, "there is /redeem"});
  }
  const auto query = question == std::string_view::npos ? "" : target.substr(question + 1);
  const auto in_query = origin_in_query(query);
  if (!in_query) return tl::unexpected(in_query.error());
  const auto count = request.count("X-Ticket-Origin");
  const auto in_field = count == 1 ? view(request["X-Ticket-Origin"]) : std::string_view();
  if (count > 1 || (!in_field.empty() && !in_query->empty() && in_field != *in_query)) {
    return tl::unexpected(Wrong{400, "two origins"});
  }
  const auto origin = in_query->empty() ? in_field : *in_query;
  if (origin.empty()) {
    return tl::unexpected(Wrong{400, "no origin: X-Ticket-Origin, or ?origin=NAME"});
  }
  return std::string(origin);
}

}  // namespace

std::size_t RedeemTalk::handle(BytesView bytes) {
  const auto end_at = ticket::as_text(bytes).find(head_end);
  const auto size = end_at == std::string_view::npos ? bytes.size() : end_at + head_end.size();
  if (size > most_head) {
    refuse(431, "a head of more than 16 KiB");
    return bytes.size();
  }
  if (end_at == std::string_view::npos) return 0;
  http::request_parser<http::empty_body> parser;
  parser.header_limit(most_head);
  boost::system::error_code error;
  parser.put(boost::asio::buffer(bytes.data(), size), error);
  if (folded(ticket::as_text(bytes.first(size)))) {
    refuse(400, "a field that goes on on the next line");
    return bytes.size();
  }
  if (error || !parser.is_done()) {
    refuse(400, "not a request without a body: HTTP/1.1 GET, no Content-Length");
    return bytes.size();
  }
  const auto& request = parser.get();
  const auto origin = origin_of(request);
  if (!origin) {
    refuse(origin.error().status, origin.error().why);
    return bytes.size();
  }
  const Turn turn{request.method() == http::verb::head, parser.keep_alive()};
  const auto fields = request.count(http::field::authorization);
  std::optional<std::string_view> authorization;
  if (fields == 1) authorization = view(request[http::field::authorization]);
  if (fields > 1) authorization = "PrivateToken";  // which of them? none: malformed
  begun();
  desk_.redeem(authorization, *origin,
               [weak = weak_from_this(), turn, origin = *origin](Outcome outcome) {
                 const auto self = weak.lock();
                 if (self) static_cast<RedeemTalk&>(*self).tell(turn, origin, outcome);
               });
  return size;
}

void RedeemTalk::tell(const Turn& turn, const std::string& origin, Outcome outcome) {
  auto fields = fmt::format("X-Ticket-Token: {}\r\n", ticket::redeem::to_text(outcome));
  const bool known = outcome != Outcome::unknown;
  const auto challenge = known && outcome != Outcome::ok ? desk_.challenge(origin) : std::string();
  if (outcome == Outcome::ok) {
    respond(turn, 200, fields, "");
  } else if (challenge.empty()) {  // or there is none to be had, so a 401 would say nothing
    respond(turn, 503, fields, "tokens cannot be checked now\n");
  } else {
    fields += "WWW-Authenticate: " + challenge + "\r\n";
    respond(turn, 401, fields, "a token is needed\n");  // whatever was wrong with this one
  }
  answered();
}

void RedeemTalk::refuse(int status, std::string_view why) {
  respond({}, status, "", std::string(why) + "\n");
}

void RedeemTalk::respond(const Turn& turn, int status, const std::string& fields,
                         std::string_view body) {
  say(ticket::as_bytes(fmt::format(
      "HTTP/1.1 {} {}\r\nServer: keyd\r\nCache-Control: no-store\r\n{}{}"
      "Content-Length: {}\r\nConnection: {}\r\n\r\n{}",
      status, reason(status), body.empty() ? "" : "Content-Type: text/plain\r\n", fields,
      body.size(), turn.keep_alive ? "keep-alive" : "close", turn.head_only ? "" : body)));
  if (!turn.keep_alive) end();
}

}  // namespace keyd
