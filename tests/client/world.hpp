// Servers of pools in this process, and a client that visits them over memory BIOs.
#pragma once

#include <openssl/ssl.h>
#include <ticket/client.h>

#include <atomic>
#include <ctime>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "crypto/certificates.hpp"

namespace world {

using ticket::seconds;
using ticket::sys_seconds;

struct Free {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  void operator()(SSL* ssl) const { SSL_free(ssl); }
  void operator()(SSL_SESSION* session) const { SSL_SESSION_free(session); }
  void operator()(tkt_client* client) const { tkt_client_close(client); }
};
using ContextPtr = std::unique_ptr<SSL_CTX, Free>;
using SslPtr = std::unique_ptr<SSL, Free>;
using SessionPtr = std::unique_ptr<SSL_SESSION, Free>;
using ClientPtr = std::unique_ptr<tkt_client, Free>;

inline sys_seconds real_now() { return sys_seconds(seconds(std::time(nullptr))); }

// Starts at the machine's time, which certificates and OpenSSL go by.
struct Clock {
  std::atomic<std::int64_t> now{std::time(nullptr)};
};

// The CA that all clients here trust.
const test::Authority& authority();
// A leaf's "DNS:a.test,DNS:b.test" and how long it is valid from now.
struct Leaf {
  std::string names;
  seconds from{-3600}, until{30 * 86400};
};

struct ServerOptions {
  int keys = 1;                // servers with equal keys are one pool; 0 = sends no tickets
  int version = 0;             // the only one; 0 = any
  bool foreign = false;        // signed by a CA that nobody trusts
  const char* alpn = nullptr;  // one protocol that it takes
  bool early_data = false;
  bool client_certificate = false;  // asks for one
  int tickets = 2;
};
ContextPtr server(const Leaf& leaf, const ServerOptions& options = {});

struct ClientOptions {
  bool verify = true;
  int version = 0;
  const char* ciphersuites = nullptr;  // of TLS 1.3
};
ContextPtr client_context(const ClientOptions& options = {});

// A tkt_client with a clock, whose log lines are kept.
struct Client {
  explicit Client(tkt_client_options options = {}, const char* manifest = nullptr);
  tkt_status manifest(const std::string& text);
  tkt_client_counters counters() const;
  void pass(seconds time) { clock.now += time.count(); }

  Clock clock;
  std::mutex saying;
  std::vector<std::string> said;
  std::string why;  // of the last manifest
  ClientPtr handle;
};

// A manifest of one pool "web" with these names.
std::string pool_of(const std::vector<std::string>& names, const std::string& id = "web");
std::string manifest_of(const std::vector<std::string>& pools, std::int64_t expires = 0);

struct Visit {
  bool completed = false, resumed = false, offered = false;
  std::string ticket_of, why, pool;
  std::vector<unsigned char> ticket;  // that was offered
  std::uint32_t early_data = 0;       // of the session that was offered
  std::string error;                  // of OpenSSL, when it was not completed
};
struct VisitOptions {
  unsigned port = 443;
  bool read_tickets = true;  // after the handshake
  bool shutdown = true;
  bool checks_host = true;
  int server_dies = 0;                    // after so many rounds
  std::function<void()> waits = {};       // before the application gives that up
  const char* alpn = nullptr;             // one protocol, told by tkt_client_set_alpn
  std::function<void(SSL*)> set_up = {};  // what else the application sets, before it prepares
};
Visit visit(tkt_client* client, SSL_CTX* ctx, const std::string& host, SSL_CTX* at,
            const VisitOptions& options = {});

// An SSL of the application's own at a server: shakes hands, and reads once.
bool connect(SSL* ssl, SSL_CTX* at);
// The ticket that an SSL would offer, or has; empty = none.
std::vector<unsigned char> ticket_of(SSL* ssl);
tkt_client_info info_of(const SSL* ssl);

}  // namespace world
