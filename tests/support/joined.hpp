// A TLS client and a server in one process, joined by memory.
#pragma once

#include <openssl/ssl.h>

namespace support {

inline void join(SSL* client, SSL* server) {
  BIO* to_server = BIO_new(BIO_s_mem());
  BIO* to_client = BIO_new(BIO_s_mem());
  BIO_set_mem_eof_return(to_server, -1);
  BIO_set_mem_eof_return(to_client, -1);
  BIO_up_ref(to_server);
  BIO_up_ref(to_client);
  SSL_set_bio(client, to_client, to_server);
  SSL_set_bio(server, to_server, to_client);
  SSL_set_connect_state(client);
  SSL_set_accept_state(server);
}

inline bool advance(SSL* ssl) {
  const int result = SSL_do_handshake(ssl);
  return result == 1 || SSL_get_error(ssl, result) == SSL_ERROR_WANT_READ;
}

// `server_dies`: before it answers for the so many-th time; 0 = never.
inline bool shake_hands(SSL* client, SSL* server, int server_dies = 0) {
  for (int round = 1; round <= 10; ++round) {
    if (!advance(client) || round == server_dies) return false;
    if (!advance(server)) {
      advance(client);  // hears the alert
      return false;
    }
    if (SSL_is_init_finished(client) && SSL_is_init_finished(server)) return true;
  }
  return false;
}

}  // namespace support
