// One pool's life on a server: what is asked of keyd, what its answers change.
// No sockets here and no clock: agent.cpp carries the requests and tells the
// time, tests do both by hand.
//
//   stored bundle ──► ring, at once and without keyd
//   enrol ──► bundle ──► wrap ──► open ──► store ──► ring ──► long poll for the next
//
// Whatever is refused leaves the ring as it is.
#pragma once

#include <spdlog/common.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <variant>

#include "agent_backoff.hpp"
#include "agent_plan.hpp"
#include "agent_state.hpp"
#include "enrol_request.hpp"
#include "ring/ring_file.hpp"

namespace keyd {

struct Request {
  std::string method, target, body;
  ticket::seconds wait{0};  // how long the answer may be held back
};

struct Reply {
  unsigned status = 0;
  std::string body;
};

struct Pause {
  std::chrono::milliseconds length{0};
};

class PoolLife {
 public:
  // The pool's name stands in the text already.
  using Log = std::function<void(spdlog::level::level_enum, const std::string&)>;

  struct Settings {
    std::string pool;
    ticket::crypto::SignerPublic signer{};  // whose bundles to believe
    std::filesystem::path state;            // a folder of this pool's own
    Log log;
  };

  // The writer may have been another life's, whose configuration was reloaded.
  PoolLife(Settings settings, Identity identity, std::shared_ptr<ticket::ring::RingWriter> ring);

  // Publishes what is stored. Before the first next(). Throws std::system_error when what
  // must go from the disk cannot; tick() tries again.
  void start(ticket::Moment now);

  // What to do now: send this, or wait so long and ask again.
  std::variant<Request, Pause> next(ticket::Moment now);
  // The answer to the last request; throws std::system_error when it cannot be
  // stored, and then it was not applied: tell failed().
  void answered(const Reply& reply, ticket::Moment now);
  // The last request got no answer.
  void failed(const std::string& why);

  // The timer's part, at least once a second: the heartbeat, and wiping what
  // has expired. Throws as start() does.
  void tick(ticket::Moment now);

  bool has_ring() const { return standing_.applied != 0; }
  bool tried() const { return tried_; }  // keyd was asked, whatever came of it
  // The last request failed or its answer was refused: try another server.
  bool troubled() const { return pause_.count() != 0; }
  std::uint64_t generation() const { return standing_.applied; }
  const std::map<ticket::Rejection, unsigned>& refusals() const { return refusals_; }
  bool enrolled() const { return state_.key().has_value() && !standing_.must_enrol; }
  unsigned enrolments() const { return enrolments_; }
  unsigned enrolments_refused() const { return enrolments_refused_; }
  std::string member() const;  // for the log

 private:
  struct InHand {  // verified, but not yet opened
    ticket::feed::Bundle bundle;
    std::uint64_t generation = 0;
  };

  Request request(const AskEnrol&, ticket::Moment now);
  Request request(const AskBundle&, ticket::Moment now);
  Request request(const AskWrap&, ticket::Moment now);

  void enrol_answered(const Reply& reply, ticket::Moment now);
  void bundle_answered(const Reply& reply, ticket::Moment now);
  void wrap_answered(const Reply& reply, ticket::Moment now);

  void take_bundle(const std::string& body, ticket::Moment now);
  void take_wrap(std::uint64_t generation, ticket::BytesView wrap, ticket::Moment now);
  void races(std::uint64_t wrap_generation);

  enum class OpenedWith { key, successor };
  struct Opening {
    ticket::feed::Opened opened;
    OpenedWith with;
  };
  ticket::Checked<Opening> open(const ticket::feed::Bundle& bundle, ticket::BytesView wrap,
                                ticket::Moment now) const;
  void apply(Opening opening, StoredBundle stored, ticket::Moment now);
  // Whether the ring in place has fewer keys than these of its generation.
  bool lacks(const ticket::ring::Ring& living) const;
  void publish(ticket::ring::Ring ring, ticket::Moment now);
  void publish_living(const ticket::ring::Ring& ring, ticket::Moment now);
  void start_from_ring_file(ticket::Moment now);
  void plan_renewal(ticket::Moment now);
  bool take_up_lost_file(ticket::Moment now);
  void wipe_expired(ticket::Moment now);
  void forget();

  ticket::feed::Expectation expectation() const;
  void refused(ticket::Rejection why);
  void trouble(spdlog::level::level_enum level, const std::string& what);
  void no_trouble();
  void log(spdlog::level::level_enum level, const std::string& text) const;

  Settings settings_;
  Identity identity_;
  std::shared_ptr<ticket::ring::RingWriter> ring_;
  AgentState state_;
  Standing standing_;
  Step asked_;
  ticket::sys_seconds asked_at_;
  std::optional<InHand> in_hand_;
  unsigned races_ = 0;  // answers in a row whose bundle and wrap did not fit

  ticket::seconds rotate_every_;     // how old a sealing key gets
  ticket::sys_seconds next_change_;  // of the ring, by the clock
  bool to_forget_ = false;           // what is stored gives keys back that have ended
  bool tried_ = false;
  bool announced_ = false;  // the first ring was logged as "ready"
  Backoff backoff_;
  std::chrono::milliseconds pause_{0};
  std::string last_trouble_;
  std::string lost_file_;  // why the ring file cannot be taken up again; told once
  std::map<ticket::Rejection, unsigned> refusals_;
  unsigned enrolments_ = 0, enrolments_refused_ = 0;
};

}  // namespace keyd
