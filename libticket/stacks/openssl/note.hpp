// What is remembered about one connection between OpenSSL's calls.
#pragma once

#include <openssl/ssl.h>
#include <ticket/openssl.h>

#include <array>
#include <cstdint>

#include "capi/core.h"
#include "client_cas.hpp"
#include "server_name.hpp"

namespace ticket::openssl {

// Reads the name from the ClientHello that is being answered (RFC 6066, section
// 3), since SSL_get_servername() does not know it yet. False when the extension
// is malformed; true with an empty name when there is none.
bool read_server_name(SSL* ssl, ServerName* name);

// The ticket that the client presented.
struct Offer {
  bool presented = false;
  bool counted = false;  // the same ticket comes twice around a HelloRetryRequest
  bool sought = false;   // open_key looked for its key, judge_ticket is to come
  bool keyed = false;    // its key was found; OpenSSL goes on to check its tag
  bool opened = false;   // accepted
  bool attributed = false;
  bool certificate = false;       // its session brings one of the client's
  bool looked = false;            // prepare_ticket has seen that it did not cross
  ClientCas cas;                  // by whose word it was judged
  const SSL_CTX* host = nullptr;  // whose those are, where `choose` told it
  tkt_status reason = TKT_OK;
  std::array<unsigned char, 16> iv{};
  tkt_core_epoch epoch{};
  tkt_core_attribution attribution{};
  tkt_ring* ring = nullptr;
  int context = -1;
};

// The ticket that is about to be sealed.
struct Sealing {
  tkt_ring* ring = nullptr;  // NULL: no ticket is wanted
  int context = -1;
  std::uint32_t epoch = 0;  // number; 0: no epoch may seal
};

struct Context;

struct Note {
  // Forgets what is noted of another connection: an SSL may be used again by SSL_clear, and
  // OpenSSL tells nobody. Around a HelloRetryRequest the ClientHello's random stays (RFC 8446,
  // section 4.1.2).
  void keep_if_of(const SSL* ssl);
  bool is_of(const SSL* ssl) const;
  void begin();  // as a new one

  SSL_CTX* first = nullptr;  // the SSL_CTX that the connection began with
  tkt_core_time now{};
  Offer offer;
  Sealing sealing;
  tkt_openssl_early early = TKT_EARLY_NONE;
  // Of a connection whose early data was taken: its context, which was looked up when all
  // that may switch an SSL_CTX was over. Whoever would be asked for it later may have gone
  // on to the request.
  const Context* settled = nullptr;
  ServerName name;
  ClientCas cas;  // of the host that the name leads to, as known by now

  // What a ticket tells of the server it is made for (wire/layout.hpp): the name and, where
  // client certificates are asked for, the CAs that vouch for them. False when its key is gone.
  bool name_hash(tkt_ring* ring, int context, std::uint32_t epoch, unsigned char hash[8]) const;
  // Was the ticket that is offered made for this one?
  bool same_hash() const;
  std::array<char, 256> context{};  // for tkt_openssl_info
  Note* next = nullptr;             // in the pool of spare ones

 private:
  using Random = std::array<unsigned char, SSL3_RANDOM_SIZE>;
  struct Text;  // that is hashed

  static Random random_of(const SSL* ssl);

  Random random_{};  // the client's
};

// The note of a connection; nullptr when it began on an SSL_CTX without a ring.
Note* note_of(const SSL* ssl);

// Makes OpenSSL give each new connection of an attached SSL_CTX a note. False
// when OpenSSL has no index left.
bool register_notes();

}  // namespace ticket::openssl
