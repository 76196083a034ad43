// What a client pays to find pool and session for a host, with a hundred thousand
// sessions and eight threads. Prints one JSON object, name -> value.
#include <openssl/x509v3.h>

#include <atomic>
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
constexpr std::size_t batch = 64, rounds = 200;  // of a thread
constexpr std::size_t pools_of_late = 256;       // what is of these stays in the processor's caches

sys_seconds now() { return sys_seconds(seconds(std::time(nullptr))); }

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

// Ten thousand pools of ten names, a session for each name.
//
// A lookup is what a connection waits for: from the host's text and its port to the offer,
// with a TLS 1.3 session taken out of the cache. What counts is the time that a thread had a
// processor (also in the kernel, for a lock): eight threads share two of them here, and the
// wall's time would be that of the scheduler. Asking for that time is itself slow, so it is
// done around batches, and its cost taken off. Between batches, not counted: the old sessions
// go, and new ones come in their place, as handshakes bring them; and the hosts' texts are
// fetched, which who connects has in hand. The hosts come in no order: nearly every byte that
// a lookup needs comes from main memory.
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
      lineage.born = now();
      lineage.name = name_of(pool, 0);  // nine of ten lookups are for another name
      lineage.leaf = certificate(pool, key.get());
      lineage.verify.peer = lineage.chain_verified = true;
      lineages_.push_back(make_lineage(std::move(lineage)));
    }
    if (!client_.use_manifest(write_client_manifest(manifest))) {
      throw std::runtime_error("manifest refused");
    }
    for (std::size_t host = 0; host < sessions; ++host) keep(host);
    if (client_.sessions() != sessions) throw std::runtime_error("sessions are missing");
  }

  // Nanoseconds for a lookup, of each thread a figure: all look at the first so many pools.
  std::vector<double> run(std::size_t of_pools) {
    std::vector<double> took(threads);
    std::vector<std::thread> running;
    for (unsigned t = 0; t < threads; ++t) {
      running.emplace_back([&, t] { took[t] = look(of_pools, t); });
    }
    for (auto& thread : running) thread.join();
    if (found_ < looked_ * 99 / 100) throw std::runtime_error("sessions were not found");
    return took;
  }

 private:
  double look(std::size_t of_pools, unsigned seed) {
    std::mt19937 random(seed);
    std::vector<Offer> offers;
    offers.reserve(batch);
    std::vector<std::size_t> hosts(batch);
    std::vector<std::string> texts(batch);
    const Name partition("");
    double took = 0;
    for (std::size_t round = 0; round < rounds; ++round) {
      for (std::size_t i = 0; i < batch; ++i) {
        hosts[i] = random() % (of_pools * names_a_pool);
        texts[i] = hosts_[hosts[i]];
      }
      const auto began = bench::thread_time();
      for (const auto& text : texts) {
        const auto server = Server::from(text, 443);
        Target target{*server};
        target.verify.peer = true;
        offers.push_back(client_.offer(partition, target));
      }
      took += bench::thread_time() - began - clock_cost_;
      for (std::size_t i = 0; i < batch; ++i) {
        if (!offers[i].session) continue;
        ++found_;
        keep(hosts[i]);
      }
      offers.clear();
    }
    looked_ += rounds * batch;
    return took / static_cast<double>(rounds * batch);
  }

  static double clock_cost() {
    constexpr int times = 1000;
    const auto began = bench::thread_time();
    for (int i = 1; i < times; ++i) bench::thread_time();
    return (bench::thread_time() - began) / times;
  }

  static ClientOptions options() {
    ClientOptions options;
    options.limits = {sessions, names_a_pool, names_a_pool};
    options.clock = now;
    return options;
  }

  void keep(std::size_t host) {
    const auto server = Server::from(hosts_[host], 443);
    Session session{
        SessionPtr(SSL_SESSION_new()), lineages_[host / names_a_pool], *server, "", now(),
        now() + seconds(3600)};
    session.version = TLS1_3_VERSION;
    session.has_ticket = true;
    client_.keep("", std::move(session));
  }

  Client client_;
  std::vector<std::string> hosts_;
  std::vector<std::shared_ptr<const Lineage>> lineages_;
  const double clock_cost_ = clock_cost();
  std::atomic<std::size_t> looked_{0}, found_{0};
};

}  // namespace

int main() {
  try {
    Lookup lookup;
    bench::Figures figures;
    std::vector<double> all, lately;
    for (int i = 0; i < 9; ++i) {
      for (const auto time : lookup.run(pools)) all.push_back(time);
      for (const auto time : lookup.run(pools_of_late)) lately.push_back(time);
    }
    bench::note(figures, "client_lookup_ns", all);
    bench::note(figures, "client_lookup_lately_ns", lately);
    const nlohmann::json printed = figures;
    std::puts(printed.dump(2).c_str());
    return 0;
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "client bench: %s\n", failure.what());
    return 1;
  }
}
