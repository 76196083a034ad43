// What OpenSSL calls. In a handshake that opens a ticket and seals another:
//
//   open_key      finds the key of the ticket            key callback, decrypting
//   judge_ticket  may what was inside be resumed?        session ticket callback
//   ...           the servername callback, certificates
//   allow_early_data  may what came with the ticket be read?   its own callback
//   prepare_ticket  says what the new ticket carries     session ticket callback
//   seal_key      keys it, with the epoch just chosen    key callback, encrypting
#pragma once

#include "attachment.hpp"

namespace ticket::openssl {

// 0: unknown, a full handshake; 1: taken; 2: taken, and a new ticket is sent.
int open_key(SSL* ssl, const unsigned char* key_name, const unsigned char* iv,
             EVP_CIPHER_CTX* cipher, EVP_MAC_CTX* mac);

// `arg` of both session ticket callbacks is not used.
SSL_TICKET_RETURN judge_ticket(SSL* ssl, SSL_SESSION* session, const unsigned char* key_name,
                               std::size_t key_name_size, SSL_TICKET_STATUS status, void* arg);

// 1: early data is read; 0: it is dropped, and the handshake goes on.
int allow_early_data(SSL* ssl, void* arg);

// 0 ends the handshake.
int prepare_ticket(SSL* ssl, void* arg);

// 1: sealed; 0: no ticket.
int seal_key(SSL* ssl, unsigned char* key_name, unsigned char* iv, EVP_CIPHER_CTX* cipher,
             EVP_MAC_CTX* mac);

// Whether a resumed connection is now where its ticket would not have opened, lacks the
// certificate that is demanded there, or brings one that others vouched for. `context` is
// its context now, nullptr: none; note.cas is what its host asks for.
bool crossed(const Note& note, const Attachment& attachment, const Context* context);

// What is asked of the client where a connection is now. On the host that `choose` told when the
// ticket was judged, believed is who was believed then: a store may have taken more in since.
ClientCas cas_now(const SSL* ssl, const Note& note, bool resumed);

// The numbers of DTLS, all of it like TLS 1.2 here, are beyond TLS 1.3's.
inline bool is_tls13(const SSL* ssl) {
  return SSL_is_dtls(ssl) == 0 && SSL_version(ssl) >= TLS1_3_VERSION;
}

}  // namespace ticket::openssl
