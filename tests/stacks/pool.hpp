// A pool of servers in one process: ring files in a temporary folder, a clock
// that tests turn, SSL_CTXs with rings attached.
#pragma once

#include <ticket/openssl.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "ring/derive.hpp"
#include "ring/ring_file.hpp"

namespace pool {

using ticket::seconds;
using ticket::sys_seconds;
using namespace std::chrono_literals;

struct Free {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  void operator()(SSL* ssl) const { SSL_free(ssl); }
  void operator()(SSL_SESSION* session) const { SSL_SESSION_free(session); }
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  void operator()(tkt_ring* ring) const { tkt_ring_free(ring); }
};
using ContextPtr = std::unique_ptr<SSL_CTX, Free>;
using SslPtr = std::unique_ptr<SSL, Free>;
using SessionPtr = std::unique_ptr<SSL_SESSION, Free>;
using RingPtr = std::unique_ptr<tkt_ring, Free>;

class Folder {
 public:
  Folder();
  ~Folder();
  Folder(const Folder&) = delete;
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

// Starts at the machine's time, which OpenSSL's own checks go by, and moves when
// it is told to.
struct Clock {
  Clock();
  void pass(seconds time) { steady += time, wall += time; }
  sys_seconds steady, wall;
};

// Times counted from the clock's start.
struct Life {
  std::uint32_t number;
  seconds seals_from, seals_until, opens_until;
};

// Epochs of an hour that open for `lifetime` more, as rotation makes them.
std::vector<Life> hourly(unsigned count, seconds lifetime = 12h);

// One server: its ring file, and the ring that it opened.
class Server {
 public:
  Server(const std::string& name, std::uint16_t member, Clock& clock);

  // What keyd's agent would write.
  void publish(const std::vector<Life>& lives);
  void beat() { writer_->heartbeat(clock_.steady); }
  void tend() { tkt_ring_tend(ring.get(), nullptr); }
  tkt_counters counters() const;
  tkt_ring_info info() const;
  std::string why() const { return info().why; }

  ticket::ring::Policy policy;
  std::vector<ticket::ring::Revocation> revocations;
  Folder folder;
  std::filesystem::path path;
  RingPtr ring;
  std::vector<std::string> said;  // by the log callback

 private:
  Clock& clock_;
  sys_seconds start_;
  std::uint64_t generation_ = 0;
  std::uint16_t member_;
  std::unique_ptr<ticket::ring::RingWriter> writer_;
};

// key_name 16 | hmac key 32 | aes key 32, as every member of the pool derives it.
std::array<unsigned char, 80> stek(std::uint32_t epoch, std::string_view context);

// A server's SSL_CTX with a certificate for `name`, nothing attached; when
// `client_certificates`, it demands one.
ContextPtr server_context(const std::string& name, bool client_certificates = false);
void attach(SSL_CTX* context, const Server& server, tkt_openssl_options options = {});
ContextPtr attached(const std::string& name, const Server& server, tkt_openssl_options options = {},
                    bool client_certificates = false);

// Makes `from` hand connections to `to` when the client names `name`.
enum class Switch {
  client_hello,
  servername,       // by SSL_get_servername: the old name on a TLS 1.2 resumption
  servername_kept,  // in the same callback, by what stood in the ClientHello
};
void switch_by_name(SSL_CTX* from, Switch how, std::vector<std::pair<std::string, SSL_CTX*>> to);

// What a client does, and what came of it.
struct Client {
  int version = TLS1_3_VERSION;
  const char* name = "a.test";                 // NULL: none
  const SSL_SESSION* session = nullptr;        // offered
  bool certificate = true;                     // shows one when asked
  const char* groups = nullptr;                // key shares; NULL: OpenSSL's
  std::vector<unsigned char> raw_ticket = {};  // in place of a session's, TLS 1.2
  bool tickets = true;                         // takes some, TLS 1.2; else goes by session ids
  int asked_after = 0;  // for a certificate, once hands are shaken, with this mode; TLS 1.3
};
struct Outcome {
  bool completed = false;  // on both sides
  bool resumed = false;    // the server's word, and the client's
  bool disagreed = false;  // they say different things
  unsigned tickets = 0;    // NewSessionTicket messages with a ticket in them
  int server_alerts = 0;
  bool showed_certificate = false;
  const SSL_CTX* served_by = nullptr;
  tkt_openssl_info info{};
  SessionPtr session;  // to resume with; NULL when there is none
};
Outcome connect(SSL_CTX* server, const Client& client);

SessionPtr copy(const SSL_SESSION* session);
std::vector<unsigned char> ticket_of(const SSL_SESSION* session);
// The session with other bytes for a ticket, as many as it had.
SessionPtr with_ticket(const SSL_SESSION* session, const std::vector<unsigned char>& ticket);

inline std::string version_name(int version) {
  return version == TLS1_2_VERSION ? "TLS 1.2" : "TLS 1.3";
}
constexpr int both_versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

}  // namespace pool
