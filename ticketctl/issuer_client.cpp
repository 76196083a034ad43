#include "issuer_client.hpp"

#include <algorithm>

#include "certificate_authority.hpp"
#include "endpoint.hpp"
#include "text.hpp"
#include "token/client.hpp"
#include "wire/layout.hpp"

namespace ticketctl {

using namespace ticket;
using token::Form;

std::string IssuerPlace::directory_url() const {
  return (plain ? "http://" : "https://") + name + std::string(token::directory_path);
}

IssuerPlace issuer_place(const std::string& text, const std::string& what) {
  constexpr std::string_view http = "http://";
  IssuerPlace place{text, text.starts_with(http)};
  if (place.plain) place.name = text.substr(http.size());
  const auto endpoint = parse_endpoint(place.name);
  if (!endpoint && !is_host(place.name)) {
    throw bad_input(what + printable(text) + ": no issuer's name, which is HOST or HOST:PORT");
  }
  if (place.plain && !is_loopback(endpoint ? endpoint->host : place.name)) {
    throw bad_input(what + printable(text) +
                    ": plain HTTP is for issuers on this machine (127.0.0.1, localhost) alone");
  }
  std::ranges::transform(place.name, place.name.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return place;
}

namespace {

HttpOptions with_certificate(HttpOptions http, const Attestation& attestation) {
  http.certificate = attestation.certificate;
  http.key = attestation.key;
  return http;
}

CommandError strange(const std::string& url, const std::string& what) {
  return {exit_unreachable, printable(url) + ": " + what + ": is that an issuer of tokens?"};
}

std::string when(const HttpAnswer& answer) {
  return answer.retry_after.empty() ? "; try again later"
                                    : "; try again in " + answer.retry_after + " s";
}

// What an issuer says in other words than a response.
CommandError refused(const std::string& url, const HttpAnswer& answer) {
  const auto no = [&](const std::string& why) {
    return CommandError(exit_no, printable(url) + ": the issuer says no (" +
                                     std::to_string(answer.status) + "): " + why);
  };
  switch (answer.status) {
    case 401:
    case 403:
      return no("it does not know who you are; --cert and --key, or --secret-file, show it");
    case 415:
      return no("it does not speak this kind of request; perhaps another --type");
    case 422:
      return no(
          "not a key or type that it issues with now; with --url, try again: its keys may "
          "have changed meanwhile");
    case 429:
      return no("your budget of tokens is spent" + when(answer));
    case 503:
      return no("it cannot issue now; `ticketctl issuer status` beside it says why" + when(answer));
    default:
      return strange(url, "answers " + std::to_string(answer.status));
  }
}

}  // namespace

IssuerClient::IssuerClient(IssuerPlace place, HttpOptions http, Attestation attestation)
    : place_(std::move(place)),
      attestation_(std::move(attestation)),
      http_(with_certificate(std::move(http), attestation_)) {}

token::Directory IssuerClient::directory() {
  const auto url = place_.directory_url();
  const auto answer = http_.send({.url = url});
  if (answer.status == 503) throw refused(url, answer);
  if (answer.status != 200) throw strange(url, "answers " + std::to_string(answer.status));
  auto directory = token::parse_directory(as_text(answer.body));
  if (!directory) throw strange(url, "what it publishes is no directory (RFC 9578, section 4)");
  return *std::move(directory);
}

// Another place than the directory's would be shown who asks; a weaker one, what is asked.
std::string IssuerClient::request_url(const token::Directory& directory) const {
  const auto base = place_.directory_url();
  auto url = resolved_url(base, directory.request_uri);
  const auto there = url_parts(url), here = url_parts(base);
  const bool moved = there.host != here.host || there.port != here.port;
  if (there.scheme != here.scheme || (moved && attestation_.any())) {
    throw CommandError(exit_no, base + ": its directory sends requests to " + printable(url) +
                                    ", elsewhere than the issuer itself; what shows who you are "
                                    "is not sent there");
  }
  return url;
}

Bytes IssuerClient::request(const std::string& url, const Bytes& body, Form form) {
  const bool batch = form == Form::batch;
  const std::string type(batch ? token::batch_request_media_type : token::request_media_type);
  const std::string accept(batch ? token::batch_response_media_type : token::response_media_type);
  const bool bearer = attestation_.secret.size() != 0;
  auto answer = http_.send({.url = url,
                            .headers = {"Content-Type: " + type, "Accept: " + accept},
                            .bearer = bearer ? &attestation_.secret : nullptr,
                            .body = &body});
  if (answer.status != 200) throw refused(url, answer);
  return std::move(answer.body);
}

void IssuerClient::withdraw(const token::Directory& directory, BytesView challenge,
                            const token::TokenKey& key, const token::TokenTypes& types,
                            std::size_t count,
                            const std::function<void(std::vector<Bytes>)>& take) {
  const auto url = request_url(directory);
  const bool batches = key.type == token::TokenType::ristretto && count > 1;
  const auto form = batches ? Form::batch : Form::single;
  for (std::size_t done = 0; done < count;) {
    const auto some = batches ? std::min<std::size_t>(count - done, wire::max_token_batch) : 1;
    const auto withdrawal = token::Withdrawal::begin(challenge, key, types, form, some);
    if (!withdrawal) {
      throw CommandError(exit_no, std::string("no request can be made for that challenge and "
                                              "key: ") +
                                      to_text(withdrawal.error()));
    }
    auto tokens = withdrawal->finish(request(url, withdrawal->request(), form));
    if (!tokens) {
      throw strange(url, std::string("its answer is ") + to_text(tokens.error()) +
                             ", not by the key that it publishes");
    }
    done += tokens->size();
    take(*std::move(tokens));
  }
}

}  // namespace ticketctl
