// One pool's tokens on this host: follows the token block of the ring that the agent runs
// on, sees to the tables, and answers who asks. No socket: token_office.hpp has those.
//
//   redeem:  Gate::check ──► a claim, where hosts share the record ──► Gate::settle
//   claim:   held by the table? ──► replay, for free; else the record's own answer
#pragma once

#include <spdlog/common.h>

#include <filesystem>
#include <memory>

#include "base/clock.hpp"
#include "redeem/gate.hpp"
#include "replay/redis_record.hpp"
#include "ring/ring.hpp"
#include "token_desk.hpp"
#include "token_sight.hpp"

namespace keyd {

// The record that the hosts of a pool share. Answers once, in bounded time, perhaps within
// the call; what was asked of one that ends is answered as well.
class SharedRecord {
 public:
  using Done = std::function<void(ticket::replay::Verdict)>;
  virtual ~SharedRecord() = default;
  virtual void claim(const ticket::replay::RedisEpoch& epoch,
                     const ticket::replay::Location& location, const ticket::replay::ClaimId& id,
                     Done done) = 0;
  virtual RedisSight sight() const = 0;
};

// Used by one thread. Must not end within an answer; what is asked then is answered first.
class TokenService final : public TokenDesk {
 public:
  using Log = std::function<void(spdlog::level::level_enum, const std::string&)>;
  struct Settings {
    std::string pool;
    std::filesystem::path tables;
    int group = -1;                                  // of tables; -1 = as it comes
    std::unique_ptr<SharedRecord> shared = nullptr;  // nullptr: none is configured
    Log log;
  };
  // `clock` must outlive it.
  TokenService(Settings settings, const ticket::Clock& clock);
  ~TokenService() override;

  // What the ring holds now (nullptr: there is none), and that time goes on: when the ring has
  // changed, and about once a second. Makes, tends and removes tables. Does not throw for what goes
  // wrong: tokens are then refused, and sight() says why.
  void follow(const ticket::ring::Ring* ring);
  TokenSight sight() const;

  void redeem(std::optional<std::string_view> authorization, std::string_view origin,
              std::function<void(ticket::redeem::Outcome)> done) override;
  std::string challenge(std::string_view origin) override;
  void claim(const ticket::wire::Claim& claim,
             std::function<void(ticket::replay::Verdict)> done) override;

 private:
  struct Epoch {
    std::uint32_t number = 0;
    ticket::replay::RedisEpoch shared;
  };

  void take_over(const ticket::ring::Ring& ring, ticket::Moment now);
  void make_tables(ticket::Moment now);
  void forget();
  const Epoch* find(const ticket::replay::EpochId& id) const;
  // Asks the record that the hosts share.
  void ask(const ticket::redeem::Claim& claim, SharedRecord::Done done);
  // The record of this host alone.
  ticket::replay::Verdict claim_here(const ticket::redeem::Claim& claim);
  void counted(ticket::redeem::Outcome outcome, std::string_view origin);
  void counted(ticket::replay::Verdict verdict);
  void look_for_trouble(ticket::Moment now);

  Settings settings_;
  const ticket::Clock& clock_;
  ticket::SecretBytes block_;   // the one that is followed; empty: none
  ticket::sys_seconds issued_;  // when keyd published its ring
  std::uint16_t member_ = 0;
  bool shared_ = false, redeems_here_ = false;
  std::vector<Epoch> epochs_;
  std::shared_ptr<ticket::redeem::Gate> gate_;  // nullptr: nothing is taken
  std::string tables_trouble_, trouble_, told_;
  std::array<std::uint64_t, ticket::redeem::outcome_count> outcomes_{};
  std::array<std::uint64_t, 3> claims_{};
};

}  // namespace keyd
