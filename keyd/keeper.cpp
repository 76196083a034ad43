#include "keeper.hpp"

#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <nlohmann/json.hpp>
#include <system_error>

#include "admin.hpp"
#include "atomic_file.hpp"
#include "authority.hpp"
#include "client_manifest.hpp"
#include "config_tokens.hpp"
#include "file_store.hpp"
#include "front_process.hpp"
#include "key_file.hpp"
#include "key_maker.hpp"
#include "log.hpp"
#include "process.hpp"
#include "seccomp.hpp"
#include "state_key.hpp"

namespace keyd {

using namespace ticket;
using nlohmann::json;
using ring::Fd;

namespace {

constexpr std::size_t largest_ca = std::size_t{1} << 20;

// Everything that a configuration means, its CA files read.
struct Plan {
  AuthorityConfig config;
  Setup front;
  std::vector<PoolSetup> pools;
};

std::string read_ca(const std::filesystem::path& path) {
  const auto content = read_file(path, largest_ca);
  if (!content) throw ConfigError(path.string() + ": no such file");
  return *content;
}

Plan read_plan(const std::filesystem::path& file) {
  Plan plan{read_authority_config(file), {}, {}};
  const auto& config = plan.config;
  plan.front = {config.listen, config.certificate, config.key, {}, config.log_level, {}};
  if (config.metrics) plan.front.metrics = {*config.metrics};
  plan.front.log_format = config.log_format;
  plan.front.clients = client_pools(config.pools);
  plan.front.client_lifetime = config.client_lifetime.count();
  plan.front.issuers = issuer_setups(config.pools);
  for (const auto& pool : config.pools) {
    auto ca = read_ca(pool.members_ca);
    if (config.clients_ca.empty()) plan.front.clients_ca += ca + "\n";
    plan.front.pools.push_back({pool.name, ca, pool.rules});
    plan.pools.push_back({pool, std::move(ca)});
  }
  if (!config.clients_ca.empty()) plan.front.clients_ca = read_ca(config.clients_ca);
  return plan;
}

// What a running keeper cannot take over.
std::string fixed_settings(const AuthorityConfig& config) {
  std::string text = config.state.string() + "|" + config.audit.string() + "|" + config.state_key +
                     "|" + config.admin.string() + "|" + config.signing_key.string() + "|" +
                     config.seccomp;
  for (const auto& address : config.listen) text += "|" + address.host + ":" + address.port;
  for (const auto& user : config.admin_users) text += "|" + user;
  return text;
}

Fd open_signals() {
  sigset_t wanted;
  sigemptyset(&wanted);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&wanted, signal);
  ::sigprocmask(SIG_BLOCK, &wanted, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  Fd signals(::signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!signals) throw std::system_error(errno, std::generic_category(), "signalfd");
  return signals;
}

struct Secrets {
  AuthorityKeys keys;
  KeeperState state;
};

Secrets read_secrets(const AuthorityConfig& config, StateStore& store) {
  StateStore::Loaded loaded;
  store.load([&](StateStore::Loaded found) { loaded = std::move(found); });
  if (!loaded.problem.empty()) throw std::runtime_error(loaded.problem);
  std::optional<StateHead> head;
  if (loaded.blob) {
    const auto parsed = parse_state_head(*loaded.blob);
    if (!parsed && parsed.error() == Rejection::unsupported) {
      throw std::runtime_error(config.state.string() +
                               ": written by another version of keyd, whose state this one does "
                               "not read");
    }
    if (!parsed) {
      throw std::runtime_error(config.state.string() +
                               ": this is no state file, or a torn one; put a copy in its place");
    }
    head = *parsed;
  }
  Secrets secrets{{read_key_file(config.signing_key), load_state_key(config.state_key, head)}, {}};
  if (!loaded.blob) {
    spdlog::warn("no state at {}: beginning anew", config.state.string());
    return secrets;
  }
  auto opened = open_state(secrets.keys.state, *loaded.blob);
  if (!opened) {
    throw std::runtime_error(config.state.string() + ": " +
                             (opened.error() == Rejection::forged
                                  ? "sealed under another key than state_key, or altered"
                                  : "written by another version of keyd"));
  }
  secrets.state = std::move(*opened);
  const auto missing = go_on_from(secrets.state, loaded.newest, SystemClock().now().steady);
  if (secrets.state.restored) {
    spdlog::warn("{} is an older copy{}: a new generation is made, epoch numbers are skipped",
                 config.state.string(),
                 missing ? fmt::format(", {} changes are missing", *missing)
                         : ", or was brought here: its .lock file is not beside it");
  }
  return secrets;
}

// One line for systemctl status.
std::string summary(const Report& report) {
  std::string text;
  for (const auto& pool : report.pools) {
    text += fmt::format("{}{}: generation {}, {} of {} members run on it", text.empty() ? "" : "; ",
                        pool.name, pool.generation, pool.current, pool.enrolled);
    for (const auto& alarm : pool.alarms) text += ", ALARM: " + alarm.text;
  }
  return text;
}

class Keeper : public Publisher {
 public:
  Keeper(Plan plan, std::filesystem::path port_file);
  int run();

 private:
  void publish(Publish generation) override { front_.send(generation); }
  void add_wrap(AddWrap wrap) override { front_.send(wrap); }
  void enrolled(Enrolled answer) override { front_.send(answer); }
  void directory(Directory directory) override { front_.send(directory); }
  void make_sentinel(MakeSentinel sentinel) override { front_.send(sentinel); }

  void handle_signals();
  void reload();
  void heard(const ToKeeper& message);
  void set_up(const SetUp& answer);
  void take_over(const SetUp& answer);
  void announce();
  void request(std::uint64_t connection, uid_t by, const json& request);
  void order(std::uint64_t connection, Order order);
  int poll_timeout() const;
  int schedule_timeout() const;
  void turn();
  void report(Moment now);
  void ask_front();

  Fd signals_ = open_signals();
  FrontProcess front_;  // before any secret is read
  KeyMaker key_maker_;  // before system calls are restricted
  Plan plan_;
  std::filesystem::path port_file_;
  FileStore store_;
  AuditFile audit_;
  Authority authority_;
  AdminSocket admin_;
  Notifier notifier_;
  SystemClock clock_;
  std::unique_ptr<Plan> pending_;  // sent to the front, not answered yet
  bool reload_again_ = false;      // SIGHUP came meanwhile
  std::optional<Report> reported_;
  sys_seconds reported_at_;
  std::uint64_t pings_ = 0;
  std::chrono::steady_clock::time_point next_ping_{};
  std::vector<std::string> endpoints_;
  bool announced_ = false;
  bool stopping_ = false;
};

// The secrets die with the statement that hands them on.
Authority make_authority(const AuthorityConfig& config, StateStore& store, AuditStore& audit,
                         Publisher& publisher) {
  auto secrets = read_secrets(config, store);
  return {std::move(secrets.keys), std::move(secrets.state), store, audit, publisher};
}

Keeper::Keeper(Plan plan, std::filesystem::path port_file)
    : plan_(std::move(plan)),
      port_file_(std::move(port_file)),
      store_(plan_.config.state),
      audit_(plan_.config.audit),
      authority_(make_authority(plan_.config, store_, audit_, *this)),
      admin_(plan_.config.admin, admin_user_ids(plan_.config.admin_users),
             [this](std::uint64_t connection, uid_t by, const json& asked) {
               request(connection, by, asked);
             }) {
  if (const auto problem = lock_memory()) spdlog::warn("{}", *problem);
  restrict_system_calls(plan_.config.seccomp);
}

int Keeper::run() {
  front_.send(plan_.front);
  pending_ = std::make_unique<Plan>(plan_);
  try {
    while (!stopping_) turn();
  } catch (const ChannelError& problem) {
    spdlog::error("{}", problem.what());
    return 1;
  }
  notifier_.stopping();
  front_.send(Stop{});
  spdlog::info("stopped");
  return 0;
}

void Keeper::turn() {
  std::vector<pollfd> polled{{signals_.get(), POLLIN, 0}, front_.interest(), key_maker_.interest()};
  admin_.add_interests(polled);
  if (::poll(polled.data(), polled.size(), poll_timeout()) < 0 && errno != EINTR) {
    throw std::system_error(errno, std::generic_category(), "poll");
  }
  if (polled[0].revents != 0) handle_signals();
  if (polled[1].revents != 0) {
    for (const auto& message : front_.handle(polled[1].revents)) heard(message);
  }
  admin_.handle(polled, clock_.now().steady);
  const auto now = clock_.now();
  if (auto keys = key_maker_.take(); !keys.empty()) authority_.add_keys(std::move(keys), now);
  ask_front();
  if (endpoints_.empty()) return;
  if (authority_.next(now) <= now.steady) authority_.tend(now);
  key_maker_.want(authority_.keys_wanted());
  if (!announced_) announce();
  log_refusal_sums(now.steady);
  report(now);
}

// Without a front that answers, keyd serves nobody: systemd is then told nothing,
// and begins anew.
void Keeper::ask_front() {
  const auto every = notifier_.alive_every();
  const auto now = std::chrono::steady_clock::now();
  if (!every || now < next_ping_) return;
  next_ping_ = now + *every;
  front_.send(Ping{++pings_});
}

// To those who watch, when it has changed and at most once a second. Also before keyd is
// ready: the alarms say why it is not.
void Keeper::report(Moment now) {
  const bool watched = plan_.config.metrics || notifier_.heard();
  if (!watched || reported_at_ == now.steady) return;
  reported_at_ = now.steady;
  auto report = authority_.report(now);
  notifier_.status(summary(report));
  if (!plan_.config.metrics || report == reported_) return;
  front_.send(report);
  reported_ = std::move(report);
}

int Keeper::poll_timeout() const {
  const auto every = notifier_.alive_every();
  const auto schedule = schedule_timeout();
  if (!every) return schedule;
  const auto ping = static_cast<int>(every->count());
  return schedule < 0 ? ping : std::min(schedule, ping);
}

// Near the time it looks often: the clock counts whole seconds.
int Keeper::schedule_timeout() const {
  if (endpoints_.empty()) return -1;
  const auto moment = clock_.now();
  const auto now = moment.steady;
  const auto next = authority_.next(moment);
  if (next <= now) return 0;
  if (next <= now + seconds(2)) return 100;
  if (plan_.config.metrics) return 1000;
  return static_cast<int>(std::min<std::int64_t>((next - now).count() - 1, 30)) * 1000;
}

void Keeper::handle_signals() {
  signalfd_siginfo signal{};
  while (::read(signals_.get(), &signal, sizeof signal) == sizeof signal) {
    if (signal.ssi_signo == SIGHUP) {
      reload();
    } else {
      stopping_ = true;
    }
  }
}

void Keeper::reload() {
  if (pending_) {  // the front has not answered yet: after that, once more
    reload_again_ = true;
    return;
  }
  notifier_.reloading();
  try {
    auto plan = read_plan(plan_.config.file);
    if (fixed_settings(plan.config) != fixed_settings(plan_.config)) {
      spdlog::warn(
          "listen, state, audit, state_key, signing_key, admin, admin_users and seccomp are "
          "taken over at the next start only");
    }
    front_.send(plan.front);
    pending_ = std::make_unique<Plan>(std::move(plan));
  } catch (const ChannelError&) {
    throw;
  } catch (const std::exception& problem) {
    spdlog::error("the configuration stays as it was: {}", problem.what());
    notifier_.ready();
  }
}

void Keeper::heard(const ToKeeper& message) {
  if (const auto* answer = std::get_if<SetUp>(&message)) return set_up(*answer);
  if (const auto* request = std::get_if<Enrol>(&message)) return authority_.enrol(*request);
  // Both loops turn: this one read it, the front's wrote it.
  if (const auto* pong = std::get_if<Pong>(&message)) {
    if (pong->number <= pings_) notifier_.alive();  // late ones too: it lives
    return;
  }
  if (const auto* seen = std::get_if<SeenList>(&message)) {
    return authority_.seen(seen->members, clock_.now());
  }
  if (const auto* issue = std::get_if<Issue>(&message)) {
    return front_.send(authority_.issue(*issue, clock_.now()));
  }
  if (const auto* made = std::get_if<SentinelMade>(&message)) {
    return authority_.sentinel_made(*made, clock_.now());
  }
  authority_.record_lost(std::get<RecordLost>(message), clock_.now());
}

void Keeper::set_up(const SetUp& answer) {
  take_over(answer);
  if (std::exchange(reload_again_, false)) reload();
}

void Keeper::take_over(const SetUp& answer) {
  const auto plan = std::move(pending_);
  if (!plan) throw ChannelError("the front answers what it was not asked");
  const bool first = endpoints_.empty();
  if (!answer.error.empty() && first) throw ChannelError(answer.error);
  if (!answer.error.empty()) {
    spdlog::error("the configuration stays as it was: {}", answer.error);
    return notifier_.ready();
  }
  if (first) endpoints_ = answer.endpoints;
  plan_ = std::move(*plan);
  set_log_level(plan_.config.log_level);
  set_log_format(plan_.config.log_format);
  reported_.reset();
  authority_.configure(plan_.pools, clock_.now());
  if (first) return;
  spdlog::info("the configuration was taken over");
  notifier_.ready();
}

// Once what was due at the start is done, or cannot be and some pool is served all the same:
// a keyd that waited for every pool would be ended by systemd, again and again.
void Keeper::announce() {
  if (!authority_.ready()) return;
  announced_ = true;
  if (!port_file_.empty()) {
    const auto& endpoint = endpoints_.front();
    const auto port = endpoint.substr(endpoint.rfind(':') + 1) + "\n";
    write_atomically(port_file_, as_bytes(port), 0644);
  }
  spdlog::info("ready: listening on {}", fmt::join(endpoints_, ", "));
  notifier_.ready();
}

void Keeper::request(std::uint64_t connection, uid_t by, const json& asked) {
  const auto command = asked.value("command", std::string());
  const auto now = clock_.now();
  if (command == "pools") return admin_.answer(connection, authority_.pools(now));
  if (command == "status") {
    return admin_.answer(connection, authority_.status(asked.value("pool", std::string()), now));
  }
  if (command == "issuer-status") {
    return admin_.answer(connection,
                         authority_.issuer_status(asked.value("pool", std::string()), now));
  }
  if (command == "audit") {
    auto answer = authority_.audit();
    answer["file"] = audit_.path().string();
    return admin_.answer(connection, answer);
  }
  if (command == "client-manifest") {
    return admin_.answer(connection,
                         tell_client_manifest(plan_.config, asked.value("pool", std::string()),
                                              now.latest + plan_.config.client_lifetime));
  }
  auto parsed = parse_order(asked);
  if (!parsed) {
    return admin_.answer(connection, {{"ok", false}, {"error", parsed.error()}});
  }
  parsed->by = by;
  order(connection, *std::move(parsed));
}

void Keeper::order(std::uint64_t connection, Order order) {
  if (order.kind == Order::Kind::accept_clock) {
    const auto now = clock_.now();
    const auto why = authority_.clock_refusal(now.apart, now.steady + now.apart);
    if (!why.empty()) return admin_.answer(connection, {{"ok", false}, {"error", why}});
    order.shift = now.apart;
    clock_.anchor();
    front_.send(ClockAccepted{});
  }
  authority_.order(std::move(order),
                   [this, connection](const json& answer) { admin_.answer(connection, answer); });
}

}  // namespace

int run_authority(const std::filesystem::path& config_file,
                  const std::filesystem::path& port_file) {
  harden_process();
  start_log("keeper", "info");
  try {
    auto plan = read_plan(config_file);
    set_log_level(plan.config.log_level);
    set_log_format(plan.config.log_format);
    return Keeper(std::move(plan), port_file).run();
  } catch (const ConfigError& problem) {
    spdlog::error("{}", problem.what());
    return 2;
  } catch (const std::exception& problem) {
    spdlog::error("{}", problem.what());
    return 1;
  }
}

}  // namespace keyd
