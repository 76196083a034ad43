#include "agent_metrics.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "exposition.hpp"
#include "feed_report.hpp"
#include "status_page.hpp"
#include "token_report.hpp"
#include "version.hpp"

namespace keyd {

using namespace ticket;
using ring::Counter;
using ring::EpochState;
using ring::RingState;

namespace {

// Why the agent refuses a bundle; others come from tickets alone.
constexpr Rejection bundle_refusals[] = {
    Rejection::malformed, Rejection::expired,      Rejection::forged,       Rejection::other_pool,
    Rejection::rollback,  Rejection::equivocation, Rejection::not_a_member, Rejection::bad_key};

std::int64_t unix_seconds(sys_seconds time) { return time.time_since_epoch().count(); }

EpochState shown_state(const ring::Epoch& epoch, const RingSight& sight, Moment now) {
  return epoch.number == sight.sealing_epoch ? EpochState::sealing : epoch.state(now);
}

// The end of what the ring has; 0 without epochs.
seconds remaining(const ring::Ring& ring, sys_seconds ring::Epoch::*end, sys_seconds now) {
  if (ring.epochs.empty()) return seconds(0);
  auto last = sys_seconds::min();
  for (const auto& epoch : ring.epochs) last = std::max(last, epoch.*end);
  return last - now;
}

template <class Value>
void write_each(Exposition& out, const AgentSight& sight, const char* name, const char* help,
                Value value) {
  out.gauge(name, help);
  for (const auto& pool : sight.pools) out.add(value(pool), {{"pool", pool.pool}});
}

void write_process(Exposition& out, const AgentSight& sight) {
  out.gauge("ticket_agent_build_info", "Always 1; the version is in its label.");
  out.add(1, {{"version", version}});
  out.gauge("ticket_agent_start_time_seconds", "When the agent was started, Unix time.");
  out.add(unix_seconds(sight.started));
  out.gauge("ticket_clock_apart_seconds",
            "How far the wall clock was set since the agent started.");
  out.add(sight.clock_apart.count());
}

void write_ring(Exposition& out, const AgentSight& sight, Moment now) {
  out.gauge("ticket_ring_state", "1 for the state that a ring is in, by the clock alone.");
  for (const auto& pool : sight.pools) {
    for (const auto state :
         {RingState::ok, RingState::stretched, RingState::stopped, RingState::none}) {
      out.add(pool.ring.state == state ? 1 : 0,
              {{"pool", pool.pool}, {"state", ring::to_text(state)}});
    }
  }
  write_each(out, sight, "ticket_ring_generation", "The generation that the ring file holds.",
             [](const PoolSight& pool) { return pool.ring.ring.generation; });
  write_each(out, sight, "ticket_ring_sealing_epoch", "The epoch that seals; 0 when none does.",
             [](const PoolSight& pool) { return pool.ring.sealing_epoch; });
  out.gauge("ticket_ring_epochs", "Epochs in the ring by their state.");
  for (const auto& pool : sight.pools) {
    for (const auto state : {EpochState::announced, EpochState::sealing, EpochState::opening}) {
      const auto count = std::ranges::count_if(pool.ring.ring.epochs, [&](const auto& epoch) {
        return shown_state(epoch, pool.ring, now) == state;
      });
      out.add(count, {{"pool", pool.pool}, {"state", ring::to_text(state)}});
    }
  }
  write_each(out, sight, "ticket_ring_seal_remaining_seconds",
             "Until the last key's time to seal is over; below 0 it stretches.",
             [now](const PoolSight& pool) {
               return remaining(pool.ring.ring, &ring::Epoch::seals_until, now.steady).count();
             });
  write_each(out, sight, "ticket_ring_open_remaining_seconds",
             "Until the last key stops opening tickets.", [now](const PoolSight& pool) {
               return remaining(pool.ring.ring, &ring::Epoch::opens_until, now.latest).count();
             });
  write_each(out, sight, "ticket_ring_heartbeat_timestamp_seconds",
             "When the agent last wrote the ring file; 0 = never.",
             [](const PoolSight& pool) { return unix_seconds(pool.ring.heartbeat); });
}

void write_keyd(Exposition& out, const AgentSight& sight) {
  out.gauge("ticket_keyd_contact_timestamp_seconds",
            "When a server of keyd last answered; 0 = not yet. A long poll lasts a minute.");
  for (const auto& pool : sight.pools) {
    for (const auto& server : pool.servers) {
      out.add(unix_seconds(server.last_answer), {{"pool", pool.pool}, {"server", server.server}});
    }
  }
  out.counter("ticket_keyd_connects_total", "Connections made to a server of keyd.");
  for (const auto& pool : sight.pools) {
    for (const auto& server : pool.servers) {
      out.add(server.connects, {{"pool", pool.pool}, {"server", server.server}});
    }
  }
  out.counter("ticket_keyd_failures_total",
              "Connections and requests that a server of keyd did not serve.");
  for (const auto& pool : sight.pools) {
    for (const auto& server : pool.servers) {
      out.add(server.failures, {{"pool", pool.pool}, {"server", server.server}});
    }
  }
  out.counter("ticket_bundles_refused_total", "Bundles that were not believed, by reason.");
  for (const auto& pool : sight.pools) {
    for (const auto why : bundle_refusals) {
      const auto found = pool.refusals.find(why);
      out.add(found == pool.refusals.end() ? 0 : found->second,
              {{"pool", pool.pool}, {"reason", to_text(why)}});
    }
  }
  write_each(out, sight, "ticket_enrolled", "1 when keyd seals to a key that this server holds.",
             [](const PoolSight& pool) { return pool.enrolled ? 1 : 0; });
  out.counter("ticket_enrolments_total", "Enrolments of a new sealing key, by result.");
  for (const auto& pool : sight.pools) {
    out.add(pool.enrolments, {{"pool", pool.pool}, {"result", "enrolled"}});
    out.add(pool.enrolments_refused, {{"pool", pool.pool}, {"result", "refused"}});
  }
}

constexpr auto last_ticket_reason = static_cast<unsigned>(Counter::name);

std::uint64_t count(const PoolSight& pool, Counter counter) {
  return pool.counts[static_cast<std::size_t>(counter)];
}

void write_tickets(Exposition& out, const AgentSight& sight) {
  out.counter("ticket_sealed_total", "Tickets sent by the servers of this host.");
  for (const auto& pool : sight.pools) out.add(count(pool, Counter::sealed), {{"pool", pool.pool}});
  out.counter("ticket_not_sealed_total", "Tickets not sent, because no key may seal.");
  for (const auto& pool : sight.pools) {
    out.add(count(pool, Counter::not_sealed), {{"pool", pool.pool}});
  }
  out.counter("ticket_resumed_total", "Sessions resumed, by the state of the key that opened.");
  for (const auto& pool : sight.pools) {
    out.add(count(pool, Counter::resumed_announced), {{"pool", pool.pool}, {"key", "announced"}});
    out.add(count(pool, Counter::resumed_sealing), {{"pool", pool.pool}, {"key", "sealing"}});
    out.add(count(pool, Counter::resumed_opening), {{"pool", pool.pool}, {"key", "opening"}});
  }
  out.counter("ticket_refused_total", "Tickets that were a full handshake instead, by reason.");
  for (const auto& pool : sight.pools) {
    for (auto i = static_cast<unsigned>(Counter::unknown_key); i <= last_ticket_reason; ++i) {
      const auto counter = static_cast<Counter>(i);
      out.add(count(pool, counter), {{"pool", pool.pool}, {"reason", ring::to_text(counter)}});
    }
  }
}

void write_tokens(Exposition& out, const AgentSight& sight) {
  constexpr std::string_view prefix = "token_";
  out.counter("ticket_tokens_total",
              "One-time tokens that the servers of this host decided on, by outcome.");
  for (const auto& pool : sight.pools) {
    for (auto i = last_ticket_reason + 1; i < ring::counter_count; ++i) {
      const auto counter = static_cast<Counter>(i);
      out.add(count(pool, counter),
              {{"pool", pool.pool}, {"outcome", ring::to_text(counter) + prefix.size()}});
    }
  }
}

std::string ring_text(const RingSight& sight) {
  if (sight.file != ring::RingFileState::ok) {
    return std::string("no ring: ") + ring::to_text(sight.file);
  }
  return fmt::format("generation {}, {}", sight.ring.generation, ring::to_text(sight.state));
}

std::vector<EpochReport> epochs_of(const RingSight& sight, Moment now) {
  std::vector<EpochReport> epochs;
  for (const auto& epoch : sight.ring.epochs) {
    epochs.push_back({epoch.number, ring::to_text(shown_state(epoch, sight, now)),
                      unix_seconds(epoch.made), unix_seconds(epoch.seals_from),
                      unix_seconds(epoch.seals_until), unix_seconds(epoch.opens_until)});
  }
  return epochs;
}

void add_alarm(StatusPage& page, const PoolSight& pool) {
  if (pool.ring.state == RingState::none) {
    page.alarm("no usable ring file (" + std::string(ring::to_text(pool.ring.file)) +
               "): no tickets are sent");
  }
  if (pool.ring.state == RingState::stretched) {
    page.alarm("nothing newer came: the last epoch is stretched");
  }
  if (pool.ring.state == RingState::stopped) {
    page.alarm("no epoch may seal: no tickets are sent");
  }
}

void add_tables(StatusPage& page, const PoolSight& pool) {
  std::vector<std::vector<std::string>> servers{
      {"keyd at", "last answer", "connections", "failures"}};
  for (const auto& server : pool.servers) {
    servers.push_back({server.server, utc_text(unix_seconds(server.last_answer)),
                       std::to_string(server.connects), std::to_string(server.failures)});
  }
  page.table(servers);
  std::vector<std::vector<std::string>> tickets{{"tickets and tokens", "count"}};
  for (unsigned i = 0; i < ring::counter_count; ++i) {
    const auto counter = static_cast<Counter>(i);
    tickets.push_back({ring::to_text(counter), std::to_string(count(pool, counter))});
  }
  page.table(tickets);
}

}  // namespace

RingSight look_at_ring(const std::filesystem::path& path, Moment now) {
  RingSight sight;
  const ring::RingReader reader(path);
  sight.file = reader.state();
  if (sight.file != ring::RingFileState::ok) return sight;
  sight.heartbeat = reader.heartbeat();
  const auto ring = reader.read();
  if (!ring) {
    sight.file = ring.error();
    return sight;
  }
  sight.ring = ring->without_secrets();
  const auto* sealing = ring::sealing_epoch(sight.ring.epochs, sight.ring.policy.stretch, now);
  sight.state = ring::state_of(sealing, now);
  sight.sealing_epoch = sealing == nullptr ? 0 : sealing->number;
  return sight;
}

std::string write_agent_metrics(const AgentSight& sight, Moment now) {
  Exposition out;
  write_process(out, sight);
  write_ring(out, sight, now);
  write_keyd(out, sight);
  write_tickets(out, sight);
  write_tokens(out, sight);
  write_feeds(out, sight.feeds);
  write_token_sights(out, sight.tokens);
  return out.take();
}

std::string agent_page(const AgentSight& sight, Moment now) {
  StatusPage page("keyd agent");
  for (const auto& pool : sight.pools) {
    page.heading("Pool " + pool.pool);
    add_alarm(page, pool);
    page.paragraph(ring_text(pool.ring) + "; the ring file was last written " +
                   utc_text(unix_seconds(pool.ring.heartbeat)) +
                   (pool.enrolled ? "" : "; not enrolled yet"));
    page.time_line(epochs_of(pool.ring, now), now.latest);
    add_tables(page, pool);
  }
  add_feeds(page, sight.feeds);
  add_token_sights(page, sight.tokens);
  return page.take(now.latest);
}

std::string agent_summary(const std::vector<PoolSight>& pools) {
  std::string text;
  for (const auto& pool : pools) {
    text += (text.empty() ? "" : "; ") + pool.pool + ": " + ring_text(pool.ring);
  }
  return text;
}

}  // namespace keyd
