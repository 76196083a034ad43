#include "certificate_authority.hpp"

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <stdexcept>

namespace ticketctl {

using namespace ticket::crypto;
using ticket::SecretBytes;
using ticket::sys_seconds;
using namespace std::chrono_literals;

namespace {

struct Free {
  void operator()(BIO* bio) const { BIO_free(bio); }
  void operator()(BIGNUM* number) const { BN_free(number); }
  void operator()(GENERAL_NAMES* names) const { GENERAL_NAMES_free(names); }
  void operator()(X509_EXTENSION* extension) const { X509_EXTENSION_free(extension); }
  void operator()(ASN1_OCTET_STRING* address) const { ASN1_OCTET_STRING_free(address); }
};
template <class T>
using Owned = std::unique_ptr<T, Free>;

void need(bool done, const char* what) {
  if (!done) throw std::runtime_error(std::string("OpenSSL cannot ") + what);
}

// 159 random bits: 20 octets with the sign (RFC 5280, section 4.1.2.2).
std::string set_serial(X509* certificate) {
  const Owned<BIGNUM> number(BN_new());
  need(BN_rand(number.get(), 159, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) == 1, "draw a serial");
  BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate));
  char* digits = BN_bn2hex(number.get());
  std::string text(digits);
  OPENSSL_free(digits);
  return text;
}

void set_life(X509* certificate, sys_seconds now, sys_seconds until) {
  ASN1_TIME_set(X509_getm_notBefore(certificate), (now - 1h).time_since_epoch().count());
  ASN1_TIME_set(X509_getm_notAfter(certificate), until.time_since_epoch().count());
}

void set_common_name(X509* certificate, const std::string& name) {
  need(X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_UTF8,
                                  reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1,
                                  0) == 1,
       "name a certificate");
}

// `value` as in openssl.cnf: only texts of this file, never a user's.
void add_extension(X509* certificate, X509* issuer, int nid, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  const Owned<X509_EXTENSION> extension(X509V3_EXT_nconf_nid(nullptr, &context, nid, value));
  need(extension != nullptr && X509_add_ext(certificate, extension.get(), -1) == 1,
       "add an extension");
}

void sign(X509* certificate, EVP_PKEY* key) {
  need(X509_sign(certificate, key, EVP_sha256()) != 0, "sign a certificate");
}

Identity new_identity() {
  Identity identity{Certificate(X509_new()), PrivateKey(EVP_EC_gen("P-256"))};
  need(identity.certificate != nullptr && identity.key != nullptr, "make a P-256 key");
  X509_set_version(identity.certificate.get(), X509_VERSION_3);
  X509_set_pubkey(identity.certificate.get(), identity.key.get());
  return identity;
}

}  // namespace

Identity make_authority(const std::string& pool, sys_seconds now) {
  auto identity = new_identity();
  auto* certificate = identity.certificate.get();
  const auto serial = set_serial(certificate);
  set_life(certificate, now, now + authority_days * 24h);
  // a common name has at most 64 characters
  set_common_name(certificate, pool.substr(0, 40) + " pool CA " + serial.substr(0, 8));
  X509_set_issuer_name(certificate, X509_get_subject_name(certificate));
  add_extension(certificate, certificate, NID_basic_constraints, "critical,CA:TRUE,pathlen:0");
  add_extension(certificate, certificate, NID_key_usage, "critical,keyCertSign,cRLSign");
  add_extension(certificate, certificate, NID_subject_key_identifier, "hash");
  sign(certificate, identity.key.get());
  return identity;
}

// Leaves ---------------------------------------------------------------------

namespace {

Owned<ASN1_OCTET_STRING> address_of(const std::string& host) {
  return Owned<ASN1_OCTET_STRING>(a2i_IPADDRESS(host.c_str()));
}

// Takes over `value`.
void add_name(GENERAL_NAMES* names, int kind, void* value) {
  auto* name = GENERAL_NAME_new();
  GENERAL_NAME_set0_value(name, kind, value);
  sk_GENERAL_NAME_push(names, name);
}

ASN1_IA5STRING* ascii(const std::string& text) {
  auto* string = ASN1_IA5STRING_new();
  ASN1_STRING_set(string, text.data(), static_cast<int>(text.size()));
  return string;
}

void add_names(X509* certificate, const Leaf& leaf) {
  const Owned<GENERAL_NAMES> names(GENERAL_NAMES_new());
  add_name(names.get(), GEN_URI, ascii(role_uri(leaf.role)));
  for (const auto& host : leaf.hosts) {
    if (!is_host(host)) throw std::invalid_argument("not a host name or IP address: " + host);
    auto address = address_of(host);
    if (address != nullptr) {
      add_name(names.get(), GEN_IPADD, address.release());
    } else {
      add_name(names.get(), GEN_DNS, ascii(host));
    }
  }
  need(X509_add1_ext_i2d(certificate, NID_subject_alt_name, names.get(), 0, X509V3_ADD_APPEND) == 1,
       "add names");
}

std::string common_name(const Role& role) { return role.name.empty() ? "keyd" : role.name; }

}  // namespace

Identity make_leaf(const Identity& authority, const Leaf& leaf, sys_seconds now) {
  auto identity = new_identity();
  auto* certificate = identity.certificate.get();
  auto* issuer = authority.certificate.get();
  set_serial(certificate);
  set_life(certificate, now, std::min<sys_seconds>(now + leaf.days * 24h, not_after(issuer)));
  set_common_name(certificate, common_name(leaf.role));
  X509_set_issuer_name(certificate, X509_get_subject_name(issuer));
  add_extension(certificate, issuer, NID_basic_constraints, "critical,CA:FALSE");
  add_extension(certificate, issuer, NID_key_usage, "critical,digitalSignature");
  add_extension(certificate, issuer, NID_ext_key_usage,
                leaf.usage == Usage::server ? "serverAuth" : "clientAuth");
  add_extension(certificate, issuer, NID_subject_key_identifier, "hash");
  add_extension(certificate, issuer, NID_authority_key_identifier, "keyid:always");
  add_names(certificate, leaf);
  sign(certificate, authority.key.get());
  return identity;
}

bool is_host(const std::string& host) {
  if (address_of(host) != nullptr) return true;
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '-' || c == '_';
  };
  return !host.empty() && host.size() <= 253 && host.front() != '.' && host.front() != '-' &&
         std::ranges::all_of(host, allowed);
}

// Text -----------------------------------------------------------------------

std::string certificate_pem(X509* certificate) {
  const Owned<BIO> out(BIO_new(BIO_s_mem()));
  need(PEM_write_bio_X509(out.get(), certificate) == 1, "write a certificate");
  char* text = nullptr;
  const auto size = BIO_get_mem_data(out.get(), &text);
  return {text, static_cast<std::size_t>(size)};
}

SecretBytes private_key_pem(EVP_PKEY* key) {
  const Owned<BIO> out(BIO_new(BIO_s_secmem()));  // wiped when it is freed
  need(PEM_write_bio_PKCS8PrivateKey(out.get(), key, nullptr, nullptr, 0, nullptr, nullptr) == 1,
       "write a private key");
  char* text = nullptr;
  const auto size = BIO_get_mem_data(out.get(), &text);
  return SecretBytes::copy_of(ticket::as_bytes({text, static_cast<std::size_t>(size)}));
}

sys_seconds not_after(X509* certificate) {
  std::tm time{};
  need(ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &time) == 1, "read a certificate's end");
  return sys_seconds(std::chrono::seconds(timegm(&time)));
}

}  // namespace ticketctl
