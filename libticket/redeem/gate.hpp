// Where a token is let in once: a pool's token block put to use.
//
//   header ──► look ──► held by this host's table? ──► verify ──► claim: only fresh passes
//              no crypto   a replay ends here          costly
//
// Where the pool's record is the table of one host, check() claims there and then. Where
// hosts share it, check() hands out the claim to be made; settle() takes what the record
// said.
#pragma once

#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "redeem/outcome.hpp"
#include "replay/table.hpp"
#include "token/header.hpp"
#include "wire/token_block.hpp"

namespace ticket::redeem {

// What check() says. `outcome` stands only where there is no claim.
struct Answer {
  Outcome outcome = Outcome::unknown;
  std::optional<Claim> claim;
};

// The tokens of one block; another block is another Gate, which takes over open tables.
// Shared between threads; tend() by one at a time.
class Gate {
 public:
  // For the host with that member number, whose tables are in `folder`: they are found
  // there, never made. Rejects with bad_key (a key that is none) or malformed (epochs that
  // could be confused, a code point or name that cannot be). Epochs that are over are left
  // out.
  [[nodiscard]] static Checked<std::unique_ptr<Gate>> make(const wire::TokenBlock& block,
                                                           std::uint16_t member,
                                                           std::filesystem::path folder, Moment now,
                                                           const Gate* before = nullptr);

  // Of the value of an Authorization header, or of a token's bytes; empty: missing. `origin`
  // is who is asked, as the challenge names it. An answer with a claim is not decided.
  Answer check(std::string_view authorization, std::string_view origin, Moment now) const;
  Answer check_token(BytesView token, std::string_view origin, Moment now) const;
  // What a claim comes to; noted in this host's table, so that the next is refused here.
  Outcome settle(const Claim& claim, replay::Verdict verdict) const;

  // Opens tables that were not there yet, or stand there anew, tends those that are open,
  // and wipes the keys of epochs that are over. About once a second, also in an idle
  // process.
  void tend(Moment now);

  // The value of WWW-Authenticate: the epochs that issue, newest first. Empty when there is
  // none, or when the pool's tokens are not for this origin.
  std::string challenge(std::string_view origin, Moment now) const;

  bool knows(std::string_view origin) const;
  // The table of an epoch; nullptr when it is not open.
  std::shared_ptr<replay::Table> table(const replay::EpochId& epoch) const;
  // For people: why tokens are not taken now; empty when they are. No secret in it.
  std::string trouble(Moment now) const;

  // For who forks: no other thread holds a lock in here between the two.
  void before_fork() const { mutex_.lock(); }
  void after_fork() const { mutex_.unlock(); }

 private:
  struct Epoch {
    std::uint32_t number = 0;
    std::filesystem::path path;  // of its table
    replay::TableEpoch of{};
    sys_seconds issues_until, redeems_until;
    std::vector<token::HeaderChallenge> challenges;  // one for each type
    token::Redeemer redeemer;                        // of this epoch alone
  };
  struct Opened {
    std::shared_ptr<const Epoch> epoch;
    std::shared_ptr<replay::Table> table;  // nullptr: not there, or not to be used
    std::string why = {};                  // it is not
  };
  using Epochs = std::vector<Opened>;  // newest first

  Gate(const wire::TokenBlock& block, std::uint16_t member);
  [[nodiscard]] static Checked<std::shared_ptr<const Epoch>> epoch_of(
      const wire::TokenBlock& block, const wire::TokenBlockEpoch& from,
      const std::filesystem::path& folder);
  static Opened find_table(Opened of, Moment now);
  Answer decide(const Opened& in, const token::Prospect& prospect) const;
  std::shared_ptr<const Epochs> epochs() const;
  void publish(Epochs epochs);

  std::vector<std::string> origins_;
  bool shared_ = false;  // the record is the pool's, not a table
  std::uint16_t member_ = 0, redeemer_ = 0;
  mutable std::mutex mutex_;
  std::shared_ptr<const Epochs> epochs_;  // under mutex_; what it points to does not change
};

}  // namespace ticket::redeem
