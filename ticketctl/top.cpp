// ticketctl top: what the servers of a pool do with tickets, every second.
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <csignal>
#include <iostream>

#include "agent_metrics_address.hpp"
#include "command.hpp"
#include "http_get.hpp"
#include "side_by_side.hpp"
#include "top_text.hpp"

namespace ticketctl {

using namespace std::chrono_literals;

namespace {

constexpr auto interval = 1s;
constexpr auto patience = 2s;

// What one agent told last, and when.
struct Host {
  Endpoint address;
  std::string error = "not asked yet";
  std::map<std::string, PoolCounts> before, now;
  std::chrono::steady_clock::time_point before_at, now_at;

  void ask() {
    const auto text = http_get(address, "/metrics", patience);
    error = text ? "" : text.error();
    if (!text) return;
    const auto samples = parse_samples(*text);
    error = samples ? "" : "its /metrics has " + samples.error();
    if (!samples) return;
    auto counts = read_counts(*samples);
    if (counts.empty()) error = "no agent's metrics: is that the status listener of keyd?";
    // The agent makes its page at most twice a second: one that is asked too soon
    // gives the same again.
    before = now_at == decltype(now_at){} ? counts : now;
    before_at = now_at;
    now = std::move(counts);
    now_at = std::chrono::steady_clock::now();
  }

  void add_rows(std::vector<TopRow>& rows) const {
    if (!error.empty()) rows.push_back({.host = to_text(address), .error = error});
    if (!error.empty()) return;
    for (const auto& [pool, counts] : now) {
      const auto earlier = before.find(pool);
      rows.push_back({.host = to_text(address),
                      .error = {},
                      .pool = pool,
                      .counts = counts,
                      .rates = earlier == before.end()
                                   ? PoolRates{}
                                   : rates_between(earlier->second, counts, now_at - before_at)});
    }
  }
};

void ask_all(std::vector<Host>& hosts) {
  std::vector<Job> jobs;
  for (std::size_t i = 0; i < hosts.size(); ++i)
    jobs.push_back({i, [&host = hosts[i]] { host.ask(); }});
  run_side_by_side(jobs, [](std::size_t, std::size_t) {});
}

std::vector<TopRow> rows_of(const std::vector<Host>& hosts) {
  std::vector<TopRow> rows;
  for (const auto& host : hosts) host.add_rows(rows);
  std::ranges::stable_sort(rows, {}, &TopRow::pool);
  return rows;
}

// Ctrl-C and SIGTERM are taken at the one place that waits, so that the terminal is
// always given back.
class Interrupts {
 public:
  Interrupts() {
    sigemptyset(&ending_);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&ending_, signal);
    pthread_sigmask(SIG_BLOCK, &ending_, nullptr);
  }
  // False when it was interrupted meanwhile.
  bool sleep_until(std::chrono::steady_clock::time_point end) const {
    const auto left =
        std::max(end - std::chrono::steady_clock::now(), std::chrono::steady_clock::duration(0));
    const auto whole = std::chrono::floor<std::chrono::seconds>(left);
    const timespec time{whole.count(), std::chrono::nanoseconds(left - whole).count()};
    return sigtimedwait(&ending_, nullptr, &time) < 0;
  }

 private:
  sigset_t ending_;
};

// The screen while it is watched: the other one of the terminal, without a cursor and
// without wrapping long lines. A view is written over the one before and only then is the rest
// erased, all in one write: no flicker.
class Screen {
 public:
  explicit Screen(bool used) : used_(used) {
    if (used_) std::cout << "\x1b[?1049h\x1b[?25l\x1b[?7l" << std::flush;
  }
  ~Screen() {
    if (used_) std::cout << "\x1b[?7h\x1b[?25h\x1b[?1049l" << std::flush;
  }
  void show(std::vector<std::string> lines) const {
    if (used_) cut(lines);
    std::string view = used_ ? "\x1b[H" : "";
    for (const auto& line : lines) view += line + (used_ ? "\x1b[K\n" : "\n");
    std::cout << view << (used_ ? "\x1b[J" : "") << std::flush;
  }

 private:
  // More lines than the screen has would scroll it.
  static void cut(std::vector<std::string>& lines) {
    winsize size{};
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_row < 4) return;
    const auto most = static_cast<std::size_t>(size.ws_row - 1);
    if (lines.size() <= most) return;
    const auto left_out = lines.size() - most + 1;
    lines.resize(most - 1);
    lines.push_back("  and " + std::to_string(left_out) + " more");
  }

  bool used_;
};

std::vector<Host> hosts_of(const CommandLine& line) {
  std::vector<Host> hosts;
  for (const auto& text : line.texts("agents")) {
    const auto address = parse_endpoint(text);
    if (!address) throw bad_input(text + " is no status listener: HOST:PORT");
    hosts.push_back({.address = *address});
  }
  if (hosts.empty()) {
    hosts.push_back(
        {.address = agent_metrics_address({"agent.toml", "/etc/keyd-agent/agent.toml"})});
  }
  return hosts;
}

// 0 = without end.
unsigned count_of(const CommandLine& line) {
  if (line.flag("once")) return 1;
  if (!line.has("count")) return 0;
  const auto text = line.text("count");
  unsigned count = 0;
  const auto* end = text.data() + text.size();
  const auto [parsed_to, error] = std::from_chars(text.data(), end, count);
  if (error != std::errc() || parsed_to != end || count == 0) {
    throw bad_input("--count takes a number from 1, not " + text);
  }
  return count;
}

bool known(const std::vector<TopRow>& rows) {
  return std::ranges::any_of(rows, [](const TopRow& row) { return row.error.empty(); });
}

// Rates need two looks: the first view comes after a second.
int watch(std::vector<Host> hosts, unsigned count, bool json) {
  const Interrupts interrupts;
  const Screen screen(isatty(STDOUT_FILENO) == 1 && count == 0 && !json);
  bool any = false;
  ask_all(hosts);
  for (unsigned views = 0; count == 0 || views < count; ++views) {
    if (!interrupts.sleep_until(std::chrono::steady_clock::now() + interval)) break;
    ask_all(hosts);
    const auto rows = rows_of(hosts);
    any = known(rows);
    if (json) {
      std::cout << top_json(rows).dump(-1, ' ', true) << std::endl;
    } else {
      screen.show(top_lines(rows, terminal()));
    }
    if (!std::cout) break;  // nobody reads on
  }
  return any ? exit_ok : exit_unreachable;
}

}  // namespace

int show_top(int argc, const char* const* argv) {
  CommandLine line(
      "top [HOST:PORT]... [--once] [--count N] [--json]",
      "Shows for each pool and host, every second: tickets sealed and sessions resumed\n"
      "per second, what was refused and why, the epoch that seals, the ring's state.\n"
      "HOST:PORT are the agents' status listeners (`metrics` in agent.toml); without\n"
      "any: the one of ./agent.toml or /etc/keyd-agent/agent.toml.\n",
      "ticketctl top web1:9464 web2:9464");
  line.exit_codes = "0 done; 2 usage or bad input; 3 no agent answered at the end";
  line.add()("once", "Print one table and end")("count", "Print so many tables, a second apart",
                                                cxxopts::value<std::string>(), "N")(
      "json", "A line of JSON instead of each table");
  if (!line.parse_list(argc, argv, "agents")) return exit_ok;
  std::signal(SIGPIPE, SIG_IGN);
  return watch(hosts_of(line), count_of(line), line.flag("json"));
}

}  // namespace ticketctl
