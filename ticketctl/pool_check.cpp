#include "pool_check.hpp"

#include <algorithm>
#include <optional>

#include "side_by_side.hpp"
#include "text.hpp"

namespace ticketctl {

bool CheckReport::all_resume() const {
  return std::ranges::all_of(
      pairs, [](const PairSight& pair) { return pair.verdict == Verdict::resumes; });
}

bool CheckReport::names_apart() const {
  return std::ranges::all_of(names, [](const NameSight& sight) {
    return sight.apart == Apart::yes || sight.apart == Apart::refused;
  });
}

std::string failure(const ServerSight& sight) {
  auto text = explain(verdict_of(sight.shake.outcome), sight.version);
  if (!sight.shake.detail.empty()) text += ": " + sight.shake.detail;
  return printable(text);
}

namespace {

using Progress = std::function<void(std::size_t, std::size_t)>;

// One version of TLS.
class Round {
 public:
  Round(const CheckPlan& plan, TlsVersion version)
      : plan_(plan), version_(version), client_(version, plan.client) {
    names_ = std::max<std::size_t>(plan.names.size(), 1);
    homes_.resize(plan.servers.size() * names_);
    offers_.resize(homes_.size() * homes_.size());
  }

  std::vector<Job> full_handshakes() {
    std::vector<Job> jobs;
    for (std::size_t home = 0; home < homes_.size(); ++home) {
      jobs.push_back({server_of(home), [this, home] { collect(home); }});
    }
    return jobs;
  }

  // Each session to every server, under its own name and under every other.
  std::vector<Job> offers() {
    std::vector<Job> jobs;
    for (std::size_t from = 0; from < homes_.size(); ++from) {
      for (std::size_t to = 0; to < homes_.size(); ++to) {
        if (homes_[from].sessions.empty() || !homes_[from].shake.ok() || !homes_[to].shake.ok()) {
          continue;
        }
        jobs.push_back({server_of(to), [this, from, to] { offer(from, to); }});
      }
    }
    return jobs;
  }

  void report_into(CheckReport& report) const {
    for (std::size_t home = 0; home < homes_.size(); ++home) {
      report.servers.push_back({server_of(home), name_of(home), version_, homes_[home].shake});
    }
    for (std::size_t from = 0; from < homes_.size(); ++from) {
      for (std::size_t to = 0; to < homes_.size(); ++to) {
        if (from % names_ == to % names_) report.pairs.push_back(pair(from, to));
        if (from % names_ != to % names_) report.names.push_back(crossed(from, to));
      }
    }
  }

 private:
  // A server under one name: index server * names + name.
  struct Home {
    Shake shake;
    std::vector<Session> sessions;
  };
  std::size_t server_of(std::size_t home) const { return home / names_; }
  const Endpoint& endpoint_of(std::size_t home) const { return plan_.servers[server_of(home)]; }

  std::string name_of(std::size_t home) const {
    if (!plan_.names.empty()) return plan_.names[home % names_];
    const auto& host = endpoint_of(home).host;
    return is_ip_address(host) ? "" : host;
  }

  // In TLS 1.3 a ticket is good for one offer, so that a client that behaves needs as
  // many as there are offers. Servers send one or two a handshake.
  void collect(std::size_t home) {
    const auto wanted = version_ == TlsVersion::v1_2 ? 1 : homes_.size();
    auto& [shake, sessions] = homes_[home];
    do {
      auto visit = client_.visit(endpoint_of(home), name_of(home), nullptr);
      const bool more = !visit.sessions.empty();
      // the newest: with a key that rotated meanwhile it is the one to compare
      if (sessions.empty() || visit.shake.ok()) shake = visit.shake;
      for (auto& session : visit.sessions) sessions.push_back(std::move(session));
      if (!more) break;
    } while (sessions.size() < wanted);
  }

  void offer(std::size_t from, std::size_t to) {
    const auto& sessions = homes_[from].sessions;
    // fewer than wanted when a later handshake failed: then one is shown twice
    auto* session = sessions[to % sessions.size()].get();
    // Under the name of where it is offered: its own for a pair, another when names
    // are crossed. Without --name a ticket stays with the name that it was made under.
    const auto name = name_of(plan_.names.empty() ? from : to);
    offers_[from * homes_.size() + to] = client_.visit(endpoint_of(to), name, session).shake;
  }

  const Shake* offered(std::size_t from, std::size_t to) const {
    const auto& shake = offers_[from * homes_.size() + to];
    return shake ? &*shake : nullptr;
  }

  bool resumed(std::size_t from, std::size_t to) const {
    const auto* shake = offered(from, to);
    return shake != nullptr && shake->ok() && shake->resumed;
  }

  PairSight pair(std::size_t from, std::size_t to) const {
    PairSight sight{
        .from = server_of(from), .to = server_of(to), .name = name_of(from), .version = version_};
    sight.verdict = judge({.source = homes_[from].shake,
                           .target = homes_[to].shake,
                           .offered = offered(from, to),
                           .other_way = resumed(to, from)},
                          version_);
    if (sight.verdict != Verdict::resumes) return sight;
    sight.by_id = homes_[from].shake.key_name.empty();
    sight.no_new_ticket = version_ == TlsVersion::v1_3 && offered(from, to)->tickets == 0;
    return sight;
  }

  NameSight crossed(std::size_t from, std::size_t to) const {
    const auto own_name = to - to % names_ + from % names_;
    return {server_of(from), server_of(to),
            name_of(from),   name_of(to),
            version_,        judge_apart(offered(from, to), resumed(from, own_name))};
  }

  const CheckPlan& plan_;
  TlsVersion version_;
  TlsClient client_;
  std::size_t names_ = 1;
  std::vector<Home> homes_;
  std::vector<std::optional<Shake>> offers_;
};

void append(std::vector<Job>& jobs, std::vector<Job> more) {
  for (auto& job : more) jobs.push_back(std::move(job));
}

}  // namespace

CheckReport check_pool(const CheckPlan& plan, const Progress& progress) {
  std::vector<std::unique_ptr<Round>> rounds;
  for (const auto version : plan.versions) rounds.push_back(std::make_unique<Round>(plan, version));

  std::vector<Job> first, second;
  for (auto& round : rounds) append(first, round->full_handshakes());
  run_side_by_side(first, progress);
  for (auto& round : rounds) append(second, round->offers());
  run_side_by_side(second, [&](std::size_t done, std::size_t of) {
    progress(first.size() + done, first.size() + of);
  });

  CheckReport report;
  for (const auto& round : rounds) round->report_into(report);
  return report;
}

}  // namespace ticketctl
