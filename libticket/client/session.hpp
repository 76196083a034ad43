// A TLS session that a client holds, and what its lineage's full handshake proved.
#pragma once

#include <openssl/ssl.h>

#include <array>
#include <memory>
#include <string>
#include <string_view>

#include "base/clock.hpp"
#include "client/key_table.hpp"
#include "client/server.hpp"
#include "crypto/certificate.hpp"
#include "crypto/digest.hpp"

namespace ticket::client {

struct FreeSession {
  void operator()(SSL_SESSION* session) const { SSL_SESSION_free(session); }
};
using SessionPtr = std::unique_ptr<SSL_SESSION, FreeSession>;

// What an X509_STORE says of verifying: OpenSSL begins with it, and what the connection says
// goes before it, or is added.
struct StoreSettings {
  int depth = -1;
  std::uint64_t flags = 0;  // X509_V_FLAG_*
  std::uint32_t host_flags = 0;
  std::uint64_t callback = 0;
  std::int64_t time = 0;  // to check certificates at; 0 = now
  friend bool operator==(const StoreSettings&, const StoreSettings&) = default;
};

// How a connection verifies its server. Equal settings find the same chain good, or the
// same one bad, as far as OpenSSL lets anybody see: what it does not tell, such as whom
// an SSL_CTX trusts, for what purpose, and which CRLs it has, is what partitions are for.
struct VerifySettings {
  bool peer = false;  // SSL_VERIFY_PEER
  int depth = -1;
  int auth_level = -1;
  std::uint64_t flags = 0;     // X509_V_FLAG_*
  std::uint64_t callback = 0;  // the application's own verify callback, 0 = none
  int security_level = 1;
  std::uint32_t host_flags = 0;  // X509_CHECK_FLAG_*
  bool transparency = false;     // SSL_enable_ct
  StoreSettings store;
  std::uint32_t cert_flags = 0;  // SSL_CERT_FLAG_*: Suite B
  std::int64_t time = 0;         // as in StoreSettings

  std::uint32_t host_flags_in_force() const {
    return host_flags != 0 ? host_flags : store.host_flags;
  }
  friend bool operator==(const VerifySettings&, const VerifySettings&) = default;
};

// Names of a certificate. The first few stand here, beside what else is looked at in a
// lineage: for those a lookup waits for memory once less.
class NameSet {
 public:
  void add(const NameKey& name);
  bool contains(const NameKey& name) const;
  bool empty() const { return size_ == 0; }

 private:
  std::array<NameKey, 16> first_;
  std::size_t size_ = 0;  // of first_
  KeyTable rest_;
};

// A chain of resumptions, by the full handshake that began it. Immutable.
struct Lineage {
  Name name;           // host name or address that the handshake was for
  sys_seconds born{};  // when it was
  crypto::Certificate leaf;
  sys_seconds valid_from, valid_until;  // the leaf
  bool chain_verified = false;          // by OpenSSL, in that handshake
  VerifySettings verify;
  crypto::Sha256 identity{};  // SHA-256 of the certificate that the client showed; zero = none

  // Whether the leaf is good for a server's host name or address, as OpenSSL's host check
  // has it with the flags of `verify`.
  bool covers(const Server& server) const;
  bool covers_address(const std::string& address) const;

  // The leaf's DNS names in lower case, when they are all that counts: there are some, and
  // no wildcard. OpenSSL's check parses the certificate each time.
  NameSet plain_names;
};

// Takes times and names from the leaf. nullptr when there is no leaf or its times do not parse.
std::shared_ptr<const Lineage> make_lineage(Lineage&& lineage);

// A session to resume. TLS 1.3: to be offered once.
struct Session {
  SessionPtr session;
  std::shared_ptr<const Lineage> lineage;
  Server server;     // whose ticket it is
  std::string alpn;  // what was agreed on then; empty = nothing
  sys_seconds received, expires;
  // of the session itself, so that a lookup need not fetch it
  int version = 0;
  const SSL_CIPHER* cipher = nullptr;  // OpenSSL's own
  bool has_ticket = false;
  std::uint64_t vouched = 0;  // see Pools::word(): when its server was known to be of its pool

  bool once() const { return version >= TLS1_3_VERSION; }
};

constexpr seconds longest_life{604800};  // RFC 8446, 4.6.1

// What came by a connection to `server`.
Session make_session(SessionPtr session, std::shared_ptr<const Lineage> lineage,
                     const Server& server, std::string alpn, sys_seconds received);

// When a session that was received now may last be offered: by the server's hint, else
// by OpenSSL's timeout. `received` itself when never.
sys_seconds end_of(const SSL_SESSION* session, sys_seconds received);

// 0 = has none.
std::size_t ticket_size(const SSL_SESSION* session);

// Another reference to a session for a connection of its own: OpenSSL marks what a
// connection used when that breaks. nullptr when memory is short.
SessionPtr copy(const SSL_SESSION* session);

}  // namespace ticket::client
