// C++ over <ticket/ticket.h>: owned handles, and failures as exceptions.
// Header-only, so that it works with any compiler's C++17 and libticket's C ABI.
//
//     ticket::Ring ring({.path = "/run/ticket/web.ring"});
//     tkt_openssl_attach(ctx, ring.handle(), nullptr);
#pragma once

#include <ticket/ticket.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace ticket {

// A negative tkt_status. Rejections are no exceptions: they are returned.
class Failure : public std::runtime_error {
 public:
  Failure(const std::string& what, tkt_status status)
      : std::runtime_error(what + ": " + tkt_status_text(status)), status_(status) {}
  tkt_status status() const noexcept { return status_; }

 private:
  tkt_status status_;
};

// Throws Failure for a negative status; hands on any other.
inline tkt_status check(tkt_status status, const char* what) {
  if (status < 0) throw Failure(what, status);
  return status;
}

using Log = std::function<void(tkt_log_level level, std::string_view text)>;

struct RingOptions {
  std::string path;           // the file that keyd's agent writes
  std::string counters = {};  // empty: beside it
  bool thread = true;         // false: the caller tends by its own timer
  Log log = {};               // empty: silent; called from any thread; must not throw
};

// A pool whose keys are made in this process; see tkt_ring_embed.
struct EmbedOptions {
  std::string pool;
  std::string path = {};      // the file that they are kept in; empty: in memory alone
  std::string counters = {};  // empty: beside it
  std::uint32_t rotate_every = 0, lifetime = 0, lineage = 0;  // seconds; 0: keyd's defaults
  bool thread = true;  // false: the caller tends by its own timer
  Log log = {};        // as in RingOptions
};

// A pool's ring in this process. Must outlive whatever it is attached to.
class Ring {
 public:
  explicit Ring(RingOptions options) : log_(std::make_unique<Log>(std::move(options.log))) {
    auto c = common<tkt_ring_options>(options);
    c.ring_path = options.path.c_str();
    tkt_ring* handle = nullptr;
    check(tkt_ring_open(&handle, &c), "cannot open the ring");
    handle_.reset(handle);
  }

  Ring(Ring&&) noexcept = default;
  Ring& operator=(Ring&& other) noexcept {
    handle_ = std::move(other.handle_);  // first: one that ends may have something to say
    log_ = std::move(other.log_);
    return *this;
  }

  // Makes the pool's keys here.
  static Ring embed(EmbedOptions options) {
    Ring ring;
    ring.log_ = std::make_unique<Log>(std::move(options.log));
    auto c = ring.common<tkt_embed_options>(options);
    c.pool = options.pool.c_str();
    c.ring_path = options.path.empty() ? nullptr : options.path.c_str();
    c.rotate_every = options.rotate_every;
    c.lifetime = options.lifetime;
    c.lineage = options.lineage;
    tkt_ring* handle = nullptr;
    check(tkt_ring_embed(&handle, &c), "cannot embed the pool");
    ring.handle_.reset(handle);
    return ring;
  }

  tkt_ring* handle() const noexcept { return handle_.get(); }

  // Returns when to tend again at the latest, in Unix seconds.
  std::int64_t tend() {
    std::int64_t next = 0;
    check(tkt_ring_tend(handle(), &next), "cannot tend the ring");
    return next;
  }

  tkt_ring_info info() const {
    tkt_ring_info info{};
    info.size = sizeof info;
    check(tkt_ring_info_read(handle(), &info), "cannot read the ring");
    return info;
  }

  tkt_counters counters() const {
    tkt_counters counters{};
    counters.size = sizeof counters;
    check(tkt_counters_read(handle(), &counters), "cannot read the counters");
    return counters;
  }

 private:
  Ring() = default;

  template <class C, class Options>
  C common(const Options& options) const {
    C c{};
    c.size = sizeof c;
    c.counters_path = options.counters.empty() ? nullptr : options.counters.c_str();
    c.no_thread = options.thread ? 0 : 1;
    c.log = *log_ ? &say : nullptr;
    c.log_user = log_.get();
    return c;
  }

  struct Free {
    void operator()(tkt_ring* ring) const noexcept { tkt_ring_free(ring); }
  };
  static void say(void* user, tkt_log_level level, const char* text) {
    (*static_cast<const Log*>(user))(level, text);
  }

  std::unique_ptr<Log> log_;  // first: outlives the handle that calls it
  std::unique_ptr<tkt_ring, Free> handle_;
};

// A ticket that was opened, or why it was not.
struct Opened {
  tkt_status status = TKT_OK;  // TKT_OK or a rejection
  std::string payload;
  tkt_opened label{};

  explicit operator bool() const noexcept { return status == TKT_OK; }
};

// Tickets whose payload is yours; see tkt_seal. The ring must outlive it.
//
//     ticket::Context logins(ring, "cookie", "logins");
//     std::string cookie = logins.seal("alice");
//     if (auto opened = logins.open(cookie)) greet(opened.payload);
class Context {
 public:
  Context(const Ring& ring, const std::string& purpose, const std::string& name) {
    check(tkt_ring_context(ring.handle(), purpose.c_str(), name.c_str(), &context_),
          "cannot name a context");
  }

  // Empty when no key may seal now, or when the lineage that `born` carries on has
  // ended. `born` is that of the ticket that is renewed; lifetime in seconds, 0: the
  // policy's. Throws Failure for more than TKT_PAYLOAD_MAX bytes.
  std::string seal(std::string_view payload, std::int64_t born = 0,
                   std::uint32_t lifetime = 0) const {
    tkt_seal_options options{};
    options.size = sizeof options;
    options.born = born;
    options.lifetime = lifetime;
    std::string ticket(tkt_seal_size(payload.size()), '\0');
    std::size_t size = ticket.size();
    check(tkt_seal(context_, ticket.data(), &size, payload.data(), payload.size(), &options),
          "cannot seal");
    ticket.resize(size);
    return ticket;
  }

  Opened open(std::string_view ticket) const {
    Opened opened;
    opened.label.size = sizeof opened.label;
    opened.payload.resize(tkt_open_size(ticket.size()));
    std::size_t size = opened.payload.size();
    opened.status = check(tkt_open(context_, opened.payload.data(), &size, ticket.data(),
                                   ticket.size(), &opened.label),
                          "cannot open");
    opened.payload.resize(size);
    return opened;
  }

 private:
  tkt_context* context_ = nullptr;  // the ring's
};

// Lets one-time tokens pass, each once; see tkt_verifier_open. The ring must outlive it.
//
//     ticket::Verifier door(ring);
//     const tkt_status status = door.redeem(request["authorization"], "a.test");
//     if (status == TKT_OK) return serve(request);
//     if (status == TKT_UNKNOWN || door.challenge("a.test").empty()) return unavailable();
//     return unauthorized(door.challenge("a.test"));  // whatever the reason
struct VerifierOptions {
  std::string tables = {};    // folder; empty: beside the ring
  std::string claims = {};    // the agent's socket; empty: beside the ring
  std::uint32_t timeout = 0;  // milliseconds; 0: 100
};

class Verifier {
 public:
  explicit Verifier(const Ring& ring, const VerifierOptions& options = {}) {
    tkt_verifier_options c{};
    c.size = sizeof c;
    c.tables_path = options.tables.empty() ? nullptr : options.tables.c_str();
    c.claims_path = options.claims.empty() ? nullptr : options.claims.c_str();
    c.timeout = options.timeout;
    tkt_verifier* handle = nullptr;
    check(tkt_verifier_open(&handle, ring.handle(), &c), "cannot verify tokens");
    handle_.reset(handle);
  }

  tkt_verifier* handle() const noexcept { return handle_.get(); }

  // TKT_OK or a rejection. May wait for the agent.
  tkt_status redeem(std::string_view authorization, const std::string& origin) const {
    return check(
        tkt_verifier_redeem(handle(), authorization.data(), authorization.size(), origin.c_str()),
        "cannot redeem");
  }

  // The value of WWW-Authenticate; empty when there is nothing to ask for.
  std::string challenge(const std::string& origin) const {
    for (std::string value;;) {
      std::size_t size = value.empty() ? 0 : value.size() + 1;
      const auto status = tkt_verifier_challenge(handle(), origin.c_str(),
                                                 size == 0 ? nullptr : value.data(), &size);
      if (status != TKT_BUFFER_TOO_SMALL) {
        value.resize(check(status, "cannot ask for a token") == TKT_OK ? size : 0);
        return value;
      }
      value.resize(size - 1);  // its NUL is there besides
    }
  }

  tkt_verifier_counters counters() const {
    tkt_verifier_counters counters{};
    counters.size = sizeof counters;
    check(tkt_verifier_counters_read(handle(), &counters), "cannot read the counters");
    return counters;
  }

 private:
  struct Free {
    void operator()(tkt_verifier* verifier) const noexcept { tkt_verifier_free(verifier); }
  };
  std::unique_ptr<tkt_verifier, Free> handle_;
};

}  // namespace ticket
