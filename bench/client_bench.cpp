// What a client pays to find pool and session for a host, with a hundred thousand
// sessions and eight threads. Prints one JSON object, name -> value.
#include <openssl/x509v3.h>

#include <cstdio>
#include <ctime>
#include <nlohmann/json.hpp>
#include <random>
#include <stdexcept>
#include <thread>

#include "client/client.hpp"
#include "setting.hpp"

namespace {

using namespace ticket::client;
using ticket::seconds;
using ticket::sys_seconds;

constexpr std::size_t pools = 10'000, names_a_pool = 10, threads = 8;
constexpr std::size_t sessions = pools * names_a_pool;

sys_seconds now() { return sys_seconds(seconds(std::time(nullptr))); }

double thread_time() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) * 1e9 + static_cast<double>(time.tv_nsec);
}

std::string name_of(std::size_t pool, std::size_t number) {
  return "s" + std::to_string(number) + ".pool" + std::to_string(pool) + ".example.org";
}

ticket::crypto::Certificate certificate(std::size_t pool, EVP_PKEY* key) {
  ticket::crypto::Certificate made(X509_new());
  X509_set_version(made.get(), X509_VERSION_3);
  X509_gmtime_adj(X509_getm_notBefore(made.get()), -3600);
  X509_gmtime_adj(X509_getm_notAfter(made.get()), 86400);
  X509_set_pubkey(made.get(), key);
  std::string names;
  for (std::size_t i = 0; i < names_a_pool; ++i) {
    names += (names.empty() ? "DNS:" : ",DNS:") + name_of(pool, i);
  }
  auto* extension = X509V3_EXT_nconf_nid(nullptr, nullptr, NID_subject_alt_name, names.c_str());
  X509_add_ext(made.get(), extension, -1);
  X509_EXTENSION_free(extension);
  if (X509_sign(made.get(), key, EVP_sha256()) == 0) throw std::runtime_error("no certificate");
  return made;
}

class Lookup {
 public:
  Lookup() : client_(options()) {
    const ticket::crypto::PrivateKey key(EVP_EC_gen("P-256"));
    ClientManifest manifest{now() + seconds(86400), {}};
    for (std::size_t pool = 0; pool < pools; ++pool) {
      PoolEntry entry{std::to_string(pool), {}, {}};
      for (std::size_t i = 0; i < names_a_pool; ++i) {
        hosts_.push_back(name_of(pool, i));
        entry.names.push_back(hosts_.back());
      }
      manifest.pools.push_back(std::move(entry));
      Lineage lineage;
      lineage.name = name_of(pool, 0);  // nine of ten lookups are for another name
      lineage.leaf = certificate(pool, key.get());
      lineage.verify.peer = lineage.chain_verified = true;
      lineages_.push_back(make_lineage(std::move(lineage)));
    }
    if (!client_.use_manifest(write_client_manifest(manifest))) {
      throw std::runtime_error("manifest refused");
    }
    std::shuffle(hosts_.begin(), hosts_.end(), std::mt19937(1));
  }

  // Nanoseconds of a thread for a lookup, while all take every session once.
  double run() {
    fill();
    double took[threads];
    std::size_t found[threads];
    std::vector<std::thread> running;
    for (std::size_t t = 0; t < threads; ++t) {
      running.emplace_back([&, t] {
        std::vector<Offer> offers;
        offers.reserve(sessions / threads + 1);
        const auto began = thread_time();
        for (std::size_t i = t; i < sessions; i += threads) {
          const auto server = Server::from(hosts_[i], 443);
          Target target{*server};
          target.verify.peer = true;
          offers.push_back(client_.offer("", target));
        }
        took[t] = thread_time() - began;
        found[t] = 0;
        for (const auto& offer : offers) found[t] += offer.session ? 1 : 0;
      });
    }
    for (auto& thread : running) thread.join();
    double sum = 0;
    for (std::size_t t = 0; t < threads; ++t) {
      sum += took[t];
      if (found[t] != sessions / threads) throw std::runtime_error("a session was not found");
    }
    return sum / sessions;
  }

 private:
  static ClientOptions options() {
    ClientOptions options;
    options.limits = {sessions, names_a_pool, names_a_pool};
    options.clock = now;
    return options;
  }
  void fill() {
    for (std::size_t pool = 0; pool < pools; ++pool) {
      for (std::size_t i = 0; i < names_a_pool; ++i) {
        const auto server = Server::from(name_of(pool, i), 443);
        Session session{SessionPtr(SSL_SESSION_new()), lineages_[pool], *server, "", now(),
                        now() + seconds(3600)};
        session.version = TLS1_3_VERSION;
        session.has_ticket = true;
        client_.keep("", std::move(session));
      }
    }
    if (client_.sessions() != sessions) throw std::runtime_error("sessions are missing");
  }

  Client client_;
  std::vector<std::string> hosts_;
  std::vector<std::shared_ptr<const Lineage>> lineages_;
};

}  // namespace

int main() {
  try {
    Lookup lookup;
    lookup.run();
    std::vector<double> times;
    for (int i = 0; i < 9; ++i) times.push_back(lookup.run());
    const auto spread = bench::quartiles(times);
    const nlohmann::json figures = {{"client_lookup_ns", spread.middle},
                                    {"client_lookup_ns_q1", spread.low},
                                    {"client_lookup_ns_q3", spread.high}};
    std::puts(figures.dump(2).c_str());
    return 0;
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "client bench: %s\n", failure.what());
    return 1;
  }
}
