// ticketctl token redeem: present a token once, and tell the answer.
#include <iostream>
#include <nlohmann/json.hpp>

#include "endpoint.hpp"
#include "text.hpp"
#include "token.hpp"
#include "token/header.hpp"
#include "token_text.hpp"

namespace ticketctl {

using namespace ticket;

namespace {

struct Verdict {
  const char* outcome;
  std::string text;
  ExitCode code = exit_no;
};

Verdict verdict_of(const HttpAnswer& answer) {
  const auto status = std::to_string(answer.status);
  if (answer.status >= 200 && answer.status < 400) {
    return {"accepted", "accepted (" + status + "); from now on it is spent", exit_ok};
  }
  const auto challenges = token::parse_authenticate(answer.authenticate);
  const bool asks = challenges && !challenges->empty();
  if (answer.status == 401 && !answer.token_outcome.empty()) {
    return {"refused", "refused (401): " + answer.token_outcome};
  }
  if (answer.status == 401 && asks) {
    return {"refused",
            "refused (401): spent before, or not for here; which of them a server tells nobody, "
            "but its log ($ticket_token) and `token redeem --agent` do"};
  }
  if (answer.status == 503) {
    return {"unknown",
            "not taken (503): whether it was spent cannot be told now; it may be good "
            "later"};
  }
  return {"other", "the answer is " + status + ", which says nothing about the token"};
}

struct Place {
  HttpRequest request;
  HttpOptions http;
};

// --agent takes HOST:PORT, or the path of a Unix socket.
Place agent_place(const CommandLine& line) {
  const auto where = line.text("agent");
  const auto origin = line.required("origin");
  Place place{{.url = "http://localhost/redeem", .headers = {"X-Ticket-Origin: " + origin}},
              http_options(line)};
  if (where.find('/') != std::string::npos) {
    place.http.unix_socket = where;
    return place;
  }
  const auto endpoint = parse_endpoint(where);
  if (!endpoint) throw bad_input("--agent takes HOST:PORT or the path of a socket, not " + where);
  if (!is_loopback(endpoint->host)) {
    throw bad_input("--agent: " + where + " is not on this machine, and it speaks plain HTTP");
  }
  place.request.url = "http://" + to_text(*endpoint) + "/redeem";
  return place;
}

Place place_of(const CommandLine& line) {
  if (line.has("url") == line.has("agent")) {
    throw bad_input("where? One of --url and --agent\nUsage: ticketctl " + line.usage);
  }
  if (line.has("agent")) return agent_place(line);
  if (line.has("origin")) throw bad_input("--origin is for --agent; a URL has its own");
  return {{.url = line.text("url")}, http_options(line)};
}

}  // namespace

int redeem_token(int argc, const char* const* argv) {
  CommandLine line("token redeem TOKEN|FILE|- (--url URL | --agent WHERE --origin NAME) [OPTIONS]",
                   "Presents a token once, as a client's GET of URL or to an agent's /redeem, and\n"
                   "tells the answer. If it is accepted it is spent.\n",
                   "ticketctl token get --url https://www.example.org/ | ticketctl token redeem - "
                   "\\\n    --url https://www.example.org/");
  line.exit_codes = "0 accepted; 1 not; 2 usage or bad input; 3 no answer";
  line.add()("url", "What opens for a token", cxxopts::value<std::string>(), "URL")(
      "agent", "An agent's `http` of [[tokens]], HOST:PORT", cxxopts::value<std::string>(),
      "WHERE")("origin", "For --agent: the server that the token is for",
               cxxopts::value<std::string>(), "NAME");
  add_http_options(line);
  line.add()("json", "Print JSON");
  if (!line.parse(argc, argv, "TOKEN")) return exit_ok;

  const auto bytes = read_token(text_or_file(line.required("TOKEN")));
  if (!bytes) throw bad_input("the token: " + bytes.error());
  auto place = place_of(line);
  place.request.headers.push_back("Authorization: " + token::write_authorization(*bytes));
  const auto answer = HttpClient(place.http).send(place.request);
  const auto verdict = verdict_of(answer);
  if (line.flag("json")) {
    std::cout << nlohmann::ordered_json{{"outcome", verdict.outcome}, {"status", answer.status}}
              << "\n";
  } else {
    std::cout << verdict.text << "\n";
  }
  return verdict.code;
}

}  // namespace ticketctl
