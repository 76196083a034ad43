// The client's side of issuance over HTTP (RFC 9578, sections 4 to 6).
#pragma once

#include <functional>

#include "http_client.hpp"
#include "token/directory.hpp"
#include "token/issuance.hpp"
#include "token_text.hpp"

namespace ticketctl {

// Where an issuer is: its name as challenges have it, and whether it is asked in plain HTTP.
struct IssuerPlace {
  std::string name;  // HOST or HOST:PORT
  bool plain = false;

  std::string directory_url() const;
};
// "HOST[:PORT]", or with http:// before it where that host is loopback. Throws CommandError
// (usage) that begins with `what`.
IssuerPlace issuer_place(const std::string& text, const std::string& what);

// What an issuer is shown beside a request.
struct Attestation {
  std::string certificate, key;  // PEM files
  ticket::SecretBytes secret;    // a bearer secret; empty = none

  bool any() const { return !certificate.empty() || secret.size() != 0; }
};

class IssuerClient {
 public:
  // `http` without a client certificate; that comes from the attestation.
  IssuerClient(IssuerPlace place, HttpOptions http, Attestation attestation);

  // Throw CommandError: unreachable when the issuer does not answer as it should, no when
  // it refuses, with the way out.
  ticket::token::Directory directory();
  // Tokens for `challenge`, `count` of them or as many as came before a refusal, each
  // batch given to `take` when it is there.
  void withdraw(const ticket::token::Directory& directory, ticket::BytesView challenge,
                const ticket::token::TokenKey& key, const ticket::token::TokenTypes& types,
                std::size_t count, const std::function<void(std::vector<ticket::Bytes>)>& take);

 private:
  std::string request_url(const ticket::token::Directory& directory) const;
  ticket::Bytes request(const std::string& url, const ticket::Bytes& body,
                        ticket::token::Form form);

  IssuerPlace place_;
  Attestation attestation_;
  HttpClient http_;
};

}  // namespace ticketctl
