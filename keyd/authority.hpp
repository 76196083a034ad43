// The keeper's mind: makes the epochs of each pool on schedule, stores them,
// and only then seals and publishes them; lets members enrol. No clock, no
// socket, no file of its own.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <set>

#include "audit.hpp"
#include "config.hpp"
#include "crypto/signature.hpp"
#include "messages.hpp"
#include "orders.hpp"
#include "peer.hpp"
#include "pool_issuing.hpp"
#include "ring/rotation.hpp"
#include "state.hpp"
#include "store.hpp"

namespace keyd {

struct PoolSetup {
  PoolConfig config;
  std::string members_ca;  // content of the file
};

// Where what the authority has to say goes: the front, or a test.
class Publisher {
 public:
  virtual ~Publisher() = default;
  virtual void publish(Publish generation) = 0;
  virtual void add_wrap(AddWrap wrap) = 0;
  virtual void enrolled(Enrolled answer) = 0;
  virtual void directory(Directory directory) = 0;
  virtual void make_sentinel(MakeSentinel sentinel) = 0;
};

struct AuthorityKeys {
  ticket::crypto::SignerSeed signer;
  StateKey state;
};

// One thread. Changes are drafted on a copy of the state; the copy becomes the
// state, and is told to anybody, once the store has it. One store at a time:
// what comes meanwhile waits for the next draft.
class Authority {
 public:
  // `store`, `audit` and `publisher` must outlive it.
  Authority(AuthorityKeys keys, KeeperState state, StateStore& store, AuditStore& audit,
            Publisher& publisher);
  ~Authority();

  // Takes over these pools and policies and publishes what stands for them. A
  // pool that is no longer among them keeps its numbers; its keys go as they
  // expire. tend() then does what changed.
  void configure(std::vector<PoolSetup> pools, ticket::Moment now);

  // Does what is due. Call it at next(), and after any of the calls below. As the wall clock
  // may be set meanwhile, ask for next() at least twice a minute.
  void tend(ticket::Moment now);
  ticket::sys_seconds next(ticket::Moment now) const;

  // Answered through Publisher::enrolled, now or after a later tend().
  void enrol(Enrol request);
  // Members that asked for a bundle; many at once cost no more than one.
  void seen(const std::vector<Seen>& members, ticket::Moment now);
  // `done` gets the answer of the admin socket, at once or when the next tend()
  // has carried it out.
  using Answer = std::function<void(nlohmann::json)>;
  void order(Order order, Answer done);
  // Why a clock must not be accepted by which it is `time`, `shift` later than by ours; empty:
  // it may.
  std::string clock_refusal(ticket::seconds shift, ticket::sys_seconds time) const;

  // Blind RSA keys that were made off the loop, and how many more should be.
  void add_keys(std::vector<ticket::token::IssuerKey> keys, ticket::Moment now);
  std::size_t keys_wanted() const;
  // A client's tokens, by the keys that issue at `now`.
  Issued issue(const Issue& request, ticket::Moment now);
  void sentinel_made(const SentinelMade& answer, ticket::Moment now);
  void record_lost(const RecordLost& loss, ticket::Moment now);

  // Answers of the admin socket; an empty `pool` means all.
  nlohmann::json pools(ticket::Moment now) const;
  nlohmann::json status(const std::string& pool, ticket::Moment now) const;
  nlohmann::json issuer_status(const std::string& pool, ticket::Moment now) const;
  nlohmann::json audit() const;
  // For /metrics and the status page.
  Report report(ticket::Moment now) const;
  // After a tend(): what was due is stored, or could not be and some pool is served.
  bool ready() const;

 private:
  struct Sighting {
    std::uint64_t applied = 0;
    ticket::sys_seconds at;
    std::string address;
  };
  struct Pool {  // what is known of a configured pool beside its state
    PoolSetup setup;
    std::map<std::string, Sighting> sightings;  // by member; enrolled ones only
    ticket::sys_seconds next;                   // when the schedule wants to be asked again
    ticket::sys_seconds known_since;            // by this process
    bool inherited = false;                     // its state is from before this process
    bool overtaken = false;  // a member has applied a newer generation: that was an old backup
    std::uint64_t newest_applied = 0;  // of those, so that the next one is newer still
    std::set<std::string> overtook;    // who said so; each is believed once
    PoolIssuing issuing;
  };
  struct Draft;
  using Expulsions = std::set<std::pair<std::string, std::uint16_t>>;  // pool, member's number
  struct Waiting {
    Order order;
    Answer done;
  };
  // What it adds to the answer, or why it cannot be done.
  using Outcome = tl::expected<nlohmann::json, std::string>;

  void draft_orders(Draft& draft, ticket::Moment now);
  Outcome carry_out(Draft& draft, const Order& order, ticket::Moment now) const;
  Outcome expel(Draft& draft, PoolState& state, const Order& order, ticket::Moment now) const;
  Outcome readmit(Draft& draft, PoolState& state, const Order& order) const;
  Outcome revoke(Draft& draft, PoolState& state, const Order& order) const;
  bool loses_tables(const PoolState& state, ticket::seconds shift) const;
  Outcome accept_clock(Draft& draft, const Order& order) const;
  Outcome rotate_issuer(Draft& draft, const PoolState& state, const Order& order,
                        ticket::Moment now) const;
  std::optional<TokenGap> gap_by_rotation(const Draft& draft, const PoolState& state,
                                          ticket::Moment now) const;
  void move_time(ticket::seconds shift);
  ticket::Moment time_of(const PoolState& state, ticket::Moment now) const;
  void draft_rotations(Draft& draft, ticket::Moment now);
  static bool drop_expired(PoolState& state, ticket::Moment now);
  void draft_enrolments(Draft& draft, ticket::Moment now);
  std::string enrol_into(Draft& draft, const Enrol& request, ticket::Moment now);
  void draft_plan(Draft& draft, PoolState& state, const Pool& pool, ticket::Moment now) const;
  void draft_generation(Draft& draft, PoolState& state, const Pool& pool,
                        std::vector<ticket::ring::Epoch> epochs, ticket::Moment now) const;

  void draft_tokens(Draft& draft, PoolState& state, const Pool& pool, ticket::Moment now) const;
  TokenOutlook token_outlook(const Draft& draft, const PoolState& state, const Pool& pool,
                             ticket::Moment now) const;
  std::size_t count_keys(const Draft& draft, std::vector<TokenEpoch> epochs,
                         const TokensConfig& config) const;
  void adopt_tokens(Draft& draft, PoolState& state, const TokensConfig& config,
                    const TokenOutlook& sight, std::vector<TokenEpoch> epochs) const;
  TokenSecrets give_keys(Draft& draft, TokenEpoch& epoch, const std::vector<TokenEpoch>& others,
                         const TokensConfig& config) const;
  const ticket::token::IssuerKey& fresh_key(const Draft& draft,
                                            const std::vector<TokenEpoch>& others) const;
  static void drop_tokens(Draft& draft, PoolState& state);
  void adopt_heard(const Draft& draft);
  void tend_issuers(ticket::Moment now);
  void load_issuer(const PoolState& state, Pool& pool, ticket::Moment now) const;
  void ask_for_sentinels(const PoolState& state, Pool& pool, ticket::Moment now);
  void tell_directory(const PoolState& state, Pool& pool, ticket::Moment now);
  void wipe_what_is_over(ticket::Moment now);
  bool wipe_tokens(PoolState& state, ticket::Moment time, ticket::sys_seconds now);
  // Why an epoch that is announced does not begin, and why none issues; empty: one does.
  static std::string waiting_for(const TokenEpoch& epoch, const Pool& pool);
  static std::string eight_stand(const std::vector<TokenEpoch>& epochs, ticket::Moment now);
  static std::string issuing_problem(const PoolState& state, const Pool& pool, ticket::Moment now);
  nlohmann::json describe_issuer(const PoolState& state, const Pool& pool,
                                 ticket::Moment now) const;

  void commit(ticket::Moment now);
  void stored(const std::string& problem, ticket::Moment now);
  void succeed(Draft& draft, ticket::Moment now);
  void answer(const Draft& draft);
  void write_audit_lines();
  void look_again(ticket::sys_seconds time);
  void fail(Draft& draft, const std::string& problem, ticket::Moment now);
  void publish(const PoolState& state);
  void add_wrap(const PoolState& state, const std::string& member);

  ticket::ring::Readiness readiness(const PoolState& state, const Pool& pool,
                                    ticket::Moment now) const;
  std::vector<AlarmReport> alarms(const PoolState& state, const Pool& pool,
                                  ticket::Moment now) const;
  PoolReport report_of(const PoolState& state, const Pool& pool, ticket::Moment now) const;
  static void report_members(PoolReport& report, const PoolState& state, const Pool& pool,
                             ticket::Moment now);
  std::optional<std::uint64_t> oldest_applied(const PoolState& state, const Pool& pool,
                                              ticket::Moment now) const;
  bool tells_news(const Seen& member, ticket::Moment now) const;
  void sight(const Seen& member, ticket::Moment now);
  static bool seen_lately(const Sighting& sighting, ticket::Moment now);
  // An epoch that stretches is "opening" by its own clock, but it is what seals.
  static ticket::ring::EpochState shown_state(const ticket::ring::Epoch& epoch,
                                              const ticket::ring::Epoch* sealing,
                                              ticket::Moment now);
  const ticket::ring::Epoch* sealing(const PoolState& state, const Pool& pool,
                                     ticket::Moment now) const;
  // "9 days", for people.
  static std::string span_text(ticket::seconds span);
  // Why the schedule stands still; empty when it does not.
  static std::string clock_problem(const KeeperState& state, ticket::Moment now);
  nlohmann::json describe(const PoolState& state, const Pool& pool, ticket::Moment now) const;

  AuthorityKeys keys_;
  ticket::crypto::SignerPublic signer_public_;
  KeeperState state_;      // as stored, but for
  bool unstored_ = false;  // what was wiped when it could not be
  StateStore& store_;
  AuditStore& audit_;
  Publisher& publisher_;
  std::map<std::string, Pool> pools_;
  std::vector<PoolRules> rules_;
  std::deque<ticket::token::IssuerKey> fresh_keys_;  // that no epoch has yet

  std::unique_ptr<Draft> draft_;  // being stored
  std::deque<Enrol> enrolments_;
  std::deque<Waiting> orders_;
  bool hurry_ = false;  // one of them has not been tried yet
  std::string store_problem_, audit_problem_;
  bool holding_ = false;  // the clocks disagree, and that was told
  Expulsions doubtful_;   // meanwhile: by a clock that an operator may put right
  std::uint64_t store_failures_ = 0;
  ticket::sys_seconds store_problem_since_, retry_at_;
};

}  // namespace keyd
