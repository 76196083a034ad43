#include "tls_context.hpp"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include <stdexcept>

#include "crypto/certificate.hpp"

namespace keyd {

namespace ssl = boost::asio::ssl;

namespace {

std::string reason() {
  const auto code = ERR_peek_last_error();
  ERR_clear_error();
  const char* text = ERR_reason_error_string(code);
  return text == nullptr ? "it cannot be read" : text;
}

void check(int result, const std::string& what) {
  if (result != 1) throw std::runtime_error(what + ": " + reason());
}

struct FreeBio {
  void operator()(BIO* bio) const { BIO_free(bio); }
};

void trust(SSL_CTX* context, const std::string& pem, const std::string& setting) {
  const std::unique_ptr<BIO, FreeBio> bio(
      BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  int count = 0;
  while (auto* read = PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)) {
    const ticket::crypto::Certificate authority(read);
    X509_STORE_add_cert(SSL_CTX_get_cert_store(context), authority.get());
    SSL_CTX_add_client_CA(context, authority.get());
    ++count;
  }
  ERR_clear_error();  // the end of the file is an error to OpenSSL
  if (count == 0) throw std::runtime_error(setting + ": no certificate in it");
}

std::shared_ptr<ssl::context> make_server(const std::string& certificate, const std::string& key,
                                          int oldest_version) {
  auto made = std::make_shared<ssl::context>(ssl::context::tls_server);
  auto* context = made->native_handle();
  check(SSL_CTX_set_min_proto_version(context, oldest_version), "the TLS version");
  check(SSL_CTX_use_certificate_chain_file(context, certificate.c_str()), certificate);
  check(SSL_CTX_use_PrivateKey_file(context, key.c_str(), SSL_FILETYPE_PEM), key);
  check(SSL_CTX_check_private_key(context), key + " is not the key of " + certificate);
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
  // No resumption here: each connection shows its certificate anew.
  SSL_CTX_set_options(context, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(context, 0);
  return made;
}

}  // namespace

std::shared_ptr<ssl::context> make_tls_context(const std::string& certificate,
                                               const std::string& key,
                                               const std::string& clients_ca_pem) {
  auto made = make_server(certificate, key, TLS1_3_VERSION);
  trust(made->native_handle(), clients_ca_pem, "clients_ca");
  made->set_verify_mode(ssl::verify_peer | ssl::verify_fail_if_no_peer_cert);
  return made;
}

std::shared_ptr<ssl::context> make_issuer_tls_context(const std::string& certificate,
                                                      const std::string& key,
                                                      const std::string& attest_ca_pem) {
  auto made = make_server(certificate, key, TLS1_2_VERSION);
  check(SSL_CTX_set_cipher_list(made->native_handle(), "ECDHE+AESGCM:ECDHE+CHACHA20"),
        "the cipher suites of TLS 1.2");
  if (attest_ca_pem.empty()) return made;
  trust(made->native_handle(), attest_ca_pem, "attest_ca");
  made->set_verify_mode(ssl::verify_peer);
  return made;
}

std::vector<ticket::crypto::Certificate> peer_chain(SSL* connection) {
  std::vector<ticket::crypto::Certificate> chain;
  if (auto* const leaf = SSL_get1_peer_certificate(connection)) chain.emplace_back(leaf);
  const auto* others = SSL_get_peer_cert_chain(connection);  // without the leaf
  for (int i = 0; i < sk_X509_num(others); ++i) {
    auto* const certificate = sk_X509_value(others, i);
    X509_up_ref(certificate);
    chain.emplace_back(certificate);
  }
  return chain;
}

}  // namespace keyd
