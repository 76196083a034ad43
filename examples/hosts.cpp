#include "hosts.hpp"

#include <openssl/err.h>
#include <strings.h>

#include <optional>
#include <stdexcept>

namespace example {

namespace {

[[noreturn]] void fail(const std::string& host, const std::string& what) {
  const unsigned long error = ERR_get_error();
  const char* reason = error == 0 ? nullptr : ERR_reason_error_string(error);
  throw std::runtime_error("--host " + host + ": " + what +
                           (reason == nullptr ? "" : std::string(": ") + reason));
}

std::vector<std::string> split(std::string_view text, char at) {
  std::vector<std::string> parts;
  for (auto found = text.find(at); found != std::string_view::npos; found = text.find(at)) {
    parts.emplace_back(text.substr(0, found));
    text.remove_prefix(found + 1);
  }
  parts.emplace_back(text);
  return parts;
}

void demand_client_certificates(SSL_CTX* tls, const std::string& host, const std::string& ca) {
  if (SSL_CTX_load_verify_file(tls, ca.c_str()) != 1) fail(host, ca);
  SSL_CTX_set_client_CA_list(tls, SSL_load_client_CA_file(ca.c_str()));
  SSL_CTX_set_verify(tls, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
}

Host make_host(const std::string& description) {
  const auto equals = description.find('=');
  const std::string name = description.substr(0, equals);
  const auto parts = equals == std::string::npos ? std::vector<std::string>()
                                                 : split(description.substr(equals + 1), ',');
  if (name.empty() || parts.size() < 3 || parts.size() > 4) {
    fail(description, "want NAME=CERT,KEY,CONTEXT[,CLIENTCA]");
  }

  Host host{name, parts[2],
            std::unique_ptr<SSL_CTX, FreeContext>(SSL_CTX_new(TLS_server_method()))};
  SSL_CTX* tls = host.tls.get();
  SSL_CTX_set_min_proto_version(tls, TLS1_2_VERSION);
  SSL_CTX_set_mode(tls, SSL_MODE_RELEASE_BUFFERS);
  if (SSL_CTX_use_certificate_chain_file(tls, parts[0].c_str()) != 1) fail(name, parts[0]);
  if (SSL_CTX_use_PrivateKey_file(tls, parts[1].c_str(), SSL_FILETYPE_PEM) != 1) {
    fail(name, parts[1]);
  }
  if (parts.size() == 4) demand_client_certificates(tls, name, parts[3]);
  return host;
}

// The name in a ClientHello, where SSL_get_servername() does not know it yet:
// u16 list length | u8 type | u16 name length | name.
std::string_view name_in_client_hello(SSL* ssl) {
  const unsigned char* bytes = nullptr;
  std::size_t size = 0;
  if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &bytes, &size) != 1 || size <= 5 ||
      std::size_t(bytes[3]) << 8 != size - 5 - bytes[4]) {
    return {};
  }
  return {reinterpret_cast<const char*>(bytes) + 5, size - 5};
}

bool same_name(std::string_view a, std::string_view b) {
  return a.size() == b.size() && strncasecmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace

Hosts::Hosts(const std::vector<std::string>& descriptions) {
  for (const auto& description : descriptions) hosts_.push_back(make_host(description));
}

void Hosts::select_by(Select how) {
  if (how == Select::client_hello) {
    SSL_CTX_set_client_hello_cb(port(), on_client_hello, this);
  } else {
    SSL_CTX_set_tlsext_servername_callback(port(), on_servername);
    SSL_CTX_set_tlsext_servername_arg(port(), this);
  }
}

int Hosts::on_client_hello(SSL* ssl, int*, void* hosts) {
  static_cast<const Hosts*>(hosts)->hand_over(ssl, name_in_client_hello(ssl));
  return SSL_CLIENT_HELLO_SUCCESS;
}

int Hosts::on_servername(SSL* ssl, int*, void* hosts) {
  const char* name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
  static_cast<const Hosts*>(hosts)->hand_over(ssl, name == nullptr ? "" : name);
  return SSL_TLSEXT_ERR_OK;
}

// SSL_set_SSL_CTX takes over the certificate, not what is asked of the client.
void Hosts::hand_over(SSL* ssl, std::string_view name) const {
  for (const Host& host : hosts_) {
    if (!same_name(host.name, name)) continue;
    SSL_CTX* tls = host.tls.get();
    SSL_set_SSL_CTX(ssl, tls);
    SSL_set_verify(ssl, SSL_CTX_get_verify_mode(tls), nullptr);
    SSL_set1_verify_cert_store(ssl, SSL_CTX_get_cert_store(tls));
    SSL_set_client_CA_list(ssl, SSL_dup_CA_list(SSL_CTX_get_client_CA_list(tls)));
    return;
  }
}

}  // namespace example
