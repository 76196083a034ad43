// Whole handshakes over memory: what the server's side of them takes with a ring
// attached, against OpenSSL's built-in ticket keys, in alternating slices.
#include <openssl/bio.h>

#include <chrono>
#include <stdexcept>

#include "setting.hpp"

namespace bench {

namespace {

using Time = std::chrono::steady_clock;

constexpr int slices = 60;
constexpr int handshakes_in_slice = 60;

// The session that a client was given last.
int keep_session(SSL* ssl, SSL_SESSION* session) {
  static_cast<SessionPtr*>(SSL_get_app_data(ssl))->reset(session);
  return 1;
}

class Pair {
 public:
  Pair(SSL_CTX* server, int version) : server_(server), client_(SSL_CTX_new(TLS_client_method())) {
    SSL_CTX_set_min_proto_version(client_.get(), version);
    SSL_CTX_set_max_proto_version(client_.get(), version);
    SSL_CTX_set_session_cache_mode(client_.get(),
                                   SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL_STORE);
    SSL_CTX_sess_set_new_cb(client_.get(), keep_session);
  }

  // Nanoseconds that the server took, the last ticket sent included.
  double handshake(bool resume) {
    SslPtr server(SSL_new(server_)), client(SSL_new(client_.get()));
    BIO *near = nullptr, *far = nullptr;
    BIO_new_bio_pair(&near, 0, &far, 0);
    SSL_set_bio(server.get(), near, near);
    SSL_set_bio(client.get(), far, far);
    SSL_set_accept_state(server.get());
    SSL_set_connect_state(client.get());
    SessionPtr received;
    SSL_set_app_data(client.get(), &received);
    if (resume) SSL_set_session(client.get(), session_.get());

    Time::duration took{};
    bool done = false;
    for (int flight = 0; flight < 4 && !done; ++flight) {
      const bool client_done = SSL_do_handshake(client.get()) == 1;
      const auto began = Time::now();
      const bool server_done = SSL_do_handshake(server.get()) == 1;
      took += Time::now() - began;
      done = client_done && server_done;
    }
    char byte = 0;
    SSL_read(client.get(), &byte, 1);  // takes TLS 1.3's tickets
    if (!done || (SSL_session_reused(server.get()) == 1) != resume) {
      throw std::runtime_error("a handshake did not go as it should");
    }
    // a renewal in TLS 1.2 does not call keep_session
    if (!received) received.reset(SSL_get1_session(client.get()));
    session_ = std::move(received);
    SSL_shutdown(client.get());
    SSL_shutdown(server.get());
    return std::chrono::duration<double, std::nano>(took).count();
  }

  double slice(bool resume) {
    if (resume && !session_) handshake(false);
    std::vector<double> times;
    for (int i = 0; i < handshakes_in_slice; ++i) times.push_back(handshake(resume));
    return quartiles(times).middle;
  }

 private:
  SSL_CTX* server_;
  ContextPtr client_;
  SessionPtr session_;
};

struct Comparison {
  const char* name;
  int version;
  bool resume;
};

void compare(const Comparison& what, SSL_CTX* builtin, SSL_CTX* ours, Figures& figures) {
  Pair plain(builtin, what.version), with_ring(ours, what.version);
  plain.slice(what.resume);
  with_ring.slice(what.resume);
  std::vector<double> ratios, times;
  for (int i = 0; i < slices; ++i) {
    // the order alternates too: a machine that speeds up favours neither
    const double first = (i % 2 == 0 ? plain : with_ring).slice(what.resume);
    const double second = (i % 2 == 0 ? with_ring : plain).slice(what.resume);
    ratios.push_back(i % 2 == 0 ? second / first : first / second);
    times.push_back((i % 2 == 0 ? second : first) / 1000);
  }
  const auto ratio = quartiles(ratios);
  figures[what.name] = ratio.middle;
  figures[std::string(what.name) + "_q1"] = ratio.low;
  figures[std::string(what.name) + "_q3"] = ratio.high;
  figures[std::string(what.name) + "_us"] = quartiles(times).middle;
}

}  // namespace

void measure_handshakes(Figures& figures) {
  const PoolFolder pool;
  const auto ring = open_ring(pool);
  const auto builtin = server_context(), ours = server_context();
  SSL_CTX_set_session_cache_mode(builtin.get(), SSL_SESS_CACHE_SERVER | SSL_SESS_CACHE_NO_INTERNAL);
  attach(ours.get(), ring.get());
  for (const auto& what : {Comparison{"resume_tls12_vs_builtin", TLS1_2_VERSION, true},
                           Comparison{"resume_tls13_vs_builtin", TLS1_3_VERSION, true},
                           Comparison{"full_tls13_vs_builtin", TLS1_3_VERSION, false}}) {
    compare(what, builtin.get(), ours.get(), figures);
  }
}

}  // namespace bench
