#include "client/attachment.hpp"

#include "client/facts.hpp"
#include "client/note.hpp"

namespace ticket::client {

namespace {

// OpenSSL ends a handshake that resumes a session of another context than its own.
bool take_context_of(SSL* ssl, const SSL_SESSION* session) {
  unsigned size = 0;
  const auto* context = SSL_SESSION_get0_id_context(session, &size);
  return SSL_set_session_id_context(ssl, context, size) == 1;
}

const char* asked_name(const SSL* ssl) {
  return SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
}

// ---- preparing -----------------------------------------------------------------------

// The name that is asked for is the one that counts.
std::optional<Server> named_server(const SSL* ssl, const Server& server) {
  const char* name = asked_name(ssl);
  if (name == nullptr) return server;
  const auto port = server.text().substr(server.text().rfind(':') + 1);
  return Server::parse(std::string(name) + ":" + port);
}

// Puts an offer on the connection. False when memory is short: nothing is offered then.
bool give(SSL* ssl, Note& note, Session&& session) {
  SSL_SESSION* given = session.session.get();
  if (!may_send_early(session, *note.server)) SSL_SESSION_set_max_early_data(given, 0);
  if (!mark_given(given)) return false;
  if (!take_context_of(ssl, given) || SSL_set_session(ssl, given) != 1) return false;
  note.offer = std::move(session);
  return true;
}

// A connection that is used again ends what it was about, and is whose its SSL_CTX is now.
void begin_anew(SSL* ssl, Note& note) {
  if (note.started) note.give_up();
  note.forget();
  if (const auto* attachment = attachment_of(SSL_get_SSL_CTX(ssl)); attachment != nullptr) {
    note.client = attachment->client;
    note.partition = attachment->partition;
  }
}

void on_info(const SSL* told, int where, int value);

void take_over(SSL* ssl, Note& note) {
  if (note.took_over) return;
  note.took_over = true;
  const auto info = SSL_get_info_callback(ssl);
  note.info = info == on_info ? nullptr : info;  // that of a connection this is a copy of
  SSL_set_info_callback(ssl, on_info);
}

// libcurl 7.87 to 8.3 loads CAs and CRLs, and sets flags (never none), when the first bytes
// of the server have come.
bool fills_store_late(const SSL* ssl, const StoreSettings& store) {
  const auto* attachment = attachment_of(SSL_get_SSL_CTX(ssl));
  return attachment != nullptr && attachment->server && store == StoreSettings{};
}

// The connection to be, as far as it is set up now.
Target target_of(SSL* ssl, Note& note) {
  auto target = target_of(ssl, *note.server);
  target.store_to_come = note.store_to_come = fills_store_late(ssl, target.verify.store);
  // (who verifies nobody fills none)
  if (note.store_to_come && target.verify.peer) target.likely_store = note.client->likely_store();
  if (note.alpn) target.alpn = *note.alpn;
  return target;
}

// A name that an earlier prepare() set is not the application's.
void take_name_back(SSL* ssl, Note& note) {
  const char* name = asked_name(ssl);
  if (name != nullptr && name == note.named) SSL_set_tlsext_host_name(ssl, nullptr);
  note.named.clear();
}

bool set_name(SSL* ssl, Note& note, const Server& server) {
  if (asked_name(ssl) != nullptr || server.is_address()) return true;
  note.named = server.host();
  return SSL_set_tlsext_host_name(ssl, note.named.c_str()) == 1;
}

bool prepare(SSL* ssl, Note& note, const Server& given) {
  begin_anew(ssl, note);
  if (SSL_set_session(ssl, nullptr) != 1) return false;
  take_name_back(ssl, note);
  const auto server = named_server(ssl, given);
  if (!server || !set_name(ssl, note, *server)) return false;
  take_over(ssl, note);
  note.server = *server;
  if (is_strange(ssl)) {
    note.pool = pool_alone(*server);
    note.why = Verdict::strange;
    note.keeps = false;
    return true;
  }
  auto offer = note.client->offer(note.partition, target_of(ssl, note));
  note.pool = std::move(offer.pool);
  note.why = offer.why;
  return !offer.session || give(ssl, note, *std::move(offer.session));
}

// ---- as it was prepared ----------------------------------------------------------------

// Whether the connection is still of the client and partition that it was prepared for.
bool is_of(const Note& note, SSL* ssl) {
  const auto* attachment = attachment_of(SSL_get_SSL_CTX(ssl));
  return attachment != nullptr && attachment->client == note.client &&
         attachment->partition == note.partition && !is_strange(ssl);
}

bool asks_for(const Server& server, const SSL* ssl) {
  if (asked_name(ssl) == nullptr) return server.is_address();
  return named_server(ssl, server) == server;
}

void withdraw(SSL* ssl, Note& note) {
  SSL_set_session(ssl, nullptr);
  note.offer.reset();
  note.why = Verdict::changed;
}

// Whether what is offered fits the connection as it is now.
bool look_again(SSL* ssl, Note& note) {
  const bool keeps = note.keeps && note.server && !note.client->closed() && is_of(note, ssl) &&
                     asks_for(*note.server, ssl);
  note.keeps = false;
  if (!keeps) return false;
  const auto target = target_of(ssl, note);
  note.verify = target.verify;
  note.begun = note.client->now();
  note.keeps = true;
  return note.offer && note.client->may_still_go(*note.offer, target);
}

// The application may have changed what was looked at when it prepared the connection.
void begin(SSL* ssl, Note& note) {
  bool fits = false;
  quietly([&] { fits = look_again(ssl, note); });
  if (note.offer && !fits) withdraw(ssl, note);
  note.started = true;
}

// Whether it is the handshake whose beginning was looked at that a session comes of: when the
// application takes our info callback away, the next one is not seen.
bool is_the_one_that_began(const Note& note, SSL* ssl) {
  auto random = note.hello;
  return note.sent && SSL_get_client_random(ssl, random.data(), random.size()) == random.size() &&
         random == note.hello;
}

bool verifies_as_it_began(const Note& note, SSL* ssl) {
  auto settings = verify_settings(ssl);
  if (note.store_to_come) settings.store = note.verify.store;
  return settings == note.verify;
}

// ---- what a handshake gives ----------------------------------------------------------

// What a resumption carries on, or a full handshake begins. nullptr for a session that the
// application offered itself: nobody knows where that began.
std::shared_ptr<const Lineage> lineage_of(Note& note, SSL* ssl) {
  if (SSL_session_reused(ssl) == 1) return note.offer ? note.offer->lineage : nullptr;
  if (!note.own_lineage) {
    note.own_lineage = make_lineage(full_handshake(ssl, *note.server, note.begun));
  }
  return note.own_lineage;
}

bool shows(const SSL* ssl, const crypto::Certificate& leaf) {
  const X509* shown = SSL_get0_peer_certificate(ssl);
  return shown != nullptr && X509_cmp(shown, leaf.get()) == 0;
}

void keep(Note& note, SSL* ssl, const SSL_SESSION* session) {
  if (!note.server || !note.keeps || SSL_SESSION_is_resumable(session) != 1) return;
  if (note.client->closed() || !is_the_one_that_began(note, ssl)) return;
  if (!is_of(note, ssl) || !verifies_as_it_began(note, ssl)) return;
  const auto lineage = lineage_of(note, ssl);
  if (!lineage || !shows(ssl, lineage->leaf)) return;
  note.client->keep(note.partition, make_session(copy(session), lineage, *note.server,
                                                 agreed_protocol(ssl), note.client->now()));
}

// OpenSSL tells of no TLS 1.2 ticket that a resumption renewed.
void keep_renewed(Note& note, SSL* ssl) {
  SSL_SESSION* session = SSL_get_session(ssl);
  if (session == nullptr || !note.offer || SSL_version(ssl) >= TLS1_3_VERSION) return;
  if (!same_ticket(note.offered(), session)) keep(note, ssl, session);
}

void handshake_ended(Note& note, SSL* ssl) {
  if (note.ended || SSL_get_state(ssl) == TLS_ST_EARLY_DATA) return;  // that is half of one
  // a PSK of the application's own may have been taken in place of what was offered
  const bool same = SSL_version(ssl) < TLS1_3_VERSION || SSL_get_session(ssl) == note.offered();
  if (!same && note.offer) note.offer->lineage.reset();
  const bool resumed = SSL_session_reused(ssl) == 1 && note.offer && same;
  const auto verify = verify_settings(ssl);
  if (note.store_to_come && verify.peer) note.client->note_store(verify.store);
  if (resumed && verify != note.offer->lineage->verify) {
    SSL_set_verify_result(ssl, X509_V_ERR_APPLICATION_VERIFICATION);
    note.keeps = false;
  }
  if (resumed) keep_renewed(note, ssl);
  note.end(resumed ? End::resumed : End::full);
}

// ---- OpenSSL's callbacks -------------------------------------------------------------

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

// For who cannot call prepare(): the transfer's server, when the connection asks for its name.
// Without a name it may be anybody: a proxy, when the URL has an address.
Note* prepare_late(SSL* ssl, const Server& server) {
  const char* name = asked_name(ssl);
  const auto named = normal_host_name(name == nullptr ? "" : name);
  if (!named || *named != server.host()) return nullptr;
  Note* note = make_note(ssl);
  if (note != nullptr) prepare(ssl, *note, server);
  return note;
}

// Just before the ClientHello is made.
void handshake_starts(SSL* ssl) {
  Note* note = note_of(ssl);
  if (note != nullptr && !note->client) note = nullptr;  // a copy's, not prepared
  if (SSL_in_before(ssl) == 0) {  // a renegotiation, or what follows early data
    if (note != nullptr && note->ended) note->keeps = false;
    return;
  }
  if (note != nullptr && note->started) {  // used again, and not prepared
    note->give_up();
    note->forget();
    SSL_set_session(ssl, nullptr);
  }
  const auto* attachment = attachment_of(SSL_get_SSL_CTX(ssl));
  if (attachment != nullptr && attachment->server && SSL_is_server(ssl) == 0 &&
      (note == nullptr || !note->server)) {
    note = prepare_late(ssl, *attachment->server);
    if (note == nullptr) return;
  }
  const SSL_SESSION* session = SSL_get_session(ssl);
  if (is_given(session) && (note == nullptr || session != note->offered())) {
    SSL_set_session(ssl, nullptr);  // another connection's to offer
    session = nullptr;
  }
  if (note == nullptr) return;
  if (session != note->offered()) {
    note->offer.reset();  // the application has set a session of its own
    if (session != nullptr) take_context_of(ssl, session);
  }
  begin(ssl, *note);
}

// The ClientHello has gone.
void hello_sent(Note& note, const SSL* ssl) {
  SSL_get_client_random(ssl, note.hello.data(), note.hello.size());
  note.sent = true;
}

// Whether a handshake ends because there is nothing more to read, or nobody to write to.
bool hung_up(const SSL* ssl) {
  return (SSL_want_read(ssl) && BIO_should_retry(SSL_get_rbio(ssl)) == 0) ||
         (SSL_want_write(ssl) && BIO_should_retry(SSL_get_wbio(ssl)) == 0);
}

// The callback that the SSL_CTX had before ours: the last of a chain.
void call_first(const SSL* ssl, int where, int value) {
  thread_local const SSL* inside = nullptr;  // called by who is called below
  const auto* attachment = attachment_of(SSL_get_SSL_CTX(ssl));
  if (inside == ssl || attachment == nullptr || attachment->info == nullptr) return;
  const Restore restore(inside, ssl);
  attachment->info(ssl, where, value);
}

// Whether OpenSSL called us for the connection; else for its SSL_CTX, whose callback, if it is not
// ours, has called us.
bool is_of_connection(const SSL* ssl) {
  const Note* note = note_of(ssl);
  return (note != nullptr && note->took_over) || SSL_get_info_callback(ssl) == on_info;
}

// The callback that comes after the connection's, and may call ours in its turn. nullptr = the
// first.
InfoCallback next_callback(const SSL* ssl) {
  if (const Note* note = note_of(ssl); note != nullptr && note->info != nullptr) return note->info;
  const auto of_context = SSL_CTX_get_info_callback(SSL_get_SSL_CTX(ssl));
  return of_context == on_info ? nullptr : of_context;
}

void look(SSL* ssl, Note& note, int where, int value) {
  constexpr int fatal = 2;
  const bool goes_on = (where & SSL_CB_LOOP) != 0;  // to the next state: this one's work is done
  if (goes_on && note.started && !note.sent && SSL_get_state(ssl) == TLS_ST_CW_CLNT_HELLO) {
    hello_sent(note, ssl);
  }
  if ((where & SSL_CB_HANDSHAKE_DONE) != 0) quietly([&] { handshake_ended(note, ssl); });
  const bool alert = (where & SSL_CB_ALERT) != 0 && (value >> 8) == fatal;
  if (alert && note.started) {
    // before the ClientHello it is our own: that could not be made
    quietly([&] { note.end(note.sent ? End::failed : End::unmade); });
  }
  if ((where & SSL_CB_EXIT) != 0 && value <= 0 && note.sent && hung_up(ssl)) {
    quietly([&] { note.end(End::failed); });
  }
}

void on_info(const SSL* told, int where, int value) {
  SSL* ssl = const_cast<SSL*>(told);         // OpenSSL's own is not const either
  thread_local const SSL* inside = nullptr;  // called by who is called below
  if (inside == ssl) return call_first(ssl, where, value);
  const Restore restore(inside, ssl);
  const auto next = is_of_connection(ssl) ? next_callback(ssl) : nullptr;
  if ((where & SSL_CB_HANDSHAKE_START) != 0) quietly([&] { handshake_starts(ssl); });
  if (Note* note = note_of(ssl)) look(ssl, *note, where, value);
  next != nullptr ? next(ssl, where, value) : call_first(ssl, where, value);
}

}  // namespace

bool attach(const std::shared_ptr<Client>& client, SSL_CTX* ctx, const std::string& partition,
            std::optional<Server> server) {
  auto* attachment = make_attachment(ctx);
  if (attachment == nullptr) return false;
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
  const Unheard unheard;
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
  return true;
}

std::optional<ConnectionReport> report(const SSL* ssl) {
  const Note* note = note_of(ssl);
  if (note == nullptr || !note->server) return std::nullopt;
  std::optional<Server> ticket_of;
  if (note->offer) ticket_of = note->offer->server;
  return ConnectionReport{*note->server, note->pool,  note->offer.has_value(),
                          ticket_of,     note->ended, note->resumed,
                          note->why};
}

}  // namespace ticket::client
