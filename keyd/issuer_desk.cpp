#include "issuer_desk.hpp"

#include <algorithm>

#include "api.hpp"
#include "token/directory.hpp"

namespace keyd {

using namespace ticket;
using issuer::Asked;
using token::Form;

namespace {

constexpr auto busy = "the issuer is busy: try again";
constexpr auto retry_when_busy = "5";  // seconds

token::TokenTypes types_of(const IssuerSetup& setup) {
  return setup.ristretto_type == 0 ? token::TokenTypes() : token::TokenTypes(setup.ristretto_type);
}

Budget::Limits limits_of(const IssuerSetup& setup) {
  return {setup.budget, seconds(setup.budget_window)};
}

IssuerAnswer unavailable(const std::string& text) {
  auto answer = issuer_refusal(503, text);
  answer.fields.emplace_back("Retry-After", retry_when_busy);
  return answer;
}

std::string text_of(const Budget::Over& over, const Budget::Limits& limits) {
  if (over.why == Budget::Why::crowded) return "too many clients: try again later";
  return "a client has " + std::to_string(limits.tokens) + " tokens in " +
         std::to_string(limits.window.count()) + " seconds";
}

}  // namespace

IssuerAnswer issuer_refusal(int status, const std::string& text) {
  return {status,
          "application/json",
          std::make_shared<const std::string>(api::error_body(text)),
          {{"Cache-Control", "no-store"}},
          text};
}

IssuerDesk::IssuerDesk(const IssuerSetup& setup, Upstream& upstream, Turnstile& keeper,
                       IssuerCounts& counts)
    : setup_(setup),
      attestation_(setup),
      types_(types_of(setup)),
      budget_(limits_of(setup)),
      upstream_(upstream),
      keeper_(keeper),
      counts_(counts) {}

void IssuerDesk::configure(const IssuerSetup& setup) {
  Attestation attestation(setup);
  types_ = types_of(setup);
  attestation_ = std::move(attestation);
  budget_.limit(limits_of(setup));
  setup_ = setup;
}

std::shared_ptr<IssuerDesk::Call> IssuerDesk::ask(const Asked& asked, const Credentials& shown,
                                                  Moment now, std::function<void()> wake) {
  auto call = std::make_shared<Call>();
  call->wake = std::move(wake);
  const auto request = issuer::parse_request(asked);
  if (!request) {
    const auto& problem = request.error();
    call->answer = issuer_refusal(problem.status, problem.text);
    if (!problem.allow.empty()) call->answer->fields.emplace_back("Allow", problem.allow);
  } else if (const auto* tokens = std::get_if<issuer::TokensRequest>(&*request)) {
    call->form = tokens->form;
    ask_for_tokens(call, asked, shown, now);
  } else {
    call->answer = directory(asked, now);
  }
  return call;
}

IssuerAnswer IssuerDesk::directory(const Asked& asked, Moment now) const {
  const auto* published = upstream_.directory(setup_.pool);
  if (published == nullptr) return unavailable("no keys are published yet: try again");
  const auto left = published->changes_at - now.latest;
  const auto age = std::clamp(left, seconds(0), longest_kept);
  IssuerAnswer answer{200, std::string(token::directory_media_type), published->body, {}};
  answer.fields = {{"Cache-Control", "public, max-age=" + std::to_string(age.count())},
                   {"ETag", published->tag}};
  if (issuer::names_tag(asked.if_none_match, published->tag)) {
    answer.status = 304;
    answer.body = nullptr;
  }
  return answer;
}

void IssuerDesk::ask_for_tokens(const std::shared_ptr<Call>& call, const Asked& asked,
                                const Credentials& shown, Moment now) {
  const auto client = attestation_.client(shown);
  if (!client) {
    call->answer = issuer_refusal(401, client.error());
    call->answer->fields.emplace_back("WWW-Authenticate", attestation_.challenge());
    return;
  }
  call->client = *client;
  const auto count = issuer::count_tokens(asked.body, call->form, types_);
  if (!count) {
    call->answer = issuer_refusal(count.error().status, count.error().text);
    return;
  }
  const auto taken = budget_.take(*client, *count, now.steady);
  if (!taken) {
    call->answer = over_budget(taken.error());
    return;
  }
  *call->taken = *taken;
  queue(call, asked.body);
}

void IssuerDesk::queue(const std::shared_ptr<Call>& call, std::string_view body) {
  Issue issue{0, setup_.pool, base64url(as_bytes(body)), call->form == Form::batch};
  const auto begin = [self = shared_from_this(), waiting = std::weak_ptr(call), taken = call->taken,
                      issue = std::move(issue)] {
    const auto call = waiting.lock();
    if (!call) self->give_back(*taken);
    if (!call || call->given_up) return false;
    call->handed_on = true;
    self->upstream_.issue(issue, [self, waiting, taken](const Issued& issued) {
      self->keeper_.leave();
      if (issued.status != 200) self->give_back(*taken);
      const auto call = waiting.lock();
      if (call && !call->given_up) self->finish(*call, issued);
    });
    return true;
  };
  if (keeper_.come(begin)) return;
  give_back(*call->taken);
  call->answer = unavailable(busy);
}

void IssuerDesk::finish(Call& call, const Issued& issued) {
  auto body = from_base64url(issued.body);
  const bool signed_it = issued.status == 200 && body && !body->empty();
  if (signed_it) {
    counts_.tokens += (*call.taken)->tokens;
    const bool batch = call.form == Form::batch;
    call.answer = IssuerAnswer{
        200,
        std::string(batch ? token::batch_response_media_type : token::response_media_type),
        std::make_shared<const std::string>(as_text(*body)),
        {{"Cache-Control", "no-store"}}};
  } else {
    give_back(*call.taken);
    call.answer = issued.status == 422 ? issuer_refusal(422, issued.error)
                                       : unavailable(issued.error.empty() ? busy : issued.error);
  }
  if (call.wake) call.wake();
}

IssuerAnswer IssuerDesk::give_up(Call& call) {
  call.given_up = true;
  if (!call.handed_on) give_back(*call.taken);
  return unavailable("the keeper has not answered: try again");
}

void IssuerDesk::give_back(std::optional<Budget::Taken>& taken) {
  if (const auto was = std::exchange(taken, std::nullopt)) budget_.give_back(*was);
}

IssuerAnswer IssuerDesk::over_budget(const Budget::Over& over) {
  counts_.refuse(over.why);
  auto answer = issuer_refusal(429, text_of(over, budget_.limits()));
  answer.fields.emplace_back("Retry-After", std::to_string(over.retry_after.count()));
  return answer;
}

}  // namespace keyd
