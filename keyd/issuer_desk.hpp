// One pool's issuer, as the front keeps it: what each request gets. It holds no key;
// the keeper signs. No I/O: requests come as values, answers are told.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "attestation.hpp"
#include "budget.hpp"
#include "front_metrics.hpp"
#include "issuer_request.hpp"
#include "turnstile.hpp"
#include "upstream.hpp"

namespace keyd {

struct IssuerAnswer {
  int status = 200;
  std::string type;  // of the body
  std::shared_ptr<const std::string> body;
  std::vector<std::pair<std::string, std::string>> fields{};  // beside Content-Type
  std::string error{};                                        // what the body says is wrong
};

// {"error": "..."}, not to be kept.
IssuerAnswer issuer_refusal(int status, const std::string& text);

// One thread. Held by those who ask, and by what the keeper has yet to answer.
class IssuerDesk : public std::enable_shared_from_this<IssuerDesk> {
 public:
  // How long a client may keep a directory: an epoch can end early.
  static constexpr ticket::seconds longest_kept{300};

  // A request under way. Whoever asked holds it until it is answered, or gives up.
  struct Call {
    std::optional<IssuerAnswer> answer;
    std::string client{};          // who was attested; empty: nobody had to be, or was
    std::function<void()> wake{};  // when an answer comes later

   private:
    friend class IssuerDesk;
    ticket::token::Form form = ticket::token::Form::single;
    using Taken = std::shared_ptr<std::optional<Budget::Taken>>;
    Taken taken = std::make_shared<std::optional<Budget::Taken>>();  // and not given back
    bool handed_on = false;                                          // the keeper has it
    bool given_up = false;
  };

  // `upstream`, `keeper` (how many requests it works on at once) and `counts` outlive it.
  IssuerDesk(const IssuerSetup& setup, Upstream& upstream, Turnstile& keeper, IssuerCounts& counts);

  // Another configuration of the same pool; budgets go on. Throws as Attestation does,
  // and is then as it was.
  void configure(const IssuerSetup& setup);

  std::shared_ptr<Call> ask(const issuer::Asked& asked, const Credentials& shown,
                            ticket::Moment now, std::function<void()> wake);
  // Nobody waits for it any longer: what to tell the client. Once the keeper has it, its
  // tokens count all the same, unless it refuses: it has had the work.
  IssuerAnswer give_up(Call& call);

  // The clock was accepted as it was set.
  void move_time(ticket::seconds shift) { budget_.move_time(shift); }
  const std::string& pool() const { return setup_.pool; }
  const Attestation& attestation() const { return attestation_; }
  IssuerCounts& counts() { return counts_; }

 private:
  IssuerAnswer directory(const issuer::Asked& asked, ticket::Moment now) const;
  void ask_for_tokens(const std::shared_ptr<Call>& call, const issuer::Asked& asked,
                      const Credentials& shown, ticket::Moment now);
  void queue(const std::shared_ptr<Call>& call, std::string_view body);
  void finish(Call& call, const Issued& issued);
  void give_back(std::optional<Budget::Taken>& taken);
  IssuerAnswer over_budget(const Budget::Over& over);

  IssuerSetup setup_;
  Attestation attestation_;
  ticket::token::TokenTypes types_;
  Budget budget_;
  Upstream& upstream_;
  Turnstile& keeper_;
  IssuerCounts& counts_;
};

}  // namespace keyd
