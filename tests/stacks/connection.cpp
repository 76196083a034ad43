// Handshakes over memory BIOs.
#include <openssl/x509v3.h>

#include <cstring>
#include <map>
#include <stdexcept>

#include "pool.hpp"
#include "support/joined.hpp"

namespace pool {

namespace {

struct Identity {
  std::unique_ptr<X509, Free> certificate;
  std::unique_ptr<EVP_PKEY, Free> key;
};

Identity make_identity(const std::string& name) {
  Identity identity{std::unique_ptr<X509, Free>(X509_new()),
                    std::unique_ptr<EVP_PKEY, Free>(EVP_EC_gen("P-256"))};
  X509* certificate = identity.certificate.get();
  X509_set_version(certificate, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
  X509_gmtime_adj(X509_getm_notAfter(certificate), 7 * 86400);
  X509_set_pubkey(certificate, identity.key.get());
  X509_NAME* subject = X509_get_subject_name(certificate);
  X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
  X509_set_issuer_name(certificate, subject);
  if (X509_sign(certificate, identity.key.get(), EVP_sha256()) == 0) {
    throw std::runtime_error("no certificate");
  }
  return identity;
}

const Identity& identity_of(const std::string& name) {
  static std::map<std::string, Identity> known;
  const auto found = known.find(name);
  if (found != known.end()) return found->second;
  return known.emplace(name, make_identity(name)).first->second;
}

void use_identity(SSL_CTX* context, const std::string& name) {
  const auto& identity = identity_of(name);
  SSL_CTX_use_certificate(context, identity.certificate.get());
  SSL_CTX_use_PrivateKey(context, identity.key.get());
}

// What the callbacks of one connection report.
struct Record {
  std::vector<SessionPtr> sessions;
  int server_alerts = 0;
  std::string hello_name;
};

constexpr int demanded = SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT;

using Hosts = std::vector<std::pair<std::string, SSL_CTX*>>;

void hand_over(SSL* ssl, const Hosts& hosts, std::string_view name) {
  for (const auto& [host, context] : hosts) {
    if (host != name) continue;
    SSL_set_SSL_CTX(ssl, context);
    SSL_set_verify(ssl, SSL_CTX_get_verify_mode(context), nullptr);  // not taken over otherwise
  }
}

int by_servername(SSL* ssl, int*, void* hosts) {
  const char* name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
  if (name != nullptr) hand_over(ssl, *static_cast<const Hosts*>(hosts), name);
  return SSL_TLSEXT_ERR_OK;
}

std::string name_in_client_hello(SSL* ssl) {
  const unsigned char* bytes = nullptr;
  std::size_t size = 0;
  if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &bytes, &size) != 1 || size <= 5) {
    return {};
  }
  return {reinterpret_cast<const char*>(bytes) + 5, size - 5};
}

int by_client_hello(SSL* ssl, int*, void* hosts) {
  hand_over(ssl, *static_cast<const Hosts*>(hosts), name_in_client_hello(ssl));
  return SSL_CLIENT_HELLO_SUCCESS;
}

int keep_name(SSL* ssl, int*, void*) {
  static_cast<Record*>(SSL_get_app_data(ssl))->hello_name = name_in_client_hello(ssl);
  return SSL_CLIENT_HELLO_SUCCESS;
}

int by_kept_name(SSL* ssl, int*, void* hosts) {
  const auto* record = static_cast<const Record*>(SSL_get_app_data(ssl));
  hand_over(ssl, *static_cast<const Hosts*>(hosts), record->hello_name);
  return SSL_TLSEXT_ERR_OK;
}

// Freed when the tests end: callbacks keep pointers to them.
Hosts* keep(Hosts hosts) {
  static std::vector<std::unique_ptr<Hosts>> kept;
  return kept.emplace_back(std::make_unique<Hosts>(std::move(hosts))).get();
}

int new_session(SSL* ssl, SSL_SESSION* session) {
  auto* record = static_cast<Record*>(SSL_get_app_data(ssl));
  record->sessions.emplace_back(SSL_SESSION_dup(session));
  return 0;
}

void watch_alerts(const SSL* ssl, int where, int value) {
  const bool close_notify = (value & 0xff) == SSL_AD_CLOSE_NOTIFY;
  if ((where & SSL_CB_WRITE_ALERT) == SSL_CB_WRITE_ALERT && !close_notify) {
    ++static_cast<Record*>(SSL_get_app_data(ssl))->server_alerts;
  }
}

ContextPtr client_context(const Client& client) {
  ContextPtr context(SSL_CTX_new(TLS_client_method()));
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(context.get(), new_session);
  SSL_CTX_set_min_proto_version(context.get(), client.version);
  SSL_CTX_set_max_proto_version(context.get(), client.version);
  if (!client.tickets) SSL_CTX_set_options(context.get(), SSL_OP_NO_TICKET);
  if (client.groups != nullptr) SSL_CTX_set1_groups_list(context.get(), client.groups);
  if (client.certificate) use_identity(context.get(), "client");
  SSL_CTX_set_post_handshake_auth(context.get(), client.asked_after);
  return context;
}

// TLS 1.3 tickets and late alerts come after the handshake.
bool read_rest(SSL* client) {
  unsigned char byte;
  const int result = SSL_read(client, &byte, 1);
  return SSL_get_error(client, result) == SSL_ERROR_WANT_READ;
}

// The server asks for a certificate on a connection that stands; the client answers.
bool ask_after(SSL* client, SSL* server, int mode) {
  SSL_set_verify(server, mode, nullptr);
  return SSL_verify_client_post_handshake(server) == 1 && support::advance(server) &&
         read_rest(client) && read_rest(server) && read_rest(client) &&
         SSL_write(server, "x", 1) == 1;
}

SslPtr make_ssl(SSL_CTX* context, Record& record) {
  SslPtr ssl(SSL_new(context));
  SSL_set_app_data(ssl.get(), &record);
  return ssl;
}

bool same_ticket(const SSL_SESSION* a, const SSL_SESSION* b) {
  return a != nullptr && b != nullptr && ticket_of(a) == ticket_of(b);
}

void collect_sessions(Outcome& outcome, const Client& client, SSL* ssl, Record& record) {
  if (client.version == TLS1_3_VERSION) {
    outcome.tickets = static_cast<unsigned>(record.sessions.size());
    if (!record.sessions.empty()) outcome.session = std::move(record.sessions.back());
    return;
  }
  // OpenSSL tells no client of a renewed TLS 1.2 ticket
  SessionPtr session(SSL_get1_session(ssl));
  const bool has = session && SSL_SESSION_has_ticket(session.get()) == 1;
  outcome.tickets = has && !same_ticket(session.get(), client.session) ? 1 : 0;
  if (has || !client.tickets) outcome.session = copy(session.get());
}

}  // namespace

ContextPtr server_context(const std::string& name, bool client_certificates) {
  ContextPtr context(SSL_CTX_new(TLS_server_method()));
  use_identity(context.get(), name);
  SSL_CTX_set_session_id_context(context.get(), reinterpret_cast<const unsigned char*>("libticket"),
                                 9);
  if (client_certificates) {
    X509_STORE_add_cert(SSL_CTX_get_cert_store(context.get()),
                        identity_of("client").certificate.get());
    SSL_CTX_set_verify(context.get(), demanded, nullptr);
  }
  return context;
}

void attach(SSL_CTX* context, const Server& server, tkt_openssl_options options) {
  options.size = sizeof options;
  if (tkt_openssl_attach(context, server.ring.get(), &options) != TKT_OK) {
    throw std::runtime_error("not attached");
  }
}

ContextPtr attached(const std::string& name, const Server& server, tkt_openssl_options options,
                    bool client_certificates) {
  auto context = server_context(name, client_certificates);
  attach(context.get(), server, options);
  return context;
}

void switch_by_name(SSL_CTX* from, Switch how, Hosts to) {
  // whoever may be switched to may ask for a certificate: its issuer is known to all
  X509_STORE_add_cert(SSL_CTX_get_cert_store(from), identity_of("client").certificate.get());
  Hosts* hosts = keep(std::move(to));
  if (how == Switch::client_hello) {
    SSL_CTX_set_client_hello_cb(from, by_client_hello, hosts);
    return;
  }
  if (how == Switch::servername_kept) SSL_CTX_set_client_hello_cb(from, keep_name, nullptr);
  auto* callback = how == Switch::servername_kept ? by_kept_name : by_servername;
  SSL_CTX_set_tlsext_servername_callback(from, callback);
  SSL_CTX_set_tlsext_servername_arg(from, hosts);
}

Outcome connect(SSL_CTX* server_side, const Client& client) {
  const auto client_side = client_context(client);
  Record record;
  const auto from = make_ssl(client_side.get(), record);
  const auto to = make_ssl(server_side, record);
  SSL_set_info_callback(to.get(), watch_alerts);
  if (client.name != nullptr) SSL_set_tlsext_host_name(from.get(), client.name);
  const auto offered = client.session == nullptr ? nullptr : copy(client.session);
  if (offered) SSL_set_session(from.get(), offered.get());
  if (!client.raw_ticket.empty()) {
    SSL_set_session_ticket_ext(from.get(), const_cast<unsigned char*>(client.raw_ticket.data()),
                               static_cast<int>(client.raw_ticket.size()));
  }
  support::join(from.get(), to.get());

  Outcome outcome;
  outcome.completed = support::shake_hands(from.get(), to.get()) && read_rest(from.get());
  if (outcome.completed && client.asked_after != 0) {
    outcome.completed = ask_after(from.get(), to.get(), client.asked_after);
  }
  const std::unique_ptr<X509, Free> shown(SSL_get1_peer_certificate(to.get()));
  outcome.showed_certificate = shown != nullptr;
  outcome.resumed = outcome.completed && SSL_session_reused(to.get()) == 1;
  outcome.disagreed =
      outcome.completed && SSL_session_reused(to.get()) != SSL_session_reused(from.get());
  outcome.served_by = SSL_get_SSL_CTX(to.get());
  outcome.server_alerts = record.server_alerts;
  outcome.info.size = sizeof outcome.info;
  tkt_openssl_info_read(to.get(), &outcome.info);
  if (outcome.completed) collect_sessions(outcome, client, from.get(), record);
  SSL_shutdown(from.get());  // else OpenSSL marks the session as not resumable
  return outcome;
}

SessionPtr copy(const SSL_SESSION* session) {
  unsigned char* bytes = nullptr;
  const int size = i2d_SSL_SESSION(const_cast<SSL_SESSION*>(session), &bytes);
  const unsigned char* at = bytes;
  SessionPtr copied(d2i_SSL_SESSION(nullptr, &at, size));
  OPENSSL_free(bytes);
  return copied;
}

std::vector<unsigned char> ticket_of(const SSL_SESSION* session) {
  const unsigned char* bytes = nullptr;
  std::size_t size = 0;
  SSL_SESSION_get0_ticket(session, &bytes, &size);
  return {bytes, bytes + size};
}

SessionPtr with_ticket(const SSL_SESSION* session, const std::vector<unsigned char>& ticket) {
  auto altered = copy(session);
  const unsigned char* bytes = nullptr;
  std::size_t size = 0;
  SSL_SESSION_get0_ticket(altered.get(), &bytes, &size);
  if (ticket.size() != size) throw std::invalid_argument("another size");
  std::memcpy(const_cast<unsigned char*>(bytes), ticket.data(), size);  // OpenSSL has no setter
  return altered;
}

}  // namespace pool
