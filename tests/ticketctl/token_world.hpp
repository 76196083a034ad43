// An issuer, and a server that asks for its tokens, for ticketctl token to visit.
#pragma once

#include <memory>

#include "support/process.hpp"
#include "token/samples.hpp"
#include "web_server.hpp"

namespace tokens {

// What the issuer does beside issuing.
struct Rules {
  std::string wanted_secret;                   // of Authorization: Bearer; empty = none
  std::size_t budget = 1000;                   // requests; then 429
  std::string request_uri = "/token-request";  // as the directory has it
  bool by_another_key = false;                 // than it publishes, for ristretto
  web::Tls tls;
};

// An issuer with a key of each type, from libticket/token, over HTTP.
class Issuer {
 public:
  explicit Issuer(Rules rules = {});

  std::string address() const { return server_->address(); }
  std::string url() const {
    return (rules_.tls.certificate.empty() ? "http://" : "https://") + address();
  }
  std::vector<web::Request> requests() const { return server_->requests(); }
  std::vector<web::Request> token_requests() const;

 private:
  web::Answer answer(const web::Request& request);
  web::Answer issue(const web::Request& request);

  Rules rules_;
  std::size_t issued_ = 0;
  std::unique_ptr<web::Server> server_;
};

// Opens for a token of the challenge, once.
class Origin {
 public:
  // `challenges`: the WWW-Authenticate value of its 401.
  explicit Origin(std::string challenges, const web::Tls& tls = {});

  std::string address() const { return server_->address(); }
  std::vector<web::Request> requests() const { return server_->requests(); }

 private:
  web::Answer answer(const web::Request& request);

  std::string challenges_;
  std::vector<std::string> spent_;
  std::unique_ptr<web::Server> server_;
};

// NAME.pem and NAME.key in the folder, for that host and 127.0.0.1; signed by itself.
void make_certificate(const std::filesystem::path& folder, const std::string& name);

support::Outcome ticketctl_does(const std::vector<std::string>& arguments,
                                const std::string& input = "");
bool contains(const std::string& text, const std::string& part);

}  // namespace tokens
