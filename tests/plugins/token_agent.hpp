// A real agent whose pool has tokens, without keyd: it goes on with a ring file that this
// writes, as an agent that was restarted in an outage does. And clients of it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "base/bytes.hpp"
#include "base/clock.hpp"
#include "base/secret.hpp"
#include "support/process.hpp"
#include "token/issuer.hpp"
#include "wire/claim.hpp"

namespace plugins {

using namespace std::chrono_literals;

struct TokenAgentTimes {
  // Epoch 1 issues and redeems so long; then epoch 2 begins, which does for an hour.
  std::chrono::seconds first_epoch = 2h;
  // It runs under faketime, for set_clock().
  bool turned = false;
};

class TokenAgent {
 public:
  explicit TokenAgent(const TokenAgentTimes& times = {});

  // Starts it, also again after kill(). It listens when this returns.
  void start();
  void kill();
  // Writes agent.toml anew, with these lines at its end, and has the agent read it.
  void reload(const std::string& lines);
  // Sets its wall clock, by "+3h" or "-90m" from the real one, also of what is started later.
  // Boot time goes on as it is.
  void set_clock(const std::string& offset) const;
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
  // When epoch 1 is over.
  ticket::sys_seconds first_ends() const { return first_ends_; }
  // What the ring says of its tokens.
  const ticket::SecretBytes& token_block() const { return block_; }

  const std::uint16_t spop, http, metrics_port;

 private:
  void write_ring();
  void write_config(const std::string& lines) const;

  support::TempFolder folder_;
  const TokenAgentTimes times_;
  ticket::token::IssuerKey key_;
  ticket::sys_seconds first_ends_;
  ticket::SecretBytes block_;
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
