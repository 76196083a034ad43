// HTTP with libcurl: to issuers, and to servers that ask for tokens.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "base/secret.hpp"

namespace ticketctl {

struct HttpOptions {
  std::string ca;                       // PEM; empty = the system's
  std::string certificate, key;         // of the client, PEM; empty = it shows none
  std::vector<std::string> connect_to;  // HOST1:PORT1:HOST2:PORT2, as curl takes it
  std::string unix_socket;              // to dial whatever the URL says; empty = the URL's host
  std::chrono::milliseconds timeout{10'000};
};

struct HttpRequest {
  std::string url;
  std::vector<std::string> headers;             // "Name: value"
  const ticket::SecretBytes* bearer = nullptr;  // goes into Authorization
  const ticket::Bytes* body = nullptr;          // makes it a POST
};

struct HttpAnswer {
  int status = 0;
  std::string authenticate;  // all WWW-Authenticate fields, joined with commas
  std::string retry_after;
  std::string token_outcome;  // X-Ticket-Token, of an agent: ok, replay, ...
  ticket::Bytes body;         // at most 1 MiB
};

// Keeps its connection from one request to the next. Follows no redirect, and takes no
// other protocol. Plain HTTP goes through no proxy.
class HttpClient {
 public:
  explicit HttpClient(HttpOptions options);
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;

  // Throws CommandError: usage for a file or URL that cannot be used, unreachable when no
  // answer comes, with the reason and the way out.
  HttpAnswer send(const HttpRequest& request);

 private:
  struct Handle;
  HttpOptions options_;
  std::unique_ptr<Handle> handle_;
};

// Its parts, in lower case where case does not count.
struct UrlParts {
  std::string scheme, host, port;  // the port also where the URL leaves it out
  bool operator==(const UrlParts&) const = default;
};
// Throws CommandError (usage) for what is no http or https URL.
UrlParts url_parts(const std::string& url);
// `reference` as it stands at `base`: absolute, or relative to it. Throws as above.
std::string resolved_url(const std::string& base, const std::string& reference);

}  // namespace ticketctl
