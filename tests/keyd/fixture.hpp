// An authority without files, sockets or clock: a store in memory that can be
// told to fail or to wait, a publisher that writes down what it is told, and
// members with real certificates.
#pragma once

#include <doctest/doctest.h>
#include <spdlog/spdlog.h>

#include <nlohmann/json.hpp>

#include "../crypto/certificates.hpp"
#include "authority.hpp"
#include "crypto/digest.hpp"
#include "feed/bundle.hpp"
#include "wire/signed.hpp"

namespace test {

using namespace ticket;
using namespace std::chrono_literals;
using nlohmann::json;

inline const sys_seconds noon{seconds(1'790'000'000)};

inline keyd::StateKey state_key(std::uint8_t seed = 7) {
  keyd::StateKey key;
  std::ranges::fill(key.key.fill(), std::byte(seed));
  return key;
}

inline crypto::SignerSeed signer_seed() {
  crypto::SignerSeed seed;
  std::ranges::fill(seed.fill(), std::byte(9));
  return seed;
}

class MemoryStore : public keyd::StateStore {
 public:
  void load(std::function<void(Loaded)> done) override { done({blob, {}}); }

  void store(std::uint64_t expected, Bytes sealed, Stored done) override {
    expected_counters.push_back(expected);
    pending_ = {std::move(sealed), std::move(done)};
    if (!asynchronous) finish();
  }

  // What an asynchronous store does later.
  void finish() {
    auto [sealed, done] = std::move(pending_);
    pending_ = {};
    if (problem.empty()) blob = std::move(sealed);
    done(problem);
  }
  bool waiting() const { return pending_.second != nullptr; }

  keyd::KeeperState state() const { return std::move(*keyd::open_state(state_key(), *blob)); }

  std::optional<Bytes> blob;
  std::string problem;  // not empty: stores fail with it
  bool asynchronous = false;
  std::vector<std::uint64_t> expected_counters;

 private:
  std::pair<Bytes, Stored> pending_;
};

struct Recorder : keyd::Publisher {
  void publish(keyd::Publish generation) override { published.push_back(std::move(generation)); }
  void add_wrap(keyd::AddWrap wrap) override { wraps.push_back(std::move(wrap)); }
  void enrolled(keyd::Enrolled answer) override { answers.push_back(std::move(answer)); }
  void directory(keyd::Directory told) override { directories.push_back(std::move(told)); }
  void make_sentinel(keyd::MakeSentinel asked) override { sentinels.push_back(std::move(asked)); }

  std::vector<keyd::Publish> published;
  std::vector<keyd::AddWrap> wraps;
  std::vector<keyd::Enrolled> answers;
  std::vector<keyd::Directory> directories;
  std::vector<keyd::MakeSentinel> sentinels;
};

// The audit log in memory; can be told to fail.
struct MemoryAudit : keyd::AuditStore {
  std::string append(const keyd::AuditHead& audit) override {
    if (!problem.empty()) return problem;
    lines.insert(lines.end(), audit.unwritten.begin(), audit.unwritten.end());
    return {};
  }

  std::vector<std::string> lines;
  std::string problem;
};

// The chain of an audit log, checked as docs/formats.md says.
inline bool chained(const std::vector<std::string>& lines) {
  crypto::Sha256 before{};
  std::uint64_t n = 0;
  for (const auto& line : lines) {
    const auto parsed = json::parse(line);
    if (parsed.at("n") != ++n || parsed.at("before") != hex(before)) return false;
    before = crypto::sha256(as_bytes(line));
  }
  return true;
}

// A server of a pool: certificate, its key, a sealing key.
struct Server {
  Server(const test::Authority& ca, const std::string& name, const std::string& role,
         sys_seconds from = Wish().from)
      : key(p256_key()), certificate(ca.sign(key.get(), wish(name, role, from))) {}

  static Wish wish(const std::string& name, const std::string& role, sys_seconds from) {
    Wish wish;
    wish.name = name;
    wish.from = from;
    if (!role.empty()) wish.extensions.push_back({NID_subject_alt_name, "URI:" + role});
    return wish;
  }

  keyd::Enrol enrol(const std::string& pool, sys_seconds time) const {
    const auto sealing_public = crypto::box_public(sealing_key);
    const auto message = wire::enrol_message(crypto::sha256(crypto::signer_public(signer_seed())),
                                             pool, sealing_public, time);
    return {1,
            pool,
            pem_of(certificate.get()),
            base64url(sealing_public),
            time.time_since_epoch().count(),
            base64url(crypto::sign_with(key.get(), message)),
            "192.0.2.1 port 1000"};
  }

  PrivateKey key;
  Certificate certificate;
  crypto::BoxSecret sealing_key = crypto::BoxSecret::random();
};

inline keyd::PoolSetup setup(const test::Authority& ca, const std::string& name = "web",
                             ring::Policy policy = {}) {
  keyd::PoolSetup setup;
  setup.config.name = name;
  setup.config.policy = policy;
  setup.members_ca = pem_of(ca.certificate.get());
  return setup;
}

// One authority with the pool "web", begun at noon.
struct House {
  explicit House(std::vector<keyd::PoolSetup> pools = {}) {
    spdlog::set_level(spdlog::level::off);
    if (pools.empty()) pools.push_back(setup(ca));
    authority = begin({});
    authority->configure(std::move(pools), now);
  }

  std::unique_ptr<keyd::Authority> begin(keyd::KeeperState state) {
    return std::make_unique<keyd::Authority>(keyd::AuthorityKeys{signer_seed(), state_key()},
                                             std::move(state), store, audit, said);
  }

  // A keeper that died and was started again on what is stored.
  void restart(std::vector<keyd::PoolSetup> pools = {}) {
    if (pools.empty()) pools.push_back(setup(ca));
    authority = begin(store.blob ? store.state() : keyd::KeeperState{});
    authority->configure(std::move(pools), now);
  }

  void tend() { authority->tend(now); }
  // What the admin socket answers to an order.
  json order(keyd::Order order) {
    json answer;
    authority->order(std::move(order), [&](const json& told) { answer = told; });
    tend();
    return answer;
  }
  // Turns the clock on, tending whenever the authority wants to be.
  void live(seconds time) {
    const auto end = now + time;
    tend();
    while (authority->next(now) <= end) {
      now = std::max(now + 1s, authority->next(now));
      tend();
    }
    now = end;
    tend();
  }
  keyd::Enrolled enrol(const Server& server, const std::string& pool = "web") {
    authority->enrol(server.enrol(pool, now));
    tend();
    return said.answers.back();
  }
  void seen(const std::string& member, std::uint64_t applied) {
    authority->seen({{"web", member, applied, "192.0.2.1"}}, now);
    tend();
  }
  json pool_status() const { return json(authority->status("web", now)).at("pools").at(0); }
  feed::Manifest manifest(std::size_t which) const {
    return *feed::parse_manifest(feed::parse_bundle(said.published.at(which).bundle)->manifest);
  }
  feed::Manifest newest() const { return manifest(said.published.size() - 1); }
  const keyd::Publish& last() const { return said.published.back(); }

  test::Authority ca;
  MemoryStore store;
  MemoryAudit audit;
  Recorder said;
  sys_seconds now = noon;
  std::unique_ptr<keyd::Authority> authority;
};

// Opens the last published generation with the server's sealing key.
inline Checked<feed::Opened> open_last(const House& house, const Server& server) {
  const auto bundle = *feed::parse_bundle(house.last().bundle);
  std::string wrap;
  for (const auto& published : house.last().wraps) {
    if (published.member == crypto::subject(server.certificate.get()).substr(3))
      wrap = published.wrap;
  }
  for (const auto& added : house.said.wraps) {
    if (added.generation == house.last().generation &&
        added.wrap.member == crypto::subject(server.certificate.get()).substr(3)) {
      wrap = added.wrap.wrap;
    }
  }
  return feed::open_bundle(bundle, *from_base64url(wrap), server.sealing_key,
                           {"web", crypto::signer_public(signer_seed()), {}}, house.now);
}

}  // namespace test
