// Promises 3 and 12: keys that the test knows are looked for in the memory of
// every process and in every file; first found while they live.
#include "memory.hpp"

#include <dirent.h>
#include <doctest/doctest.h>

#include <algorithm>
#include <set>
#include <thread>

#include "feed/bundle.hpp"
#include "key_file.hpp"
#include "promises/fleet.hpp"
#include "ring/derive.hpp"
#include "state.hpp"
#include "state_key.hpp"

using faults::Hits;
using faults::Needles;
using promises::Fleet;
using promises::Tls;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

std::string text_of(ticket::BytesView bytes) { return std::string(ticket::as_text(bytes)); }

keyd::KeeperState state_of(const fs::path& authority) {
  const auto text = support::read_text(authority / "state/keyd.state");
  const auto bytes = ticket::as_bytes(text);
  const auto key =
      keyd::load_state_key((authority / "state.key").string(), *keyd::parse_state_head(bytes));
  return std::move(*keyd::open_state(key, bytes));
}

// Every secret that an epoch ever has: its own, and the keys of tickets made of
// it, as servers use them.
void add_epoch(Needles& needles, const std::string& pool, const ticket::ring::Epoch& epoch,
               ticket::BytesView secret) {
  const auto name = "epoch " + std::to_string(epoch.number);
  needles[name + " secret"] = text_of(secret);
  for (const char* context : {"a", "b", "secure"}) {
    std::array<std::byte, ticket::ring::key_material_size> stek;
    ticket::ring::derive_stek(secret, ticket::ring::purpose::openssl, pool, context, stek);
    const ticket::BytesView view(stek);
    needles[name + " " + context + " hmac"] = text_of(view.subspan(16, 32));
    needles[name + " " + context + " aes"] = text_of(view.subspan(48, 32));
    needles[name + " " + context + " name"] = text_of(view.last(16));
  }
}

struct Known {
  Needles needles;
  ticket::sys_seconds last_end;
};

Known epochs_of(const fs::path& authority) {
  Known known;
  const auto state = state_of(authority);
  const auto& pool = *state.pool("fleet");
  for (std::size_t i = 0; i < pool.epochs.size(); ++i) {
    if (pool.epochs[i].burned) continue;  // it has no secret any more
    add_epoch(known.needles, "fleet", pool.epochs[i], pool.secrets.expose().subspan(i * 32, 32));
    known.last_end = std::max(known.last_end, pool.epochs[i].opens_until);
  }
  return known;
}

// Every process of the fleet that lives, keyd's front too, by name.
std::vector<pid_t> processes(const fs::path& fleet) {
  std::set<pid_t> found;
  for (const auto& entry : fs::directory_iterator("/proc")) {
    const auto name = entry.path().filename().string();
    if (!std::ranges::all_of(name, [](unsigned char c) { return std::isdigit(c); })) continue;
    std::error_code error;
    const auto executable = fs::read_symlink(entry.path() / "exe", error).filename().string();
    if (executable != "keyd" && executable != "ticket-example-server") continue;
    const auto pid = static_cast<pid_t>(std::stoi(name));
    const bool ours = fs::read_symlink(entry.path() / "cwd", error) == fleet;
    if (ours) found.insert(pid);
  }
  return {found.begin(), found.end()};
}

Hits find_everywhere(const fs::path& fleet, const Needles& needles) {
  auto hits = faults::find_in_files(fleet, needles);
  for (const auto pid : processes(fleet)) {
    const auto more = faults::find_in_memory(pid, needles);
    hits.insert(hits.end(), more.begin(), more.end());
  }
  return hits;
}

std::string joined(const Hits& hits) {
  std::string text;
  for (const auto& hit : hits) text += hit + "\n";
  return text;
}

bool any(const Hits& hits, const std::string& what, const std::string& where) {
  return std::ranges::any_of(hits, [&](const std::string& hit) {
    return hit.find(what) != std::string::npos && hit.find(where) != std::string::npos;
  });
}

void wait_past(ticket::sys_seconds end) {
  std::this_thread::sleep_until(std::chrono::time_point_cast<std::chrono::system_clock::duration>(
                                    std::chrono::system_clock::time_point(end)) +
                                2500ms);
}

const promises::Times fast = {
    .rotate_every = "2s", .lifetime = "5s", .publish_ahead = "4s", .stretch = "5s"};

}  // namespace

TEST_SUITE("memory") {
  TEST_CASE("promise 3: a key past its end is in no process and no file, in idle servers too") {
    Fleet fleet(2, fast);
    const auto folder = fs::canonical(fleet.folder() / "fleet");
    // server 1 works, server 2 is idle from here on
    REQUIRE(fleet.connect(1, Tls::v1_3, "s").ok);
    const auto known = epochs_of(folder / "authority");
    REQUIRE(processes(folder).size() >= 6);  // keeper, front, two agents, two servers

    // found while it lives: else not finding it would prove nothing
    // (a look may meet a process that just moves them elsewhere, so there are several)
    Hits alive;
    const auto found = [&] {
      const auto now = find_everywhere(folder, known.needles);
      alive.insert(alive.end(), now.begin(), now.end());
      return any(alive, "secret", ".ring") && any(alive, "secret in /proc/", "") &&
             any(alive, "aes in /proc/", "") && any(alive, "hmac in /proc/", "");
    };
    CHECK_MESSAGE(support::wait_until(found, 3s), joined(alive));

    wait_past(known.last_end);
    const auto left = find_everywhere(folder, known.needles);
    CHECK_MESSAGE(left.empty(), joined(left));
  }

  TEST_CASE("promise 3: also when keyd is dead, and when the agent is") {
    Fleet fleet(2, fast);
    const auto folder = fs::canonical(fleet.folder() / "fleet");
    const auto known = epochs_of(folder / "authority");
    fleet.kill("keyd");
    fleet.kill("agent2");  // its ring file keeps the bytes: nobody is there to wipe them
    CHECK_FALSE(find_everywhere(folder, known.needles).empty());

    wait_past(known.last_end);
    const auto left = find_everywhere(folder, known.needles);
    const auto dead = fs::path("host2") / "fleet.ring";
    for (const auto& hit : left) {
      CHECK_MESSAGE(hit.find(dead.string()) != std::string::npos, hit);
    }
    fleet.start("agent2");
    const auto wiped = [&] { return find_everywhere(folder, known.needles).empty(); };
    CHECK(support::wait_until(wiped, 10s));
  }

  TEST_CASE("promise 12: no secret in a log, an answer, an error, a command line or a file") {
    Fleet fleet(2,
                {.rotate_every = "2s", .lifetime = "20s", .publish_ahead = "4s", .stretch = "20s"});
    const auto folder = fs::canonical(fleet.folder() / "fleet");
    const auto authority = folder / "authority";
    const auto ticketctl = [&](std::vector<std::string> arguments) {
      arguments.insert(arguments.begin(), support::build_root() / "ticketctl/ticketctl");
      arguments.insert(arguments.end(), {"--socket", authority / "keyd.sock"});
      return support::run(arguments).output;
    };
    // everything tells all that it can
    auto config = support::read_text(authority / "keyd.toml");
    config.replace(config.find("# log_level = \"info\""), 20, "log_level = \"debug\"");
    support::write_text(authority / "keyd.toml", config);
    fleet.send("keyd", SIGHUP);

    Needles canaries = epochs_of(authority).needles;
    for (const char* key : {"state.key", "authority.key"}) {
      canaries[key] = text_of(keyd::read_key_file(authority / key).expose());
    }
    const auto before = state_of(authority);
    canaries["content key"] = text_of(before.pools.at(0).content_key.expose());

    // down every path that complains
    std::string told;
    told += fleet.connect(1, Tls::v1_2, "s").output;
    told += ticketctl({"status"}) + ticketctl({"status", "--json"}) + ticketctl({"pools"});
    told += ticketctl({"rotate", "--now", "--pool", "fleet"});
    told += ticketctl(
        {"revoke", "--pool", "fleet", "--member", "host1", "--from", "1h ago", "--until", "now"});
    told += ticketctl({"member", "revoke", "nobody", "--pool", "fleet"});
    told += ticketctl({"audit", "verify"});
    support::write_text(folder / "torn.state",
                        support::read_text(authority / "state/keyd.state").substr(0, 400));
    auto broken = support::read_text(authority / "keyd.toml");
    broken.replace(broken.find("state/keyd.state"), 16, "../torn.state");
    support::write_text(authority / "broken.toml", broken);
    told += support::run({support::build_root() / "keyd/keyd", "authority", "--config",
                          authority / "broken.toml"})
                .output;
    broken.replace(broken.find("../torn.state"), 13, "state.key");
    support::write_text(authority / "broken.toml", broken);
    told += support::run({support::build_root() / "keyd/keyd", "authority", "--config",
                          authority / "broken.toml"})
                .output;
    fleet.kill("keyd");
    fleet.start("keyd");
    fleet.kill("agent1");
    fleet.start("agent1");
    told += ticketctl({"member", "revoke", "host2", "--pool", "fleet"});
    const auto after = epochs_of(authority);
    canaries.insert(after.needles.begin(), after.needles.end());
    std::this_thread::sleep_for(3s);

    for (const auto pid : processes(folder)) {
      const auto proc = fs::path("/proc") / std::to_string(pid);
      told += support::read_text(proc / "cmdline") + support::read_text(proc / "environ");
    }
    for (const auto& entry : fs::directory_iterator(folder / "log")) {
      told += support::read_text(entry.path());
    }
    CHECK(told.find("generation") != std::string::npos);
    CHECK(told.size() > 5000);
    const auto hits = faults::find_in_text(told, canaries, "what was told");
    CHECK_MESSAGE(hits.empty(), joined(hits));

    // in files, only where they belong
    for (const auto& hit : faults::find_in_files(folder, canaries)) {
      const bool belongs = hit.ends_with(".ring") ||
                           hit == "state.key in " + (authority / "state.key").string() ||
                           hit == "authority.key in " + (authority / "authority.key").string();
      CHECK_MESSAGE(belongs, hit);
    }
    CHECK(faults::find_in_text(support::read_text(authority / "state.key"), canaries, "x").size() ==
          1);
  }
}
