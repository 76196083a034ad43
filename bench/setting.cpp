#include "setting.hpp"

#include <openssl/ec.h>
#include <openssl/x509.h>
#include <ticket/openssl.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>
#include <stdexcept>

#include "ring/ring_file.hpp"

namespace bench {

using ticket::seconds;

Quartiles quartiles(std::vector<double> values) {
  std::ranges::sort(values);
  const auto at = [&](double part) {
    return values[static_cast<std::size_t>(part * static_cast<double>(values.size() - 1))];
  };
  return {at(0.25), at(0.5), at(0.75)};
}

void note(Figures& figures, const std::string& name, const std::vector<double>& values) {
  const auto quartile = quartiles(values);
  figures[name] = quartile.middle;
  figures[name + "_q1"] = quartile.low;
  figures[name + "_q3"] = quartile.high;
}

double thread_time() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) * 1e9 + static_cast<double>(time.tv_nsec);
}

namespace {

ticket::ring::Ring pool_now() {
  const auto now = ticket::SystemClock().now().steady;
  ticket::ring::Ring ring;
  ring.pool = "web";
  ring.generation = 1;
  ring.member = 1;
  for (int i = -12; i <= 6; ++i) {
    ticket::ring::Epoch epoch;
    epoch.number = static_cast<std::uint32_t>(i + 13);
    randombytes_buf(epoch.id.data(), epoch.id.size());
    epoch.seals_from = now + i * seconds(3600) - seconds(60);
    epoch.made = epoch.seals_from - ring.policy.publish_ahead;
    epoch.seals_until = epoch.seals_from + ring.policy.rotate_every;
    epoch.opens_until = epoch.seals_until + ring.policy.lifetime;
    ring.epochs.push_back(epoch);
  }
  ring.secrets = ticket::SecretBytes(ring.epochs.size() * 32);
  randombytes_buf(ring.secrets.fill().data(), ring.secrets.size());
  ring.not_after = ring.epochs.back().opens_until;
  return ring;
}

}  // namespace

PoolFolder::PoolFolder() : ring_(pool_now()) {
  std::string name = std::filesystem::temp_directory_path() / "tkt-bench-XXXXXX";
  if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
  folder_ = name;
  ticket::ring::RingWriter writer(ring_path(), "web");
  if (!writer.publish(ring_, ring_.epochs[12].seals_from)) throw std::runtime_error("publish");
}

PoolFolder::~PoolFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

ContextPtr server_context() {
  EVP_PKEY* key = EVP_EC_gen("P-256");
  X509* certificate = X509_new();
  X509_set_version(certificate, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
  X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
  X509_set_pubkey(certificate, key);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>("bench"), -1, -1, 0);
  X509_set_issuer_name(certificate, X509_get_subject_name(certificate));
  X509_sign(certificate, key, EVP_sha256());

  ContextPtr context(SSL_CTX_new(TLS_server_method()));
  const bool ready = SSL_CTX_use_certificate(context.get(), certificate) == 1 &&
                     SSL_CTX_use_PrivateKey(context.get(), key) == 1;
  X509_free(certificate);
  EVP_PKEY_free(key);
  if (!ready) throw std::runtime_error("OpenSSL took no certificate");
  return context;
}

RingPtr open_ring(const PoolFolder& pool) {
  const auto path = pool.ring_path().string();
  tkt_ring_options options = {};
  options.size = sizeof options;
  options.ring_path = path.c_str();
  tkt_ring* ring = nullptr;
  if (tkt_ring_open(&ring, &options) != TKT_OK) throw std::runtime_error("tkt_ring_open");
  return RingPtr(ring);
}

void attach(SSL_CTX* context, tkt_ring* ring) {
  if (tkt_openssl_attach(context, ring, nullptr) != TKT_OK) {
    throw std::runtime_error("tkt_openssl_attach");
  }
}

}  // namespace bench
