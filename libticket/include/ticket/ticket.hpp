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

// A pool's ring in this process. Must outlive whatever it is attached to.
class Ring {
 public:
  explicit Ring(RingOptions options) : log_(std::make_unique<Log>(std::move(options.log))) {
    tkt_ring_options c{};
    c.size = sizeof c;
    c.ring_path = options.path.c_str();
    c.counters_path = options.counters.empty() ? nullptr : options.counters.c_str();
    c.no_thread = options.thread ? 0 : 1;
    c.log = *log_ ? &say : nullptr;
    c.log_user = log_.get();
    tkt_ring* handle = nullptr;
    check(tkt_ring_open(&handle, &c), "cannot open the ring");
    handle_.reset(handle);
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
  struct Free {
    void operator()(tkt_ring* ring) const noexcept { tkt_ring_free(ring); }
  };
  static void say(void* user, tkt_log_level level, const char* text) {
    (*static_cast<const Log*>(user))(level, text);
  }

  std::unique_ptr<Log> log_;  // first: outlives the handle that calls it
  std::unique_ptr<tkt_ring, Free> handle_;
};

}  // namespace ticket
