#include "crypto/certificate.hpp"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <climits>
#include <ctime>
#include <stdexcept>

#include "crypto/digest.hpp"
#include "crypto/quiet_errors.hpp"

namespace ticket::crypto {

namespace {

struct Free {
  void operator()(unsigned char* bytes) const { OPENSSL_free(bytes); }
  void operator()(BIO* bio) const { BIO_free(bio); }
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
  void operator()(GENERAL_NAMES* names) const { GENERAL_NAMES_free(names); }
  void operator()(X509_STORE* store) const { X509_STORE_free(store); }
  void operator()(X509_STORE_CTX* context) const { X509_STORE_CTX_free(context); }
  // The certificates in it belong to somebody else.
  void operator()(STACK_OF(X509) * stack) const { sk_X509_free(stack); }
};
template <class T>
using Owned = std::unique_ptr<T, Free>;

// Without it OpenSSL asks the terminal for the passphrase of an encrypted PEM.
int no_passphrase(char*, int, int, void*) { return -1; }

Owned<BIO> reader_of(std::string_view text) {
  if (text.size() > INT_MAX) return nullptr;
  return Owned<BIO>(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

bool read_to_the_end() {
  const auto error = ERR_peek_last_error();
  return ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
}

Checked<std::vector<Certificate>> parse_certificates(std::string_view pem, std::size_t at_most) {
  const QuietErrors quiet;
  const auto reader = reader_of(pem);
  std::vector<Certificate> chain;
  while (reader != nullptr) {
    Certificate certificate(PEM_read_bio_X509(reader.get(), nullptr, no_passphrase, nullptr));
    if (certificate == nullptr) break;
    if (chain.size() == at_most) return reject(Rejection::malformed);
    chain.push_back(std::move(certificate));
  }
  if (chain.empty() || !read_to_the_end()) return reject(Rejection::malformed);
  return chain;
}

}  // namespace

Checked<std::vector<Certificate>> parse_chain(std::string_view pem) {
  return parse_certificates(pem, 8);
}

// Roles ----------------------------------------------------------------------

namespace {

constexpr std::string_view scheme = "ticket:";

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

// Schemes compare without case (RFC 3986, section 3.1), so that "Ticket:keyd"
// is a role written wrongly, not a URI of somebody else.
bool is_ticket_uri(std::string_view uri) {
  return uri.size() >= scheme.size() &&
         std::equal(scheme.begin(), scheme.end(), uri.begin(),
                    [](char expected, char c) { return expected == lower(c); });
}

std::vector<std::string_view> split(std::string_view text) {
  std::vector<std::string_view> parts;
  for (;;) {
    const auto colon = text.find(':');
    parts.push_back(text.substr(0, colon));
    if (colon == std::string_view::npos) return parts;
    text.remove_prefix(colon + 1);
  }
}

Checked<Role> parse_role(std::string_view uri) {
  if (!uri.starts_with(scheme)) return reject(Rejection::malformed);
  const auto parts = split(uri.substr(scheme.size()));
  if (!std::all_of(parts.begin() + 1, parts.end(), valid_name)) {
    return reject(Rejection::malformed);
  }
  if (parts[0] == "keyd" && parts.size() == 1) return Role{RoleKind::keyd, "", ""};
  if (parts[0] == "relay" && parts.size() == 2) {
    return Role{RoleKind::relay, "", std::string(parts[1])};
  }
  if (parts[0] == "member" && parts.size() == 3) {
    return Role{RoleKind::member, std::string(parts[1]), std::string(parts[2])};
  }
  return reject(Rejection::malformed);
}

// The subjectAltName extension; null when there is none, malformed when there
// are two or it does not parse.
Checked<Owned<GENERAL_NAMES>> names_of(X509* certificate) {
  const QuietErrors quiet;
  int found = 0;
  Owned<GENERAL_NAMES> names(static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, &found, nullptr)));
  constexpr int absent = -1;
  if (names == nullptr && found != absent) return reject(Rejection::malformed);
  return names;
}

std::string_view text_of(const ASN1_STRING* string) {
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(string)),
          static_cast<std::size_t>(ASN1_STRING_length(string))};
}

}  // namespace

Checked<Role> role_of(X509* leaf) {
  const auto names = TRY(names_of(leaf));
  Role role;
  for (int i = 0; i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const auto* name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type != GEN_URI) continue;
    const auto uri = text_of(name->d.uniformResourceIdentifier);
    if (!is_ticket_uri(uri)) continue;
    if (role.kind != RoleKind::none) return reject(Rejection::malformed);
    role = TRY(parse_role(uri));
  }
  return role;
}

bool valid_name(std::string_view name) {
  const auto allowed = [](char c) {
    return (lower(c) >= 'a' && lower(c) <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
           c == '-';
  };
  return !name.empty() && name.size() <= 63 && name.front() != '.' && name.front() != '-' &&
         std::ranges::all_of(name, allowed);
}

std::string role_uri(const Role& role) {
  switch (role.kind) {
    case RoleKind::none:
      return "";
    case RoleKind::keyd:
      return "ticket:keyd";
    case RoleKind::relay:
      return "ticket:relay:" + role.name;
    case RoleKind::member:
      return "ticket:member:" + role.pool + ":" + role.name;
  }
  return "";
}

// What a certificate says ----------------------------------------------------

sys_seconds begins(X509* certificate) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(X509_get0_notBefore(certificate), &parts) != 1) return {};
  return sys_seconds(seconds(timegm(&parts)));
}

std::string fingerprint(X509* certificate) {
  ByteArray<32> digest;
  unsigned size = digest.size();
  if (X509_digest(certificate, EVP_sha256(), raw(std::span(digest)), &size) != 1) {
    throw std::runtime_error("OpenSSL cannot digest a certificate");
  }
  return "sha256:" + hex(digest);
}

namespace {

// The first element of the certificate, to the byte: i2d_re_X509_tbs() writes it anew, and
// leaves the certificate changed for who verifies it afterwards.
BytesView signed_part(BytesView der) {
  const auto* at = raw(der);
  const auto* end = at + der.size();
  long size = 0;
  int tag = 0, kind = 0;
  constexpr int broken = 0x80;
  if ((ASN1_get_object(&at, &size, &tag, &kind, end - at) & broken) != 0) return {};
  const auto* begin = at;
  if ((ASN1_get_object(&at, &size, &tag, &kind, end - at) & broken) != 0) return {};
  return der.subspan(static_cast<std::size_t>(begin - raw(der)),
                     static_cast<std::size_t>(at + size - begin));
}

}  // namespace

std::string tbs_hash(X509* certificate) {
  const QuietErrors quiet;
  unsigned char* der = nullptr;
  const int size = i2d_X509(certificate, &der);
  if (size < 0) throw std::runtime_error("OpenSSL cannot write a certificate");
  const std::unique_ptr<unsigned char, Free> owner(der);
  const auto part = signed_part(std::as_bytes(std::span(der, static_cast<std::size_t>(size))));
  if (part.empty()) throw std::runtime_error("OpenSSL writes a certificate without content");
  return hex(sha256(part));
}

std::string subject(X509* certificate) {
  const Owned<BIO> out(BIO_new(BIO_s_mem()));
  X509_NAME_print_ex(out.get(), X509_get_subject_name(certificate), 0, XN_FLAG_RFC2253);
  char* text = nullptr;
  const auto size = BIO_get_mem_data(out.get(), &text);
  return {text, static_cast<std::size_t>(std::max(size, 0L))};
}

namespace {

std::string address_text(const ASN1_OCTET_STRING* address) {
  const auto bytes = text_of(address);
  if (bytes.size() != 4 && bytes.size() != 16) return "";
  const std::string_view separator = bytes.size() == 4 ? "." : ":";
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const auto octet = static_cast<unsigned char>(bytes[i]);
    if (i > 0 && (bytes.size() == 4 || i % 2 == 0)) text += separator;
    text += bytes.size() == 4 ? std::to_string(octet) : hex(as_bytes(bytes.substr(i, 1)));
  }
  return text;
}

std::string alternative_name(const GENERAL_NAME* name) {
  switch (name->type) {
    case GEN_DNS:
      return "DNS:" + std::string(text_of(name->d.dNSName));
    case GEN_URI:
      return "URI:" + std::string(text_of(name->d.uniformResourceIdentifier));
    case GEN_EMAIL:
      return "email:" + std::string(text_of(name->d.rfc822Name));
    case GEN_IPADD:
      return "IP:" + address_text(name->d.iPAddress);
    default:
      return "";
  }
}

}  // namespace

std::vector<std::string> alternative_names(X509* certificate) {
  std::vector<std::string> texts;
  const auto names = names_of(certificate);
  if (!names) return texts;
  for (int i = 0; i < sk_GENERAL_NAME_num(names->get()); ++i) {
    auto text = alternative_name(sk_GENERAL_NAME_value(names->get(), i));
    const bool printable = std::ranges::all_of(text, [](char c) { return c > ' ' && c < 0x7f; });
    if (!text.empty() && printable) texts.push_back(std::move(text));
  }
  return texts;
}

// Chains ---------------------------------------------------------------------

namespace {

constexpr int plain_ca = 1;  // X509_check_ca: basicConstraints say so

std::string why_not(X509_STORE_CTX* context) {
  std::string why = X509_verify_cert_error_string(X509_STORE_CTX_get_error(context));
  if (auto* at = X509_STORE_CTX_get_current_cert(context)) why += " (" + subject(at) + ")";
  return why;
}

// What OpenSSL lets pass: a certificate that is its own anchor, and anchors
// that are no CAs.
std::optional<std::string> anchor_problem(X509_STORE_CTX* context) {
  auto* path = X509_STORE_CTX_get0_chain(context);
  auto* leaf = sk_X509_value(path, 0);
  auto* anchor = sk_X509_value(path, sk_X509_num(path) - 1);
  if (X509_check_ca(leaf) == plain_ca) return "a CA's own certificate (" + subject(leaf) + ")";
  if (leaf == anchor || X509_check_ca(anchor) != plain_ca) {
    return "the trusted certificate is not a CA's (" + subject(anchor) + ")";
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::string> chain_problem(const std::vector<Certificate>& chain,
                                         std::string_view ca_pem, bool server, sys_seconds now) {
  if (chain.empty()) return "no certificate";
  const auto authorities = parse_certificates(ca_pem, 1000);
  if (!authorities) return "the CA file holds no certificate, or a broken one";

  const QuietErrors quiet;
  const Owned<X509_STORE> store(X509_STORE_new());
  for (const auto& authority : *authorities) X509_STORE_add_cert(store.get(), authority.get());
  const Owned<STACK_OF(X509)> others(sk_X509_new_null());
  for (const auto& certificate : chain) sk_X509_push(others.get(), certificate.get());

  const Owned<X509_STORE_CTX> context(X509_STORE_CTX_new());
  if (X509_STORE_CTX_init(context.get(), store.get(), chain[0].get(), others.get()) != 1) {
    throw std::runtime_error("OpenSSL cannot begin to verify a chain");
  }
  auto* parameters = X509_STORE_CTX_get0_param(context.get());
  X509_VERIFY_PARAM_set_purpose(parameters,
                                server ? X509_PURPOSE_SSL_SERVER : X509_PURPOSE_SSL_CLIENT);
  X509_VERIFY_PARAM_set_auth_level(parameters, 2);  // 112 bits
  X509_VERIFY_PARAM_set_time(parameters, now.time_since_epoch().count());
  if (X509_verify_cert(context.get()) != 1) return why_not(context.get());
  return anchor_problem(context.get());
}

// Signatures -----------------------------------------------------------------

namespace {

const EVP_MD* digest_for(EVP_PKEY* key) {
  return EVP_PKEY_get_base_id(key) == EVP_PKEY_ED25519 ? nullptr : EVP_sha256();
}

bool known_kind(EVP_PKEY* key) {
  const int kind = EVP_PKEY_get_base_id(key);
  return kind == EVP_PKEY_RSA || kind == EVP_PKEY_RSA_PSS || kind == EVP_PKEY_EC ||
         kind == EVP_PKEY_ED25519;
}

bool is_rsa(EVP_PKEY* key) { return EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA; }

bool set_padding(EVP_PKEY_CTX* context, int padding) {
  if (EVP_PKEY_CTX_set_rsa_padding(context, padding) != 1) return false;
  return padding != RSA_PKCS1_PSS_PADDING ||
         EVP_PKEY_CTX_set_rsa_pss_saltlen(context, RSA_PSS_SALTLEN_DIGEST) == 1;
}

bool verify_padded(EVP_PKEY* key, int padding, BytesView message, BytesView signature) {
  const Owned<EVP_MD_CTX> context(EVP_MD_CTX_new());
  EVP_PKEY_CTX* options = nullptr;  // belongs to `context`
  if (EVP_DigestVerifyInit(context.get(), &options, digest_for(key), nullptr, key) != 1) {
    return false;
  }
  if (is_rsa(key) && !set_padding(options, padding)) return false;
  return EVP_DigestVerify(context.get(), raw(signature), signature.size(), raw(message),
                          message.size()) == 1;
}

}  // namespace

Bytes sign_with(EVP_PKEY* key, BytesView message) {
  const QuietErrors quiet;
  const Owned<EVP_MD_CTX> context(EVP_MD_CTX_new());
  EVP_PKEY_CTX* options = nullptr;  // belongs to `context`
  if (!known_kind(key)) throw std::runtime_error("cannot sign: the key is not RSA, EC or Ed25519");
  Bytes signature(static_cast<std::size_t>(EVP_PKEY_get_size(key)));
  std::size_t size = signature.size();
  if (EVP_DigestSignInit(context.get(), &options, digest_for(key), nullptr, key) != 1 ||
      (is_rsa(key) && !set_padding(options, RSA_PKCS1_PSS_PADDING)) ||
      EVP_DigestSign(context.get(), raw(std::span(signature)), &size, raw(message),
                     message.size()) != 1) {
    throw std::runtime_error("OpenSSL cannot sign with this key");
  }
  signature.resize(size);
  return signature;
}

bool verify_with(X509* certificate, BytesView message, BytesView signature) {
  const QuietErrors quiet;
  auto* key = X509_get0_pubkey(certificate);
  if (key == nullptr || !known_kind(key)) return false;
  return verify_padded(key, RSA_PKCS1_PSS_PADDING, message, signature) ||
         (is_rsa(key) && verify_padded(key, RSA_PKCS1_PADDING, message, signature));
}

PrivateKey parse_private_key(std::string_view pem) {
  const QuietErrors quiet;
  const auto reader = reader_of(pem);
  if (reader == nullptr) return nullptr;
  return PrivateKey(PEM_read_bio_PrivateKey(reader.get(), nullptr, no_passphrase, nullptr));
}

}  // namespace ticket::crypto
