// The one place that decides whether a session may be offered to a server. All of it is
// looked at before the ClientHello, because a server that resumes shows no certificate:
// OpenSSL then checks neither chain nor name.
#pragma once

#include <openssl/ssl.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "client/server.hpp"
#include "client/session.hpp"

namespace ticket::client {

enum class Verdict {
  yes,
  none,                 // no session is kept for this pool
  expired,              // past its lifetime, or from a time that has not come yet
  version,              // the connection does not allow the session's version of TLS
  cipher,               // nor a cipher that it can go on with
  alpn,                 // nor its application protocol
  verify,               // the connection verifies its server otherwise than it did
  identity,             // the client shows another certificate, or none
  unverified,           // of another name, and not verified then or now
  callback,             // of another name, and verified by a callback of the application's
  tls12,                // of another name, in TLS 1.2: RFC 6066, section 3
  certificate_expired,  // the certificate that was verified is not valid now
  not_covered,          // its certificate is not good for this name
  moved,                // of a server that is in this pool no more
  after_failure,        // the last handshake with this server failed
  file_stands,          // it is in a cache file too, which cannot be removed
  changed,              // the connection is not what it was when it was prepared
  strange,              // see is_strange() in facts.hpp
};

// One English phrase for logs and people; never NULL.
const char* to_text(Verdict verdict);

// The connection to be, as far as it was set up.
struct Target {
  const Server& server;
  VerifySettings verify;
  bool store_to_come = false;  // what is in `verify.store` is not known before the server answers
  std::optional<StoreSettings> likely_store;  // but this is likely
  // what OpenSSL is asked to check: any of the hosts, and the address
  std::vector<std::string> checked_hosts;
  std::string checked_address;
  crypto::Sha256 identity{};
  int lowest_version = TLS1_VERSION, highest_version = TLS1_3_VERSION;
  const STACK_OF(SSL_CIPHER) * ciphers = nullptr;  // nullptr = any
  std::optional<std::string_view> alpn;            // as SSL_set_alpn_protos; nullopt = not told
};

// Under the name that the session's full handshake was for: whenever the connection could
// have made it. Under another: RFC 8446, 4.6.1, for servers that are known to be one pool;
// that is for the caller to know. Pure.
Verdict may_offer(const Session& session, const Target& target, bool any_name, sys_seconds now);

// Whether early data may go with it: never under another name than its ticket's and its
// lineage's.
bool may_send_early(const Session& session, const Server& server);

}  // namespace ticket::client
