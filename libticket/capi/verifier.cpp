// <ticket/ticket.h>: tkt_verifier_*.
#include <array>
#include <atomic>
#include <string>

#include "base/at_fork.hpp"
#include "capi/claims_link.hpp"
#include "capi/door.hpp"
#include "capi/handle.hpp"
#include "redeem/gate.hpp"

namespace ticket::capi {
namespace {

constexpr std::chrono::milliseconds default_timeout{100};

}  // namespace
}  // namespace ticket::capi

using namespace ticket;
using namespace ticket::capi;
using redeem::Outcome;

static_assert(ticket::ring::token_counter(redeem::outcome_count) == ring::Counter::count_);
static_assert(TKT_CLAIM_SIZE == wire::claim_size);
static_assert(TKT_CLAIM_ANSWER_SIZE == wire::claim_answer_size);

struct tkt_verifier final : ring::TokenListener {
  tkt_verifier(tkt_ring& of, std::filesystem::path tables, std::filesystem::path claims,
               std::chrono::milliseconds timeout)
      : ring(of),
        folder(std::move(tables)),
        link(std::move(claims), timeout),
        at_fork([this] { before_fork(); }, [this](bool) { after_fork(); }) {}
  ~tkt_verifier() override { ring.live->leave(*this); }

  void take_tokens(BytesView bytes, std::uint16_t member, Moment now) noexcept override;
  void tend_tokens(Moment now) noexcept override;

  std::shared_ptr<redeem::Gate> gate() const {
    const std::lock_guard guard(mutex);
    return current;
  }
  void replace(std::shared_ptr<redeem::Gate> next) {
    const std::lock_guard guard(mutex);
    current.swap(next);
  }
  // A child that goes on with the ring tends us too.
  void before_fork() {
    mutex.lock();
    if (current) current->before_fork();
  }
  void after_fork() {
    if (current) current->after_fork();
    mutex.unlock();
  }
  void say_once(const std::string& trouble);
  Outcome count(Outcome outcome) noexcept;

  tkt_ring& ring;
  const std::filesystem::path folder;
  ClaimsLink link;
  mutable std::mutex mutex;
  std::shared_ptr<redeem::Gate> current;  // under mutex; nullptr: no tokens
  std::string said = "not said yet";      // by who tends
  std::atomic<std::uint32_t> numbers{0};
  std::array<std::atomic<std::uint64_t>, redeem::outcome_count> counts{};
  AtFork at_fork;
};

// ---- by who tends the ring

void tkt_verifier::take_tokens(BytesView bytes, std::uint16_t member, Moment now) noexcept {
  const auto report = [&](const char* what) {
    ring.say(TKT_LOG_ERROR, (std::string("tokens of the ring are not taken: ") + what).c_str());
  };
  guarded(report, [&] {
    if (bytes.empty()) {
      replace(nullptr);
      return TKT_OK;
    }
    const auto block = wire::parse_token_block(bytes);
    const auto before = gate();
    auto next = !block ? tl::unexpected(block.error())
                       : redeem::Gate::make(*block, member, folder, now, before.get());
    if (next) {
      replace(std::move(*next));
    } else {
      report(to_text(next.error()));  // what was taken before stays
    }
    return TKT_OK;
  });
}

void tkt_verifier::tend_tokens(Moment now) noexcept {
  const auto report = [&](const char* what) { ring.say(TKT_LOG_ERROR, what); };
  guarded(report, [&] {
    const auto gate = this->gate();
    if (gate) gate->tend(now);
    say_once(gate ? gate->trouble(now) : "the pool has no tokens, or its ring is not there");
    return TKT_OK;
  });
}

void tkt_verifier::say_once(const std::string& trouble) {
  if (trouble == said) return;
  said = trouble;
  const auto text = trouble.empty() ? "tokens are redeemed" : "no token passes: " + trouble;
  ring.say(trouble.empty() ? TKT_LOG_INFO : TKT_LOG_WARNING, text.c_str());
}

// ---- by who serves

Outcome tkt_verifier::count(Outcome outcome) noexcept {
  counts[static_cast<std::size_t>(outcome)].fetch_add(1, std::memory_order_relaxed);
  ring.live->counters().add(ring::token_counter(static_cast<unsigned>(outcome)));
  return outcome;
}

namespace ticket::capi {
namespace {

auto reporter(const tkt_verifier* verifier) {
  return [verifier](const char* what) { verifier->ring.say(TKT_LOG_ERROR, what); };
}

// web.spent beside web.ring.
std::filesystem::path beside(const tkt_ring& ring, const char* given, const char* ending) {
  if (given != nullptr) return given;
  auto path = ring.path;
  if (path.extension() == ".ring") return path.replace_extension(ending);
  return path += ending;
}

// The time, and the ring as it is now.
Moment tended(tkt_verifier* verifier) {
  auto& live = *verifier->ring.live;
  const Moment now = live.now();
  if (live.due(now)) tkt_ring_tend(&verifier->ring, nullptr);
  return now;
}

redeem::Answer check(tkt_verifier* verifier, std::string_view authorization,
                     std::string_view origin) {
  const Moment now = tended(verifier);
  if (const auto gate = verifier->gate()) return gate->check(authorization, origin, now);
  return {authorization.empty() ? Outcome::missing : Outcome::unknown, {}};
}

tkt_status settle(tkt_verifier* verifier, const redeem::Claim& claim, replay::Verdict verdict) {
  const auto gate = verifier->gate();
  const auto outcome = gate ? gate->settle(claim, verdict) : redeem::outcome_of(verdict);
  return status_of(verifier->count(outcome));
}

std::string_view text_of(const char* text, std::size_t size) {
  return text == nullptr ? std::string_view() : std::string_view(text, size);
}

template <std::size_t N>
BytesView bytes_of(const unsigned char* bytes) {
  return std::as_bytes(std::span(bytes, N));
}

}  // namespace
}  // namespace ticket::capi

tkt_status tkt_verifier_open(tkt_verifier** out, tkt_ring* ring,
                             const tkt_verifier_options* given) {
  if (out == nullptr) return TKT_BAD_ARGUMENT;
  *out = nullptr;
  tkt_verifier_options options{};
  if (ring == nullptr || !take_options(given, &options)) return TKT_BAD_ARGUMENT;
  return guarded([&](const char* what) { ring->say(TKT_LOG_ERROR, what); },
                 [&] {
                   const std::chrono::milliseconds timeout(options.timeout);
                   auto verifier = std::make_unique<tkt_verifier>(
                       *ring, beside(*ring, options.tables_path, ".spent"),
                       beside(*ring, options.claims_path, ".claims"),
                       options.timeout == 0 ? default_timeout : timeout);
                   ring->live->listen(*verifier);
                   const auto tending = tkt_ring_tend(ring, nullptr);
                   if (tending == TKT_OK) *out = verifier.release();
                   return tending;
                 });
}

void tkt_verifier_free(tkt_verifier* verifier) { delete verifier; }

tkt_status tkt_verifier_check(tkt_verifier* verifier, const char* authorization, size_t size,
                              const char* origin, unsigned char claim[TKT_CLAIM_SIZE]) {
  if (verifier == nullptr || origin == nullptr || claim == nullptr ||
      (authorization == nullptr && size != 0)) {
    return TKT_BAD_ARGUMENT;
  }
  return guarded(reporter(verifier), [&] {
    const auto answer = check(verifier, text_of(authorization, size), origin);
    if (!answer.claim) return status_of(verifier->count(answer.outcome));
    const auto number = verifier->numbers.fetch_add(1, std::memory_order_relaxed);
    const auto bytes = wire::write_claim(redeem::to_wire(*answer.claim, number));
    std::memcpy(claim, bytes.data(), bytes.size());
    return TKT_CLAIM;
  });
}

tkt_status tkt_verifier_settle(tkt_verifier* verifier, const unsigned char claim[TKT_CLAIM_SIZE],
                               const unsigned char answer[TKT_CLAIM_ANSWER_SIZE]) {
  if (verifier == nullptr || claim == nullptr) return TKT_BAD_ARGUMENT;
  if (answer != nullptr && std::memcmp(claim, answer, 4) != 0) return TKT_BAD_ARGUMENT;
  return guarded(reporter(verifier), [&] {
    const auto asked = wire::parse_claim(bytes_of<TKT_CLAIM_SIZE>(claim));
    auto verdict = replay::Verdict::unknown;
    if (answer != nullptr) {
      const auto told = wire::parse_claim_answer(bytes_of<TKT_CLAIM_ANSWER_SIZE>(answer));
      if (told) verdict = redeem::from_wire(told->verdict);
    }
    return settle(verifier, redeem::from_wire(*asked), verdict);
  });
}

tkt_status tkt_verifier_redeem(tkt_verifier* verifier, const char* authorization, size_t size,
                               const char* origin) {
  if (verifier == nullptr || origin == nullptr || (authorization == nullptr && size != 0)) {
    return TKT_BAD_ARGUMENT;
  }
  return guarded(reporter(verifier), [&] {
    const auto answer = check(verifier, text_of(authorization, size), origin);
    if (!answer.claim) return status_of(verifier->count(answer.outcome));
    const auto number = verifier->numbers.fetch_add(1, std::memory_order_relaxed);
    const auto verdict = verifier->link.ask(redeem::to_wire(*answer.claim, number));
    return settle(verifier, *answer.claim, verdict);
  });
}

tkt_status tkt_verifier_challenge(tkt_verifier* verifier, const char* origin, char* value,
                                  size_t* size) {
  if (verifier == nullptr || origin == nullptr || size == nullptr ||
      (value == nullptr && *size != 0)) {
    return TKT_BAD_ARGUMENT;
  }
  return guarded(reporter(verifier), [&] {
    const Moment now = tended(verifier);
    const auto gate = verifier->gate();
    const auto text = gate ? gate->challenge(origin, now) : std::string();
    const std::size_t room = *size;
    *size = text.empty() ? 0 : text.size() + 1;
    if (text.empty()) return TKT_UNKNOWN;
    if (room <= text.size()) return TKT_BUFFER_TOO_SMALL;
    std::memcpy(value, text.c_str(), text.size() + 1);
    *size = text.size();
    return TKT_OK;
  });
}

tkt_status tkt_verifier_counters_read(const tkt_verifier* verifier,
                                      tkt_verifier_counters* counters) {
  if (verifier == nullptr || !can_take(counters)) return TKT_BAD_ARGUMENT;
  const auto count = [&](Outcome outcome) {
    return verifier->counts[static_cast<std::size_t>(outcome)].load(std::memory_order_relaxed);
  };
  tkt_verifier_counters result{};
  result.ok = count(Outcome::ok);
  result.missing = count(Outcome::missing);
  result.malformed = count(Outcome::malformed);
  result.wrong_audience = count(Outcome::wrong_audience);
  result.early = count(Outcome::early);
  result.expired = count(Outcome::expired);
  result.unknown_key = count(Outcome::unknown_key);
  result.invalid = count(Outcome::invalid);
  result.replay = count(Outcome::replay);
  result.unknown = count(Outcome::unknown);
  return give_result(result, counters);
}
