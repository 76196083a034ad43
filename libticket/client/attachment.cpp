#include "client/attachment.hpp"

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <algorithm>

namespace ticket::client {

namespace {

using InfoCallback = void (*)(const SSL*, int, int);
using NewSessionCallback = int (*)(SSL*, SSL_SESSION*);

// What an SSL_CTX was given. Lives as long as it does.
struct Attachment {
  std::shared_ptr<Client> client;
  std::string partition;
  std::optional<Server> server;
  // those that were there before, looked at once: one that is set later may call ours
  bool took_over = false;
  InfoCallback info = nullptr;
  NewSessionCallback new_session = nullptr;
};

// What is known of one connection.
struct Note {
  std::shared_ptr<Client> client;
  std::string partition;
  std::optional<Server> server;  // once it is prepared
  Pool pool;
  crypto::Sha256 identity{};
  Verdict why = Verdict::none;
  // of what was offered; empty = nothing was
  std::optional<Server> ticket_of;
  SessionPtr offered;
  std::shared_ptr<const Lineage> offered_lineage;
  std::shared_ptr<const Lineage> own_lineage;  // of its full handshake, once a session comes
  std::string alpn;
  bool has_alpn = false;
  bool started = false, ended = false, resumed = false;
  bool keeps = true;            // what comes is of the handshake that was prepared
  bool took_over = false;       // as in Attachment
  InfoCallback info = nullptr;  // the connection's own

  void forget_offer() {
    ticket_of.reset();
    offered.reset();
    offered_lineage.reset();
  }

  // What the last handshake was about.
  void forget() {
    forget_offer();
    own_lineage.reset();
    server.reset();
    started = ended = resumed = false;
    keeps = true;
  }

  void end(End how) {
    if (ended || !server) return;
    ended = true;
    resumed = how == End::resumed;
    client->conclude(*server, pool, ticket_of ? &*ticket_of : nullptr, how);
  }
};

// OpenSSL calls these; nothing may be thrown through it. What cannot be kept is not:
// the next handshake is a full one.
template <class Body>
void quietly(Body body) noexcept {
  try {
    body();
  } catch (...) {
  }
}

void context_freed(void*, void* value, CRYPTO_EX_DATA*, int, long, void*) {
  delete static_cast<Attachment*>(value);
}

// A handshake that began and never ended has failed.
void connection_freed(void*, void* value, CRYPTO_EX_DATA*, int, long, void*) {
  const std::unique_ptr<Note> note(static_cast<Note*>(value));
  if (note && note->started) quietly([&] { note->end(End::failed); });
}

// A copy of a connection is prepared on its own account.
int connection_copied(CRYPTO_EX_DATA*, const CRYPTO_EX_DATA*, void** value, int, long, void*) {
  *value = nullptr;
  return 1;
}

int context_index() {
  static const int index = SSL_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, context_freed);
  return index;
}

int connection_index() {
  static const int index =
      SSL_get_ex_new_index(0, nullptr, nullptr, connection_copied, connection_freed);
  return index;
}

// Marks the very sessions that were given to a connection, not their copies: those of
// TLS 1.3 are to go by no other, such as one that SSL_dup makes.
int not_copied(CRYPTO_EX_DATA*, const CRYPTO_EX_DATA*, void** value, int, long, void*) {
  *value = nullptr;
  return 1;
}

int session_index() {
  static const int index = SSL_SESSION_get_ex_new_index(0, nullptr, nullptr, not_copied, nullptr);
  return index;
}

bool is_given(const SSL_SESSION* session) {
  return session != nullptr && SSL_SESSION_get_ex_data(session, session_index()) != nullptr;
}

// OpenSSL ends a handshake that resumes a session of another context than its own.
bool take_context_of(SSL* ssl, const SSL_SESSION* session) {
  unsigned size = 0;
  const auto* context = SSL_SESSION_get0_id_context(session, &size);
  return SSL_set_session_id_context(ssl, context, size) == 1;
}

Attachment* attachment_of(const SSL_CTX* ctx) {
  return static_cast<Attachment*>(SSL_CTX_get_ex_data(ctx, context_index()));
}

Note* note_of(const SSL* ssl) {
  return static_cast<Note*>(SSL_get_ex_data(ssl, connection_index()));
}

// The note of a connection, made when it has none. nullptr without an attachment or memory.
Note* make_note(SSL* ssl) {
  if (auto* note = note_of(ssl)) return note;
  const auto* attachment = attachment_of(SSL_get_SSL_CTX(ssl));
  if (attachment == nullptr) return nullptr;
  auto note = std::make_unique<Note>();
  note->client = attachment->client;
  note->partition = attachment->partition;
  if (SSL_set_ex_data(ssl, connection_index(), note.get()) != 1) return nullptr;
  return note.release();
}

crypto::Sha256 fingerprint_of(const X509* certificate) {
  crypto::Sha256 digest{};
  unsigned size = 0;
  if (certificate != nullptr) X509_digest(certificate, EVP_sha256(), raw(digest), &size);
  return digest;
}

VerifySettings verify_settings(SSL* ssl) {
  X509_VERIFY_PARAM* param = SSL_get0_param(ssl);
  const auto callback = SSL_get_verify_callback(ssl);
  VerifySettings settings;
  settings.peer = (SSL_get_verify_mode(ssl) & SSL_VERIFY_PEER) != 0;
  settings.depth = X509_VERIFY_PARAM_get_depth(param);
  settings.auth_level = X509_VERIFY_PARAM_get_auth_level(param);
  settings.flags = X509_VERIFY_PARAM_get_flags(param);
  settings.callback = reinterpret_cast<std::uintptr_t>(callback);
  settings.security_level = SSL_get_security_level(ssl);
  settings.host_flags = X509_VERIFY_PARAM_get_hostflags(param);
  settings.transparency = SSL_ct_is_enabled(ssl) == 1;
  return settings;
}

// OpenSSL tells nobody: a record that cannot be is refused in one way without DANE, and in
// another with it.
bool uses_dane(SSL* ssl) {
  ERR_set_mark();
  const int added = SSL_dane_tlsa_add(ssl, 255, 255, 255, nullptr, 0);
  ERR_pop_to_mark();
  return added >= 0;
}

// A server that is verified otherwise than by a chain and names: nothing is offered to it,
// and nothing of it kept.
bool is_strange(SSL* ssl) {
  return uses_dane(ssl) || X509_VERIFY_PARAM_get0_email(SSL_get0_param(ssl)) != nullptr;
}

void set_checks(SSL* ssl, Target& target) {
  X509_VERIFY_PARAM* param = SSL_get0_param(ssl);
  for (int i = 0; const char* host = X509_VERIFY_PARAM_get0_host(param, i); ++i) {
    target.checked_hosts.emplace_back(host);
  }
  if (char* address = X509_VERIFY_PARAM_get1_ip_asc(param); address != nullptr) {
    target.checked_address = address;
    OPENSSL_free(address);
  }
}

// Setting 0 means "as far as OpenSSL goes"; the options take single versions away.
void set_versions(SSL* ssl, Target& target) {
  const auto options = SSL_get_options(ssl);
  const int lowest = static_cast<int>(SSL_get_min_proto_version(ssl));
  const int highest = static_cast<int>(SSL_get_max_proto_version(ssl));
  target.lowest_version = lowest == 0 ? TLS1_VERSION : lowest;
  target.highest_version = highest == 0 ? TLS1_3_VERSION : highest;
  if ((options & SSL_OP_NO_TLSv1_3) != 0) {
    target.highest_version = std::min(target.highest_version, TLS1_2_VERSION);
  }
  if ((options & SSL_OP_NO_TLSv1_2) != 0) {
    target.lowest_version = std::max(target.lowest_version, TLS1_3_VERSION);
  }
}

Target target_of(SSL* ssl, const Note& note, const Server& server) {
  Target target{server};
  target.verify = verify_settings(ssl);
  set_checks(ssl, target);
  target.identity = note.identity;
  set_versions(ssl, target);
  target.ciphers = SSL_get_ciphers(ssl);
  if (note.has_alpn) target.alpn = note.alpn;
  return target;
}

// ---- what a handshake gives ----------------------------------------------------------

std::string agreed_protocol(const SSL* ssl) {
  const unsigned char* name = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(ssl, &name, &size);
  return size == 0 ? std::string() : std::string(reinterpret_cast<const char*>(name), size);
}

Lineage full_handshake(const Note& note, SSL* ssl) {
  Lineage lineage;
  lineage.name = note.server->host();
  lineage.leaf.reset(SSL_get1_peer_certificate(ssl));
  lineage.verify = verify_settings(ssl);
  const bool by_dane = SSL_get0_dane_authority(ssl, nullptr, nullptr) >= 0;
  lineage.chain_verified =
      lineage.verify.peer && SSL_get_verify_result(ssl) == X509_V_OK && !by_dane;
  lineage.identity = fingerprint_of(SSL_get_certificate(ssl));
  return lineage;
}

// What a resumption carries on, or a full handshake begins. nullptr for a session that the
// application offered itself: nobody knows where that began.
std::shared_ptr<const Lineage> lineage_of(Note& note, SSL* ssl) {
  if (SSL_session_reused(ssl) == 1) return note.offered_lineage;
  if (!note.own_lineage) note.own_lineage = make_lineage(full_handshake(note, ssl));
  return note.own_lineage;
}

void keep(Note& note, SSL* ssl, const SSL_SESSION* session) {
  if (!note.server || !note.keeps || SSL_SESSION_is_resumable(session) != 1) return;
  const auto lineage = lineage_of(note, ssl);
  if (!lineage || note.client->closed()) return;
  note.client->keep(note.partition, make_session(copy(session), lineage, *note.server,
                                                 agreed_protocol(ssl), note.client->now()));
}

// OpenSSL tells of no TLS 1.2 ticket that a resumption renewed.
void keep_renewed(Note& note, SSL* ssl) {
  SSL_SESSION* session = SSL_get_session(ssl);
  if (session == nullptr || !note.offered || SSL_version(ssl) >= TLS1_3_VERSION) return;
  const unsigned char *before = nullptr, *after = nullptr;
  std::size_t before_size = 0, after_size = 0;
  SSL_SESSION_get0_ticket(note.offered.get(), &before, &before_size);
  SSL_SESSION_get0_ticket(session, &after, &after_size);
  if (as_text(std::as_bytes(std::span(before, before_size))) !=
      as_text(std::as_bytes(std::span(after, after_size)))) {
    keep(note, ssl, session);
  }
}

// Sets a variable for as long as a function runs.
struct Restore {
  Restore(const SSL*& which, const SSL* value) : variable(which), before(which) { which = value; }
  ~Restore() { variable = before; }
  Restore(const Restore&) = delete;
  const SSL*& variable;
  const SSL* const before;
};

int new_session(SSL* ssl, SSL_SESSION* session) {
  thread_local const SSL* inside = nullptr;  // called by who is called below
  if (inside == ssl) return 0;
  const Restore restore(inside, ssl);
  if (Note* note = note_of(ssl)) quietly([&] { keep(*note, ssl, session); });
  const auto* attachment = attachment_of(SSL_get_SSL_CTX(ssl));
  const bool others = attachment != nullptr && attachment->new_session != nullptr;
  return others ? attachment->new_session(ssl, session) : 0;
}

void handshake_ended(Note& note, SSL* ssl) {
  if (note.ended || SSL_get_state(ssl) == TLS_ST_EARLY_DATA) return;  // that is half of one
  // a PSK of the application's own may have been taken in place of what was offered
  const bool same = SSL_version(ssl) < TLS1_3_VERSION || SSL_get_session(ssl) == note.offered.get();
  if (!same) note.offered_lineage.reset();
  const bool resumed = SSL_session_reused(ssl) == 1 && note.offered && same;
  if (resumed) keep_renewed(note, ssl);
  note.end(resumed ? End::resumed : End::full);
}

bool prepare(SSL* ssl, Note& note, const Server& server);

// The hook of who cannot prepare: just before the ClientHello is made.
void handshake_starts(SSL* ssl) {
  Note* note = note_of(ssl);
  if (SSL_in_before(ssl) == 0) {  // a renegotiation, or what follows early data
    if (note != nullptr && note->ended) note->keeps = false;
    return;
  }
  if (note != nullptr && note->started) {  // used again, and not prepared
    note->end(End::failed);
    note->forget();
    SSL_set_session(ssl, nullptr);
  }
  const auto* attachment = attachment_of(SSL_get_SSL_CTX(ssl));
  if (attachment != nullptr && attachment->server && SSL_is_server(ssl) == 0) {
    const char* name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    const auto named = normal_host_name(name == nullptr ? "" : name);
    // without a name it may be anybody: a proxy, when the URL has an address
    const bool same = name != nullptr && named && *named == attachment->server->host();
    if (note == nullptr || !note->server) {
      note = same ? make_note(ssl) : nullptr;
      if (note == nullptr) return;
      prepare(ssl, *note, *attachment->server);
    }
  }
  const SSL_SESSION* session = SSL_get_session(ssl);
  if (is_given(session) && (note == nullptr || session != note->offered.get())) {
    SSL_set_session(ssl, nullptr);  // another connection's to offer
    session = nullptr;
  }
  if (note == nullptr) return;
  if (session != note->offered.get()) {
    note->forget_offer();  // the application has set a session of its own
    if (session != nullptr) take_context_of(ssl, session);
  }
  note->started = true;
}

void on_info(const SSL* told, int where, int value) {
  SSL* ssl = const_cast<SSL*>(told);         // OpenSSL's own is not const either
  thread_local const SSL* inside = nullptr;  // called by who is called below
  if (inside == ssl) return;
  const Restore restore(inside, ssl);
  const auto* attachment = attachment_of(SSL_get_SSL_CTX(ssl));
  if ((where & SSL_CB_HANDSHAKE_START) != 0) quietly([&] { handshake_starts(ssl); });
  if (Note* note = note_of(ssl)) {
    constexpr int fatal = 2;
    if ((where & SSL_CB_HANDSHAKE_DONE) != 0) quietly([&] { handshake_ended(*note, ssl); });
    if ((where & SSL_CB_ALERT) != 0 && (value >> 8) == fatal && note->started) {
      quietly([&] { note->end(End::failed); });
    }
    if (note->info != nullptr) return note->info(ssl, where, value);
  }
  if (attachment != nullptr && attachment->info != nullptr) attachment->info(ssl, where, value);
}

// ---- preparing -----------------------------------------------------------------------

// The name that is asked for is the one that counts.
std::optional<Server> named_server(SSL* ssl, const Server& server) {
  const char* name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
  if (name == nullptr) return server;
  const auto port = server.text().substr(server.text().rfind(':') + 1);
  return Server::parse(std::string(name) + ":" + port);
}

bool prepare(SSL* ssl, Note& note, const Server& given) {
  if (note.started) note.end(End::failed);  // an SSL used again
  note.forget();
  if (const auto* attachment = attachment_of(SSL_get_SSL_CTX(ssl)); attachment != nullptr) {
    note.client = attachment->client;
    note.partition = attachment->partition;
  }
  if (SSL_set_session(ssl, nullptr) != 1) return false;
  const auto server = named_server(ssl, given);
  if (!server) return false;
  const bool has_name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name) != nullptr;
  if (!has_name && !server->is_address() &&
      SSL_set_tlsext_host_name(ssl, std::string(server->host()).c_str()) != 1) {
    return false;
  }
  if (!note.took_over) {
    note.took_over = true;
    note.info = SSL_get_info_callback(ssl);
    SSL_set_info_callback(ssl, on_info);
  }
  note.server = *server;
  note.identity = fingerprint_of(SSL_get_certificate(ssl));
  if (is_strange(ssl)) {
    note.pool = pool_alone(*server);
    note.why = Verdict::strange;
    note.keeps = false;
    return true;
  }
  auto offer = note.client->offer(note.partition, target_of(ssl, note, *server));
  note.pool = std::move(offer.pool);
  note.why = offer.why;
  if (!offer.session) return true;
  SSL_SESSION* session = offer.session->session.get();
  if (!may_send_early(*offer.session, *server)) SSL_SESSION_set_max_early_data(session, 0);
  static const char mark = 1;
  if (offer.session->once() &&
      SSL_SESSION_set_ex_data(session, session_index(), const_cast<char*>(&mark)) != 1) {
    return false;
  }
  if (!take_context_of(ssl, session) || SSL_set_session(ssl, session) != 1) return false;
  note.ticket_of = offer.session->server;
  note.offered_lineage = std::move(offer.session->lineage);
  note.offered = std::move(offer.session->session);
  return true;
}

}  // namespace

bool attach(const std::shared_ptr<Client>& client, SSL_CTX* ctx, const std::string& partition,
            std::optional<Server> server) {
  auto* attachment = attachment_of(ctx);
  if (attachment == nullptr) {
    auto fresh = std::make_unique<Attachment>();
    if (SSL_CTX_set_ex_data(ctx, context_index(), fresh.get()) != 1) return false;
    attachment = fresh.release();
  }
  attachment->client = client;
  attachment->partition = partition;
  attachment->server = std::move(server);
  if (!attachment->took_over) {
    attachment->took_over = true;
    attachment->new_session = SSL_CTX_sess_get_new_cb(ctx);
    SSL_CTX_sess_set_new_cb(ctx, new_session);
    attachment->info = SSL_CTX_get_info_callback(ctx);
    SSL_CTX_set_info_callback(ctx, on_info);
  }
  const auto mode = SSL_CTX_get_session_cache_mode(ctx);
  SSL_CTX_set_session_cache_mode(ctx, mode | SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  return true;
}

bool prepare(const Client* client, SSL* ssl, const Server& server) {
  const auto* attachment = attachment_of(SSL_get_SSL_CTX(ssl));
  if (attachment == nullptr || attachment->client.get() != client) return false;
  Note* note = make_note(ssl);
  return note != nullptr && prepare(ssl, *note, server);
}

bool note_alpn(SSL* ssl, std::string_view list) {
  Note* note = make_note(ssl);
  if (note == nullptr) return false;
  const auto* bytes = reinterpret_cast<const unsigned char*>(list.data());
  if (SSL_set_alpn_protos(ssl, bytes, static_cast<unsigned>(list.size())) != 0) return false;
  note->alpn = list;
  note->has_alpn = true;
  return true;
}

std::optional<ConnectionReport> report(const SSL* ssl) {
  const Note* note = note_of(ssl);
  if (note == nullptr || !note->server) return std::nullopt;
  return ConnectionReport{*note->server,   note->pool,  note->ticket_of.has_value(),
                          note->ticket_of, note->ended, note->resumed,
                          note->why};
}

}  // namespace ticket::client
