// What keeper and front say to each other over their socketpair. Only ciphertext
// and public data cross: a front that was taken over learns no key here, and can
// order nothing that a member could not ask for.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "channel.hpp"
#include "config.hpp"
#include "report.hpp"

namespace keyd {

// ---- keeper to front

struct FrontPool {
  std::string name;
  std::string members_ca;  // PEM
  std::vector<MemberRule> rules;
};

// A client's secret, as the front knows it.
struct AttestedSecret {
  std::string name;    // for the budget and the log
  std::string sha256;  // hex
};

// The issuer of one pool's tokens: where it listens, whom it believes.
struct IssuerSetup {
  std::string pool;
  Address listen;
  std::string certificate, key;     // paths; empty: plain HTTP
  std::vector<std::string> attest;  // "certificate", "bearer", "open"
  std::string attest_ca;            // PEM
  std::vector<AttestedSecret> secrets;
  std::uint32_t budget = 0;         // tokens of one client in a window
  std::int64_t budget_window = 0;   // seconds
  std::vector<Address> redis = {};  // none or one
  bool redis_durable = false;
  std::uint16_t ristretto_type = 0;  // its code point; 0 = not spoken
};

// The whole configuration of a front: takes effect as one, or not at all.
struct Setup {
  std::vector<Address> listen;   // only the first Setup's is used
  std::string certificate, key;  // paths: the front reads its own TLS key
  std::string clients_ca;        // PEM
  std::string log_level;
  std::vector<FrontPool> pools;
  std::vector<Address> metrics = {};  // none or one
  std::string log_format = "text";
  std::vector<ClientPool> clients = {};  // whom clients are told of
  std::int64_t client_lifetime = 0;      // seconds that they may believe it
  std::vector<IssuerSetup> issuers = {};
};

struct MemberWrap {
  std::string member;
  std::uint16_t number = 0;
  std::string wrap;  // base64url of a sealed box
};

// A new generation of a pool, for everybody.
struct Publish {
  std::string pool;
  std::uint64_t generation = 0;
  std::string bundle;  // the HTTP body
  std::vector<MemberWrap> wraps;
};

// One more member of the generation that stands.
struct AddWrap {
  std::string pool;
  std::uint64_t generation = 0;
  MemberWrap wrap;
};

// The answer to an Enrol; the wrap was sent before it.
struct Enrolled {
  std::uint64_t id = 0;
  int status = 200;  // as HTTP: 200, 403 refused, 404 no such pool, 503 try again
  std::uint16_t member = 0;
  std::uint64_t generation = 0;
  std::string error;
};

// What the issuer of a pool publishes from now on (RFC 9578, section 4).
struct Directory {
  std::string pool;
  std::string body;
  std::int64_t changes_at = 0;  // Unix seconds: nobody may keep it for longer
};

// The answer to an Issue.
struct Issued {
  std::uint64_t id = 0;
  int status = 200;   // as HTTP: 200, 422 refused, 503 no key issues now
  std::string body;   // base64url; empty unless 200
  std::string error;  // empty if 200
};

// A token epoch is recorded in Redis: make its sentinel if it never had one, and watch it
// from then on, until it is over. Asked again until it stands.
struct MakeSentinel {
  std::string pool;
  std::string epoch;               // id, hex
  std::string value;               // hex
  bool make = false;               // false: it was made, or may have issued; only watch
  std::int64_t redeems_until = 0;  // Unix seconds
  std::uint32_t capacity = 0;      // tokens
  bool over = false;               // it has ended: it is watched no more
};

// An operator has taken the machine's clock, as it is now, for the truth.
struct ClockAccepted {};

struct Stop {};

// Answered by a Pong of the same number: is the front's loop turning?
struct Ping {
  std::uint64_t number = 0;
};

// ---- front to keeper

// The answer to a Setup.
struct SetUp {
  std::string error;                   // empty: done
  std::vector<std::string> endpoints;  // "HOST:PORT" as bound
};

struct Enrol {
  std::uint64_t id = 0;
  std::string pool;
  std::string chain;        // PEM, leaf first
  std::string sealing_key;  // base64url
  std::int64_t time = 0;    // Unix seconds
  std::string signature;    // base64url
  std::string address;      // of the peer, for the log
};

// A member spoke to the front just now, or still holds a long poll.
struct Seen {
  std::string pool, member;
  std::uint64_t applied = 0;  // the generation that it runs on
  std::string address;
};

struct SeenList {
  std::vector<Seen> members;
};

struct Pong {
  std::uint64_t number = 0;
};

// A client that was attested asks for tokens.
struct Issue {
  std::uint64_t id = 0;
  std::string pool;
  std::string request;  // base64url of a TokenRequest
  bool batch = false;
};

// The answer to a MakeSentinel.
struct SentinelMade {
  std::string pool, epoch;
  std::string error;  // empty: it stands
};

// What was spent of an epoch is no longer known: its store was restarted or emptied.
struct RecordLost {
  std::string pool, epoch;
  std::string why;
};

using ToFront = std::variant<Setup, Publish, AddWrap, Enrolled, Stop, Ping, Report, Directory,
                             Issued, MakeSentinel, ClockAccepted>;
using ToKeeper = std::variant<SetUp, Enrol, SeenList, Pong, Issue, SentinelMade, RecordLost>;

std::string write_message(const ToFront& message);
std::string write_message(const ToKeeper& message);
// Throw ChannelError.
ToFront parse_to_front(std::string_view text);
ToKeeper parse_to_keeper(std::string_view text);

}  // namespace keyd
