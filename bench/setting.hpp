// What every measurement needs: a pool with the default policy in a temporary
// folder, and the statistics of alternating runs.
#pragma once

#include <openssl/ssl.h>
#include <ticket/ticket.h>

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "ring/ring.hpp"

namespace bench {

// Name -> value, as tools/bench prints and compares them.
using Figures = std::map<std::string, double>;

// The quartiles of what was measured; the middle one is the median.
struct Quartiles {
  double low, middle, high;
};
Quartiles quartiles(std::vector<double> values);

// The same under `name`, `name`_q1 and `name`_q3.
void note(Figures& figures, const std::string& name, const std::vector<double>& values);

// Nanoseconds of this thread's processor time: others on the machine do not count.
double thread_time();

// A pool of the default policy, as its agent would have written it now: 12 old
// epochs, a sealing one and 6 announced.
class PoolFolder {
 public:
  PoolFolder();
  ~PoolFolder();
  PoolFolder(const PoolFolder&) = delete;
  PoolFolder& operator=(const PoolFolder&) = delete;

  std::filesystem::path ring_path() const { return folder_ / "web.ring"; }
  const ticket::ring::Ring& ring() const { return ring_; }

 private:
  std::filesystem::path folder_;
  ticket::ring::Ring ring_;
};

struct Free {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  void operator()(SSL* ssl) const { SSL_free(ssl); }
  void operator()(SSL_SESSION* session) const { SSL_SESSION_free(session); }
  void operator()(tkt_ring* ring) const { tkt_ring_free(ring); }
};
using ContextPtr = std::unique_ptr<SSL_CTX, Free>;
using SslPtr = std::unique_ptr<SSL, Free>;
using SessionPtr = std::unique_ptr<SSL_SESSION, Free>;
using RingPtr = std::unique_ptr<tkt_ring, Free>;

// A server with a fresh P-256 certificate; nothing attached.
ContextPtr server_context();
RingPtr open_ring(const PoolFolder& pool);
void attach(SSL_CTX* context, tkt_ring* ring);

// Each measures one group and adds its figures.
void measure_lookup(Figures& figures);
void measure_callbacks(Figures& figures);
void measure_handshakes(Figures& figures);
void measure_seal(Figures& figures);
void measure_tokens(Figures& figures);
void measure_replay(Figures& figures);

}  // namespace bench
