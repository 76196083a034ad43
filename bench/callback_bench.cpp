// OpenSSL's two ticket key callbacks as the library gives them, on contexts as
// OpenSSL hands them over; beside them what a plain callback does that fetches
// its algorithms by name.
#include <benchmark/benchmark.h>
#include <openssl/core_names.h>
#include <openssl/params.h>
#include <openssl/rand.h>

#include <cstring>

#include "callbacks.hpp"
#include "setting.hpp"

namespace bench {

namespace {

using benchmark::State;

// A server's connection, and the contexts that OpenSSL would hand over.
struct Connection {
  PoolFolder pool;
  RingPtr ring = open_ring(pool);
  ContextPtr context = server_context();
  SslPtr ssl;
  EVP_MAC* hmac = EVP_MAC_fetch(nullptr, "HMAC", nullptr);
  EVP_MAC_CTX* mac = EVP_MAC_CTX_new(hmac);
  EVP_CIPHER_CTX* cipher = EVP_CIPHER_CTX_new();
  unsigned char name[16], iv[16];

  Connection() {
    attach(context.get(), ring.get());
    ssl.reset(SSL_new(context.get()));
    SSL_set_accept_state(ssl.get());
    SSL_SESSION* session = SSL_SESSION_new();
    SSL_set_session(ssl.get(), session);
    SSL_SESSION_free(session);
    ticket::openssl::prepare_ticket(ssl.get(), nullptr);
    if (seal() != 1 || open() == 0) throw std::runtime_error("the callbacks refuse");
  }
  ~Connection() {
    EVP_CIPHER_CTX_free(cipher);
    EVP_MAC_CTX_free(mac);
    EVP_MAC_free(hmac);
  }
  int seal() { return ticket::openssl::seal_key(ssl.get(), name, iv, cipher, mac); }
  int open() { return ticket::openssl::open_key(ssl.get(), name, iv, cipher, mac); }
};

Connection& connection() {
  static Connection one;
  return one;
}

void callback_seal(State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(connection().seal());
}

void callback_open(State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(connection().open());
}

// What the manual page of SSL_CTX_set_tlsext_ticket_key_evp_cb shows.
void plain_callback(bool seals) {
  static unsigned char key[32] = {1}, hmac_key[32] = {2};
  auto& c = connection();
  if (seals) {
    RAND_bytes(c.iv, sizeof c.iv);
    EVP_EncryptInit_ex(c.cipher, EVP_aes_256_cbc(), nullptr, key, c.iv);
  } else {
    EVP_DecryptInit_ex(c.cipher, EVP_aes_256_cbc(), nullptr, key, c.iv);
  }
  char digest[] = "SHA256";
  const OSSL_PARAM parameters[] = {
      OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, hmac_key, sizeof hmac_key),
      OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, sizeof(digest) - 1),
      OSSL_PARAM_construct_end()};
  EVP_MAC_CTX_set_params(c.mac, parameters);
}

void plain_seal(State& state) {
  for (auto _ : state) plain_callback(true);
}

void plain_open(State& state) {
  for (auto _ : state) plain_callback(false);
}

// Keeps the medians; says nothing itself.
class Collector : public benchmark::BenchmarkReporter {
 public:
  explicit Collector(Figures& figures) : figures_(figures) {}
  bool ReportContext(const Context&) override { return true; }
  void ReportRuns(const std::vector<Run>& runs) override {
    for (const auto& run : runs) {
      if (run.aggregate_name != "median") continue;
      figures_[run.run_name.function_name] = run.GetAdjustedCPUTime();
    }
  }

 private:
  Figures& figures_;
};

}  // namespace

void measure_callbacks(Figures& figures) {
  const std::pair<const char*, void (*)(State&)> all[] = {{"callback_seal_ns", callback_seal},
                                                          {"callback_open_ns", callback_open},
                                                          {"plain_callback_seal_ns", plain_seal},
                                                          {"plain_callback_open_ns", plain_open}};
  for (const auto& [name, function] : all) {
    benchmark::RegisterBenchmark(name, function)
        ->Repetitions(11)
        ->MinTime(0.1)
        ->ReportAggregatesOnly(true);
  }
  Collector collector(figures);
  benchmark::RunSpecifiedBenchmarks(&collector);
}

}  // namespace bench
