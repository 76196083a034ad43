// A real agent whose pool has tokens, without keyd: it goes on with a ring file that this
// writes, as an agent that was restarted in an outage does. And clients of it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "base/bytes.hpp"
#include "support/process.hpp"
#include "token/issuer.hpp"
#include "wire/claim.hpp"

namespace plugins {

using namespace std::chrono_literals;

class TokenAgent {
 public:
  TokenAgent();

  // Starts it, also again after kill(). It listens when this returns.
  void start();
  void kill();
  // Writes agent.toml anew, with these lines at its end, and has the agent read it.
  void reload(const std::string& lines);
  pid_t pid() const { return process_->pid(); }
  bool alive() { return process_ && process_->alive(); }
  std::string log() const { return process_ ? process_->output() : ""; }

  std::filesystem::path at(const std::string& name) const { return folder_ / name; }
  std::filesystem::path claims() const { return at("web.claims"); }
  std::string metrics() const;

  // For the challenge of a WWW-Authenticate value: a new value of Authorization.
  std::string token_for(const std::string& challenge) const;
  // A token of a.test.
  std::string token() const;
  ticket::ByteArray<16> epoch() const;

  const std::uint16_t spop, http, metrics_port;

 private:
  void write_ring();
  void write_config(const std::string& lines) const;

  support::TempFolder folder_;
  ticket::token::IssuerKey key_;
  std::optional<support::Process> process_;
};

// One HTTP/1.1 request and its whole answer; "" when there was none within 20 s.
std::string http_get(std::uint16_t port, const std::string& target,
                     const std::string& authorization = "", const std::string& more = "");
int status_of(const std::string& answer);
// The first field of that name; "" when there is none.
std::string field(const std::string& answer, const std::string& name);

// A connection to the claims socket.
class ClaimsClient {
 public:
  explicit ClaimsClient(const std::filesystem::path& path);
  ~ClaimsClient();
  ClaimsClient(const ClaimsClient&) = delete;
  ClaimsClient& operator=(const ClaimsClient&) = delete;

  bool send(ticket::BytesView bytes);
  bool send(const ticket::wire::Claim& claim) { return send(ticket::wire::write_claim(claim)); }
  // nullopt: it was closed, or nothing came within 10 s.
  std::optional<ticket::wire::ClaimAnswer> answer();
  // Whether the other side closes within that time.
  bool closes(support::Milliseconds patience);

 private:
  int socket_;
};

}  // namespace plugins
