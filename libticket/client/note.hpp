// What hangs on OpenSSL's objects: what an SSL_CTX was given, and a note on each SSL of it.
#pragma once

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <array>
#include <memory>
#include <optional>
#include <string>

#include "client/client.hpp"

namespace ticket::client {

using InfoCallback = void (*)(const SSL*, int, int);
using NewSessionCallback = int (*)(SSL*, SSL_SESSION*);

// What an SSL_CTX was given. Lives as long as it does.
struct Attachment {
  std::shared_ptr<Client> client;
  Name partition;
  std::optional<Server> server;
  // those that were there before, looked at once: one that is set later may call ours
  bool took_over = false;
  InfoCallback info = nullptr;
  NewSessionCallback new_session = nullptr;
};

// What is known of one connection.
struct Note {
  std::shared_ptr<Client> client;
  Name partition;
  std::optional<Server> server;  // once it is prepared
  Pool pool;
  Verdict why = Verdict::none;
  std::optional<Session> offer;                // that was given to the connection
  std::shared_ptr<const Lineage> own_lineage;  // of its full handshake, once a session comes
  std::optional<std::string> alpn;             // as it was told; see Target::alpn
  sys_seconds begun{};                         // when the handshake did
  VerifySettings verify;                       // that it began with
  std::array<unsigned char, 32> hello{};       // its client random, once the ClientHello has gone
  bool sent = false;                           // that
  bool started = false, ended = false, resumed = false;
  bool store_to_come = false;   // as in Target
  bool keeps = true;            // what comes is of the handshake that was prepared
  bool took_over = false;       // as in Attachment
  InfoCallback info = nullptr;  // the connection's own
  std::string named;            // the server name that was set in preparing, not by the application

  const SSL_SESSION* offered() const { return offer ? offer->session.get() : nullptr; }
  // What the last handshake was about.
  void forget();
  // Tells the client how the handshake ended, once.
  void end(End how);
  // The same of one that the application ended.
  void give_up();
};

// nullptr when there is none.
Attachment* attachment_of(const SSL_CTX* ctx);
Note* note_of(const SSL* ssl);

// The same, made when there is none. nullptr when memory is short, or for a connection whose
// SSL_CTX has no attachment.
Attachment* make_attachment(SSL_CTX* ctx);
Note* make_note(SSL* ssl);

// Marks the very session that is given to a connection, not its copies: it is to go by no other,
// such as one that SSL_dup makes. False when memory is short.
bool mark_given(SSL_SESSION* session);
bool is_given(const SSL_SESSION* session);

// What OpenSSL complains of while one lives is no error of the connection's, for which
// SSL_get_error() would take it.
struct Unheard {
  Unheard() { ERR_set_mark(); }
  ~Unheard() { ERR_pop_to_mark(); }
  Unheard(const Unheard&) = delete;
};

// OpenSSL calls these; nothing may be thrown through it. What cannot be kept is not:
// the next handshake is a full one.
template <class Body>
void quietly(Body body) noexcept {
  const Unheard unheard;
  try {
    body();
  } catch (...) {
  }
}

}  // namespace ticket::client
