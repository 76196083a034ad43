#include "client/world.hpp"

#include <openssl/err.h>

#include <cstring>
#include <map>
#include <stdexcept>

#include "support/joined.hpp"

namespace world {

namespace {

test::Wish authority_wish() {
  auto wish = test::ca_wish("client test CA");
  wish.from = real_now() - seconds(3600);
  wish.until = real_now() + seconds(90 * 86400);
  return wish;
}

const EVP_PKEY* key_of_leaves() {
  static const auto key = test::p256_key();
  return key.get();
}

test::Certificate certificate(const Leaf& leaf, const test::Authority& by) {
  test::Wish wish;
  wish.extensions.push_back({NID_subject_alt_name, leaf.names});
  wish.from = real_now() + leaf.from;
  wish.until = real_now() + leaf.until;
  return by.sign(const_cast<EVP_PKEY*>(key_of_leaves()), wish);
}

int take_protocol(SSL*, const unsigned char** out, unsigned char* out_size, const unsigned char* in,
                  unsigned in_size, void* wanted) {
  const auto* name = static_cast<const char*>(wanted);
  for (unsigned at = 0; at < in_size; at += in[at] + 1U) {
    if (in[at] != std::strlen(name) || std::memcmp(in + at + 1, name, in[at]) != 0) continue;
    *out = in + at + 1;
    *out_size = in[at];
    return SSL_TLSEXT_ERR_OK;
  }
  return SSL_TLSEXT_ERR_NOACK;
}

int any_certificate(int, X509_STORE_CTX*) { return 1; }

void note_offer(SSL* ssl, Visit& visit) {
  const SSL_SESSION* session = SSL_get_session(ssl);
  if (session == nullptr) return;
  visit.ticket = ticket_of(ssl);
  visit.early_data = SSL_SESSION_get_max_early_data(session);
}

std::string error_text() {
  char text[256] = "";
  if (const auto error = ERR_peek_last_error(); error != 0) {
    ERR_error_string_n(error, text, sizeof text);
  }
  ERR_clear_error();
  return text;
}

void listen(void* user, tkt_log_level, const char* text) {
  auto& client = *static_cast<Client*>(user);
  const std::lock_guard guard(client.saying);
  client.said.push_back(text);
}

void tell_time(void* user, std::int64_t* steady, std::int64_t* wall) {
  *steady = *wall = static_cast<Clock*>(user)->now;
}

}  // namespace

const test::Authority& authority() {
  static const test::Authority ca(authority_wish());
  return ca;
}

ContextPtr server(const Leaf& leaf, const ServerOptions& options) {
  static const test::Authority stranger(authority_wish());
  ContextPtr context(SSL_CTX_new(TLS_server_method()));
  auto* ctx = context.get();
  const auto shown = certificate(leaf, options.foreign ? stranger : authority());
  SSL_CTX_use_certificate(ctx, shown.get());
  SSL_CTX_use_PrivateKey(ctx, const_cast<EVP_PKEY*>(key_of_leaves()));
  SSL_CTX_set_session_id_context(ctx, reinterpret_cast<const unsigned char*>("test"), 4);
  std::array<unsigned char, 80> keys{};
  keys.fill(static_cast<unsigned char>(options.keys));
  SSL_CTX_set_tlsext_ticket_keys(ctx, keys.data(), keys.size());
  SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(ctx, options.keys == 0 ? 0 : static_cast<std::size_t>(options.tickets));
  if (options.keys == 0) SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
  if (options.version != 0) {
    SSL_CTX_set_min_proto_version(ctx, options.version);
    SSL_CTX_set_max_proto_version(ctx, options.version);
  }
  if (options.alpn != nullptr) {
    SSL_CTX_set_alpn_select_cb(ctx, take_protocol, const_cast<char*>(options.alpn));
  }
  if (options.early_data) {
    SSL_CTX_set_max_early_data(ctx, 1000);
    SSL_CTX_set_options(ctx, SSL_OP_NO_ANTI_REPLAY);
  }
  if (options.client_certificate) SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, any_certificate);
  return context;
}

ContextPtr client_context(const ClientOptions& options) {
  ContextPtr context(SSL_CTX_new(TLS_client_method()));
  auto* ctx = context.get();
  X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), authority().certificate.get());
  SSL_CTX_set_verify(ctx, options.verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nullptr);
  if (options.version != 0) {
    SSL_CTX_set_min_proto_version(ctx, options.version);
    SSL_CTX_set_max_proto_version(ctx, options.version);
  }
  if (options.ciphersuites != nullptr) SSL_CTX_set_ciphersuites(ctx, options.ciphersuites);
  return context;
}

Client::Client(tkt_client_options options, const char* text) {
  options.size = sizeof options;
  options.log = listen;
  options.log_user = this;
  options.clock = tell_time;
  options.clock_user = &clock;
  tkt_client* opened = nullptr;
  if (tkt_client_open(&opened, &options) != TKT_OK) throw std::runtime_error("no client");
  handle.reset(opened);
  if (text != nullptr && manifest(text) != TKT_OK) throw std::runtime_error(why);
}

tkt_status Client::manifest(const std::string& text) {
  char line[512] = "";
  const auto status =
      tkt_client_manifest_text(handle.get(), text.data(), text.size(), line, sizeof line);
  why = line;
  return status;
}

tkt_client_counters Client::counters() const {
  tkt_client_counters counters{};
  counters.size = sizeof counters;
  tkt_client_counters_read(handle.get(), &counters);
  return counters;
}

std::string pool_of(const std::vector<std::string>& names, const std::string& id) {
  std::string list;
  for (const auto& name : names) list += (list.empty() ? "\"" : ", \"") + name + "\"";
  return R"({"id": ")" + id + R"(", "names": [)" + list + "]}";
}

std::string manifest_of(const std::vector<std::string>& pools, std::int64_t expires) {
  std::string list;
  for (const auto& pool : pools) list += (list.empty() ? "" : ", ") + pool;
  if (expires == 0) expires = std::time(nullptr) + 86400;
  return R"({"version": 1, "expires": )" + std::to_string(expires) + R"(, "pools": [)" + list +
         "]}";
}

Visit visit(tkt_client* client, SSL_CTX* ctx, const std::string& host, SSL_CTX* at,
            const VisitOptions& options) {
  Visit visit;
  const SslPtr ours(SSL_new(ctx)), theirs(SSL_new(at));
  support::join(ours.get(), theirs.get());
  if (options.checks_host) SSL_set1_host(ours.get(), host.c_str());
  if (options.set_up) options.set_up(ours.get());
  if (options.alpn != nullptr) {
    const auto list = std::string(1, static_cast<char>(std::strlen(options.alpn))) + options.alpn;
    tkt_client_set_alpn(ours.get(), reinterpret_cast<const unsigned char*>(list.data()),
                        static_cast<unsigned>(list.size()));
  }
  if (tkt_client_prepare(client, ours.get(), host.c_str(), options.port) != TKT_OK) {
    visit.why = "not prepared";
  }
  note_offer(ours.get(), visit);
  visit.completed = support::shake_hands(ours.get(), theirs.get(), options.server_dies);
  if (!visit.completed && options.waits) options.waits();
  if (visit.completed && options.read_tickets) {
    unsigned char byte;
    SSL_read(ours.get(), &byte, 1);
  }
  if (!visit.completed) visit.error = error_text();
  visit.resumed = visit.completed && SSL_session_reused(ours.get()) == 1;
  if (const auto info = info_of(ours.get()); info.why[0] != '\0') {
    visit.offered = info.offered == 1;
    visit.ticket_of = info.ticket_of;
    visit.why = info.why;
    visit.pool = info.pool;
  }
  if (options.shutdown) SSL_shutdown(ours.get());
  return visit;
}

bool connect(SSL* ssl, SSL_CTX* at) {
  const SslPtr theirs(SSL_new(at));
  support::join(ssl, theirs.get());
  const bool completed = support::shake_hands(ssl, theirs.get());
  unsigned char byte;
  if (completed) SSL_read(ssl, &byte, 1);
  ERR_clear_error();
  return completed;
}

std::vector<unsigned char> ticket_of(SSL* ssl) {
  const unsigned char* ticket = nullptr;
  std::size_t size = 0;
  if (const auto* session = SSL_get_session(ssl); session != nullptr) {
    SSL_SESSION_get0_ticket(session, &ticket, &size);
  }
  return {ticket, ticket + size};
}

tkt_client_info info_of(const SSL* ssl) {
  tkt_client_info info{};
  info.size = sizeof info;
  tkt_client_info_read(ssl, &info);
  return info;
}

}  // namespace world
