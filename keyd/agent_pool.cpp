#include "agent_pool.hpp"

#include <sodium.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <system_error>

#include "crypto/digest.hpp"

namespace keyd {

using nlohmann::json;
using spdlog::level::level_enum;
using ticket::Moment;
using ticket::Rejection;
using ticket::seconds;
using ticket::sys_seconds;

namespace {

// A renewal that keyd refused is tried again then; bundles are fetched meanwhile.
constexpr seconds renewal_retry{30};

// A pool that rotates every few seconds cannot wait for half a minute: its keys
// would be gone.
std::chrono::milliseconds longest_pause(seconds rotate_every) {
  return std::clamp<std::chrono::milliseconds>(rotate_every / 4, seconds(1), Backoff::longest);
}

std::string number(std::uint64_t value) { return std::to_string(value); }

// The reason in an error's body, {"error": "..."}.
std::string reason(const Reply& reply) {
  const auto body = json::parse(reply.body, nullptr, false);
  std::string text;
  if (body.is_object() && body.contains("error") && body["error"].is_string()) {
    text = body["error"].get<std::string>().substr(0, 300);
  }
  return "HTTP " + number(reply.status) + (text.empty() ? "" : ": " + text);
}

struct WrapBody {
  std::uint64_t generation = 0;
  ticket::Bytes wrap;
};

ticket::Checked<WrapBody> parse_wrap_body(const std::string& body) {
  const auto from = json::parse(body, nullptr, false);
  const auto has = [&from](const char* key) { return from.is_object() && from.contains(key); };
  if (!has("generation") || !from["generation"].is_number_unsigned() || !has("wrap") ||
      !from["wrap"].is_string()) {
    return ticket::reject(Rejection::malformed);
  }
  auto wrap = ticket::from_base64url(from["wrap"].get<std::string>());
  if (!wrap) return ticket::reject(Rejection::malformed);
  return WrapBody{from["generation"].get<std::uint64_t>(), *std::move(wrap)};
}

// What keyd holds an enrolment's time to. `steady` stays as far off as it was at the
// agent's start when NTP puts the clock right.
sys_seconds wall_time(Moment now) { return now.steady + now.apart; }

bool is_attack(Rejection why) {
  return why == Rejection::forged || why == Rejection::rollback || why == Rejection::equivocation ||
         why == Rejection::other_pool || why == Rejection::bad_key;
}

}  // namespace

PoolLife::PoolLife(Settings settings, Identity identity,
                   std::shared_ptr<ticket::ring::RingWriter> ring)
    : settings_(std::move(settings)),
      identity_(std::move(identity)),
      ring_(std::move(ring)),
      state_(settings_.state, settings_.pool, settings_.signer,
             [this](const std::string& what) { log(level_enum::err, what); }),
      rotate_every_(ticket::ring::Policy{}.rotate_every),
      next_change_(sys_seconds::max()) {}

// ---- beginning

void PoolLife::start(Moment now) {
  standing_.must_fetch = true;
  const auto& stored = state_.bundle();
  auto opening = stored ? open(stored->bundle, stored->wrap, now)
                        : ticket::Checked<Opening>(ticket::reject(Rejection::unknown_key));
  // A state folder that was restored is older than the ring that its servers have.
  const auto written = ring_->current();
  const bool older = opening && written && written->generation > opening->opened.ring.generation;
  if (opening && !older) {
    const bool promote = opening->with == OpenedWith::successor;
    rotate_every_ = opening->opened.manifest.policy.rotate_every;
    publish_living(opening->opened.ring, now);
    if (promote) state_.promote_successor();
    standing_.must_fetch = false;
  } else {
    if (older) log(level_enum::warn, "the stored bundle is older than the ring file, which stays");
    if (stored && !opening) {
      to_forget_ |= opening.error() == Rejection::expired;
      log(level_enum::warn,
          "the stored bundle gives no ring: " + std::string(to_text(opening.error())) +
              (to_forget_ ? "; it goes, and the sealing key too: the agent enrols anew" : ""));
    }
    start_from_ring_file(now);
  }
  standing_.must_enrol = to_forget_ || !state_.key();
  plan_renewal(now);
  if (to_forget_) forget();
}

// The ring file outlived an agent that lost its state folder, or a bundle.
void PoolLife::start_from_ring_file(Moment now) {
  const auto ring = ring_->current();
  if (!ring) return;
  auto mark = state_.mark();
  if (mark.applied.generation < ring->generation) {
    // Its manifest is unknown, so the ring's own generation is let in once more.
    mark.applied = {.generation = ring->generation - 1, .manifest = {}};
    state_.store_mark(mark);
  }
  rotate_every_ = ring->policy.rotate_every;
  publish_living(*ring, now);
}

void PoolLife::plan_renewal(Moment now) {
  // as the anchored clock has it; and clocks are set back
  const auto enrolled_at = std::min(state_.mark().enrolled_at - now.apart, now.steady);
  const bool begun = state_.successor().has_value();
  standing_.renew_at = begun ? now.steady : enrolled_at + rotate_every_;
}

// ---- asking

std::variant<Request, Pause> PoolLife::next(Moment now) {
  if (pause_.count() != 0) return Pause{std::exchange(pause_, {})};
  asked_ = plan(standing_, now);
  asked_at_ = now.steady;
  try {
    return std::visit([&](const auto& step) { return request(step, now); }, asked_);
  } catch (const std::exception& error) {  // the disk is full, the folder gone
    trouble(level_enum::err, error.what());
    return Pause{std::exchange(pause_, {})};
  }
}

Request PoolLife::request(const AskEnrol&, Moment now) {
  if (!state_.successor()) state_.make_successor();
  auto mark = state_.mark();
  const auto time = wall_time(now);
  // of a clock that ran ahead: keyd takes nothing so far from its own time
  const bool ahead = mark.enrolled_at > time + ticket::clock_tolerance;
  mark.enrolled_at = ahead ? time : std::max(time, mark.enrolled_at + seconds(1));
  state_.store_mark(mark);  // before it is sent: keyd refuses a time that it has seen
  const auto sealing_key = ticket::crypto::box_public(*state_.successor());
  return {.method = "PUT",
          .target = "/v1/pools/" + settings_.pool + "/members/self",
          .body = enrolment(identity_, settings_.signer, settings_.pool, sealing_key,
                            mark.enrolled_at)};
}

Request PoolLife::request(const AskBundle& ask, Moment) {
  return {.method = "GET",
          .target = "/v1/pools/" + settings_.pool + "/bundle?after=" + number(ask.after) +
                    "&wait=" + std::to_string(ask.wait.count()) + "&applied=" + number(ask.applied),
          .body = {},
          .wait = ask.wait};
}

Request PoolLife::request(const AskWrap&, Moment) {
  return {
      .method = "GET", .target = "/v1/pools/" + settings_.pool + "/wraps/" + member(), .body = {}};
}

// ---- answers

void PoolLife::answered(const Reply& reply, Moment now) {
  tried_ = true;
  if (std::holds_alternative<AskEnrol>(asked_)) return enrol_answered(reply, now);
  if (std::holds_alternative<AskWrap>(asked_)) return wrap_answered(reply, now);
  bundle_answered(reply, now);
}

void PoolLife::failed(const std::string& why) {
  tried_ = true;
  trouble(level_enum::warn, why);
}

void PoolLife::enrol_answered(const Reply& reply, Moment now) {
  if (reply.status == 200) {
    standing_.must_enrol = false;
    standing_.must_fetch = true;
    ++enrolments_;
    log(level_enum::debug, "enrolled a new sealing key");
    return;
  }
  ++enrolments_refused_;
  standing_.renew_at = now.steady + std::min(rotate_every_, renewal_retry);
  trouble(level_enum::err, "keyd did not enrol us: " + reason(reply));
}

void PoolLife::bundle_answered(const Reply& reply, Moment now) {
  if (reply.status == 200) return take_bundle(reply.body, now);
  if (reply.status != 204) {
    return trouble(level_enum::err, "keyd gave no bundle: " + reason(reply));
  }
  const auto& ask = std::get<AskBundle>(asked_);
  // Without a pause, a server that never waits would be asked without end.
  const bool early = ask.wait == seconds(0) || now.steady - asked_at_ < ask.wait / 2;
  if (early) return trouble(level_enum::debug, "keyd has no bundle yet");
  no_trouble();
}

void PoolLife::take_bundle(const std::string& body, Moment now) {
  auto bundle = ticket::feed::parse_bundle(body);
  if (!bundle) return refused(bundle.error());
  const auto manifest = ticket::feed::verify_bundle(*bundle, expectation(), now);
  if (!manifest) return refused(manifest.error());
  if (manifest->generation <= std::get<AskBundle>(asked_).after) {
    return trouble(level_enum::debug, "keyd sent the generation that we have");
  }
  in_hand_ = InHand{*std::move(bundle), manifest->generation};
  standing_.bundle_in_hand = true;
}

void PoolLife::wrap_answered(const Reply& reply, Moment now) {
  if (reply.status == 404) {
    standing_.must_enrol = true;
    return trouble(level_enum::info, "keyd has no wrap for us: enrolling");
  }
  if (reply.status != 200) {
    return trouble(level_enum::err, "keyd gave no wrap: " + reason(reply));
  }
  const auto body = parse_wrap_body(reply.body);
  if (!body) return refused(body.error());
  take_wrap(body->generation, body->wrap, now);
}

void PoolLife::take_wrap(std::uint64_t generation, ticket::BytesView wrap, Moment now) {
  if (generation != in_hand_->generation) return races(generation);
  auto opening = open(in_hand_->bundle, wrap, now);
  if (!opening) {
    standing_.must_enrol = opening.error() == Rejection::not_a_member;
    return refused(opening.error());
  }
  apply(*std::move(opening), {std::move(in_hand_->bundle), ticket::to_bytes(wrap)}, now);
}

// keyd published between our two requests, or a relay lags behind: ask again for
// the older of the two.
void PoolLife::races(std::uint64_t wrap_generation) {
  if (++races_ > 1) {
    return trouble(level_enum::debug, "bundle and wrap are of two generations");
  }
  if (wrap_generation < in_hand_->generation) return;
  in_hand_.reset();
  standing_.bundle_in_hand = false;
}

// ---- opening and applying

ticket::feed::Expectation PoolLife::expectation() const {
  return {.pool = settings_.pool, .signer = settings_.signer, .applied = state_.mark().applied};
}

ticket::Checked<PoolLife::Opening> PoolLife::open(const ticket::feed::Bundle& bundle,
                                                  ticket::BytesView wrap, Moment now) const {
  auto why = Rejection::not_a_member;
  for (const auto with : {OpenedWith::key, OpenedWith::successor}) {
    const auto& key = with == OpenedWith::key ? state_.key() : state_.successor();
    if (!key) continue;
    auto opened = ticket::feed::open_bundle(bundle, wrap, *key, expectation(), now);
    if (opened) return Opening{*std::move(opened), with};
    why = opened.error();
    if (why != Rejection::not_a_member) break;
  }
  return ticket::reject(why);
}

// In this order a kill at any point loses nothing: the stored bundle may be ahead
// of its mark, the mark ahead of the ring, and the old key goes last.
void PoolLife::apply(Opening opening, StoredBundle stored, Moment now) {
  auto& ring = opening.opened.ring;
  const bool newer = ring.generation != standing_.applied;
  state_.store_bundle(std::move(stored));
  state_.store_mark({opening.opened.applied, state_.mark().enrolled_at});
  auto living = ring.without_expired(now);
  const bool lost = !newer && lacks(living);  // wiped while the clock was ahead, say
  if (newer || lost) publish(std::move(living), now);
  if (lost) log(level_enum::info, "keys that the ring had lost are back");

  in_hand_.reset();
  races_ = 0;
  standing_.bundle_in_hand = standing_.must_fetch = standing_.must_enrol = false;
  rotate_every_ = opening.opened.manifest.policy.rotate_every;
  if (opening.with == OpenedWith::successor) {
    state_.promote_successor();
    to_forget_ = false;  // nothing is left of what should have gone
    log(level_enum::debug, "the sealing key is renewed, the old one wiped");
  }
  plan_renewal(now);
  no_trouble();
}

bool PoolLife::lacks(const ticket::ring::Ring& living) const {
  const auto written = ring_->current();
  return !written || written->epochs.size() < living.epochs.size() ||
         written->tokens.size() < living.tokens.size();
}

void PoolLife::publish(ticket::ring::Ring ring, Moment now) {
  const auto published = ring_->publish(ring, now);
  if (!published) throw std::runtime_error(std::string("ring file: ") + to_text(published.error()));
  const bool newer = ring.generation != standing_.applied;
  standing_.applied = ring.generation;
  next_change_ = ring.next_change(now);
  if (!newer || ring.epochs.empty()) return;
  settings_.log(level_enum::info, (std::exchange(announced_, true) ? "applied " : "ready: ") +
                                      settings_.pool + " generation " + number(ring.generation));
}

// Once nothing of it lives, what is stored would still give its keys to whoever takes the disk.
void PoolLife::publish_living(const ticket::ring::Ring& ring, Moment now) {
  auto living = ring.without_expired(now);
  const bool last = living.epochs.empty() && !ring.epochs.empty();
  publish(std::move(living), now);
  if (!last) return;
  log(level_enum::err, "the last key has expired and keyd has sent no other: no tickets now");
  to_forget_ = standing_.must_enrol = true;
}

// ---- the timer

void PoolLife::tick(Moment now) {
  if (ring_->in_place() || take_up_lost_file(now)) {
    ring_->heartbeat(now);
    if (now.latest >= next_change_) wipe_expired(now);
  }
  if (to_forget_) forget();
}

// Somebody removed, replaced or emptied the ring file, so the servers of this host
// no longer see what is written. False: they still do not.
bool PoolLife::take_up_lost_file(Moment now) {
  try {
    ring_->reopen(now);
  } catch (const std::exception& error) {
    if (lost_file_ != error.what()) log(level_enum::err, error.what());
    lost_file_ = error.what();
    return false;
  }
  lost_file_.clear();
  log(level_enum::warn, "the ring file was removed or replaced by somebody; it is written anew");
  if (!ring_->current()) start(now);
  return true;
}

// The secrets stand in the ring file alone; here they are read for a moment.
void PoolLife::wipe_expired(Moment now) {
  const auto ring = ring_->current();
  if (!ring) {
    next_change_ = sys_seconds::max();
    return;
  }
  const auto living = ring->without_expired(now);
  if (living.epochs.size() == ring->epochs.size() && living.tokens.size() == ring->tokens.size()) {
    next_change_ = ring->next_change(now);
    return;
  }
  publish_living(*ring, now);
}

// Throws while the disk refuses; each tick tries again.
void PoolLife::forget() {
  state_.forget();
  to_forget_ = false;
  standing_.must_enrol = true;  // an enrolment under way was with a key that has gone, too
}

// ---- telling

void PoolLife::refused(Rejection why) {
  const auto times = ++refusals_[why];
  trouble(is_attack(why) ? level_enum::err : level_enum::warn,
          "refused a bundle: " + std::string(to_text(why)) + " (" + std::to_string(times) +
              " so far); the ring stays at generation " + number(standing_.applied));
}

void PoolLife::trouble(level_enum level, const std::string& what) {
  in_hand_.reset();
  standing_.bundle_in_hand = false;
  pause_ = backoff_.next(randombytes_random(), longest_pause(rotate_every_));
  log(what == last_trouble_ ? level_enum::debug : level, what);
  if (level >= level_enum::warn) last_trouble_ = what;  // told once, until it is over
}

void PoolLife::no_trouble() {
  backoff_.reset();
  if (!last_trouble_.empty()) log(level_enum::info, "keyd answers again");
  last_trouble_.clear();
}

std::string PoolLife::member() const {
  return identity_.member.empty() ? "self" : identity_.member;
}

void PoolLife::log(level_enum level, const std::string& text) const {
  settings_.log(level, settings_.pool + ": " + text);
}

}  // namespace keyd
