// Those who watch keyd and its agent: metrics, logs and systemd, on real
// processes.
#include <sstream>
#include <thread>

#include "key_file.hpp"
#include "keyd_process.hpp"
#include "ring/counters.hpp"
#include "support/exposition.hpp"
#include "support/rings.hpp"

using namespace test;
using Families = std::map<std::string, support::Family>;

namespace {

// The last "metrics: http://ADDRESS/metrics" that a process logged; "" = none.
std::string watched_at(const Process& process) {
  const auto log = process.output();
  const auto at = log.rfind("metrics: http://");
  if (at == std::string::npos) return {};
  const auto from = at + std::strlen("metrics: http://");
  return log.substr(from, log.find('/', from) - from);
}

std::string curl(const std::vector<std::string>& arguments) {
  std::vector<std::string> call{"curl", "-s", "-m", "10"};
  call.insert(call.end(), arguments.begin(), arguments.end());
  return support::run(call).output;
}

std::string code_of(const std::vector<std::string>& arguments) {
  auto call = arguments;
  call.insert(call.end(), {"-o", "/dev/null", "-w", "%{http_code}"});
  return curl(call);
}

Families scrape(const std::string& address) {
  return support::read_exposition(curl({"http://" + address + "/metrics"}));
}

double value(const Families& families, const std::string& name, const std::string& labels = "") {
  return families.at(name).samples.at(labels);
}

ring::Fd connect_to(const std::string& address) {
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  to.sin_port =
      htons(static_cast<std::uint16_t>(std::stoi(address.substr(address.rfind(':') + 1))));
  ring::Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  REQUIRE(::connect(socket.get(), reinterpret_cast<sockaddr*>(&to), sizeof to) == 0);
  return socket;
}

// A member's certificate and agent.toml for the pool web of a keyd at `server`.
void configure_agent(const Folder& folder, const std::string& server, const std::string& more) {
  folder.write("agent.toml",
               "[agent]\nservers = [\"" + server + "\"]\nca = \"ca.pem\"\nauthority_key = \"" +
                   base64url(crypto::signer_public(signer_seed())) +
                   "\"\nstate_dir = \"agent-state\"\n" + more +
                   "[[pool]]\nname = \"web\"\ncertificate = \"web1.pem\"\nkey = \"web1.key\"\n"
                   "ring = \"ring/web.ring\"\n");
}

Process start_agent(const Folder& folder, const support::ProcessOptions& options = {}) {
  return Process({(support::build_root() / "keyd/keyd").string(), "agent", "--config",
                  (folder / "agent.toml").string()},
                 options);
}

// The socket of a service manager, and what came to it.
class Manager {
 public:
  explicit Manager(const std::filesystem::path& path)
      : socket_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)), path_(path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strcpy(address.sun_path, path.c_str());
    REQUIRE(::bind(socket_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  }

  // What systemd sets for WatchdogSec=0.6.
  support::ProcessOptions environment() const {
    return {{{"NOTIFY_SOCKET", path_.string()}, {"WATCHDOG_USEC", "600000"}}, {}, {}};
  }

  // How many messages that begin so have come since the last call of forget().
  std::size_t heard(const std::string& beginning) {
    char buffer[4096];
    for (ssize_t size = 0; (size = ::recv(socket_.get(), buffer, sizeof buffer, 0)) > 0;) {
      messages_.emplace_back(buffer, static_cast<std::size_t>(size));
    }
    return static_cast<std::size_t>(std::ranges::count_if(
        messages_, [&](const std::string& text) { return text.starts_with(beginning); }));
  }
  bool hears(const std::string& beginning, std::size_t times = 1) {
    return support::wait_until([&] { return heard(beginning) >= times; }, 60s);
  }
  void forget() {
    heard("");
    messages_.clear();
  }

 private:
  ring::Fd socket_;
  std::filesystem::path path_;
  std::vector<std::string> messages_;
};

}  // namespace

TEST_SUITE("those who watch") {
  TEST_CASE("keyd's metrics tell pools, refusals and members, and its page shows them") {
    const Folder folder;
    folder.configure("", "metrics = \"127.0.0.1:0\"\n");
    Keyd keyd(folder);
    REQUIRE_MESSAGE(keyd.serves(), keyd.process.output());
    REQUIRE(keyd.says("metrics: http://127.0.0.1:"));
    const auto address = watched_at(keyd.process);
    REQUIRE(support::wait_until(
        [&] { return !scrape(address).at("keyd_generation").samples.empty(); }, 10s));

    CHECK(status_of(keyd.ask("/v1/pools/web/bundle", "web1")) == "200");
    CHECK(status_of(keyd.ask("/v1/pools/web/bundle", "mail1")) == "403");
    CHECK(status_of(keyd.ask("/v1/pools/web/bundle", "spy")) == "403");
    CHECK(status_of(keyd.ask("/v1/dance", "web1")) == "404");
    CHECK(status_of(keyd.ask("/v1/pools/web/bundle", "")) == "000");
    CHECK(status_of(keyd.ask("/v1/pools/web/bundle", "web1", {"--tls-max", "1.2"})) == "000");

    REQUIRE(support::wait_until(
        [&] {
          return value(scrape(address), "keyd_connections_refused_total", "{reason=\"tls\"}") == 1;
        },
        10s));
    const auto families = scrape(address);
    const auto status = keyd.order({{"command", "status"}, {"pool", "web"}}).at("pools").at(0);
    CHECK(value(families, "keyd_generation", "{pool=\"web\"}") ==
          status.at("generation").get<double>());
    CHECK(value(families, "keyd_epochs", "{pool=\"web\",state=\"sealing\"}") == 1);
    CHECK(value(families, "keyd_bundles_served_total", "{pool=\"web\"}") == 1);
    CHECK(value(families, "keyd_requests_refused_total", "{reason=\"other_pool\"}") == 1);
    CHECK(value(families, "keyd_requests_refused_total", "{reason=\"untrusted\"}") == 1);
    CHECK(value(families, "keyd_requests_refused_total", "{reason=\"no_such_path\"}") == 1);
    CHECK(value(families, "keyd_connections_refused_total", "{reason=\"certificate\"}") == 1);
    CHECK(value(families, "keyd_alarm", "{pool=\"web\",kind=\"stopped\"}") == 0);

    const auto page = curl({"http://" + address + "/"});
    CHECK(page.find("Pool web") != std::string::npos);
    CHECK(page.find("<svg") != std::string::npos);
    CHECK(page.find("<script") == std::string::npos);
  }

  TEST_CASE("the metrics listener answers what is asked of it and nothing else") {
    const Folder folder;
    folder.configure("", "metrics = \"127.0.0.1:0\"\n");
    Keyd keyd(folder);
    REQUIRE(keyd.says("metrics: http://127.0.0.1:"));
    const auto address = watched_at(keyd.process);
    const auto url = "http://" + address;

    CHECK(code_of({url + "/metrics"}) == "200");
    CHECK(code_of({url + "/metrics?x=1"}) == "200");
    CHECK(code_of({url + "/metrics/../v1/pools/web/bundle"}) == "404");
    CHECK(code_of({url + "/v1/pools/web/bundle"}) == "404");
    CHECK(code_of({"-X", "POST", url + "/metrics"}) == "405");
    CHECK(code_of({"-d", "x=1", url + "/metrics"}) == "400");  // it takes no body
    CHECK(code_of({"-H", "X: " + std::string(8000, 'x'), url + "/metrics"}) == "400");
    const auto head = curl({"-I", url + "/"});
    CHECK(head.find("200 OK") != std::string::npos);
    CHECK(head.find("Content-Security-Policy: default-src 'none'") != std::string::npos);
    CHECK(head.find("Content-Length: 0") == std::string::npos);
    CHECK(curl({"-I", url + "/metrics"}).find("text/plain; version=0.0.4") != std::string::npos);
  }

  TEST_CASE("who dribbles at the metrics listener is cut off, and shuts nobody out") {
    const Folder folder;
    folder.configure("", "metrics = \"127.0.0.1:0\"\n");
    Keyd keyd(folder);
    REQUIRE(keyd.says("metrics: http://127.0.0.1:"));
    const auto address = watched_at(keyd.process);
    const auto begun = std::chrono::steady_clock::now();

    std::vector<ring::Fd> dribblers;
    for (int i = 0; i < 200; ++i) {
      dribblers.push_back(connect_to(address));
      REQUIRE(::send(dribblers.back().get(), "GET /", 5, MSG_NOSIGNAL) == 5);
    }

    CHECK(code_of({"http://" + address + "/metrics"}) == "200");
    char byte = 0;
    CHECK(::recv(dribblers.front().get(), &byte, 1, 0) <= 0);  // the oldest went at once
    CHECK(std::chrono::steady_clock::now() - begun < 4s);
    CHECK(::recv(dribblers.back().get(), &byte, 1, 0) <= 0);  // the newest when its time was over
    CHECK(std::chrono::steady_clock::now() - begun < 8s);
  }

  TEST_CASE("SIGHUP moves the metrics listener, or leaves everything as it was") {
    const Folder folder;
    folder.configure("");
    Keyd keyd(folder);
    REQUIRE_MESSAGE(keyd.serves(), keyd.process.output());
    CHECK(watched_at(keyd.process).empty());  // off by default

    const auto port = std::to_string(support::unused_port());
    folder.configure("", "metrics = \"127.0.0.1:" + port + "\"\n");
    keyd.process.send(SIGHUP);
    REQUIRE(keyd.says("metrics: http://127.0.0.1:" + port));
    CHECK(code_of({"http://127.0.0.1:" + port + "/"}) == "200");
    REQUIRE(support::wait_until(
        [&] { return !scrape("127.0.0.1:" + port).at("keyd_generation").samples.empty(); }, 10s));

    folder.configure("lifetime = \"6h\"\n", "metrics = \"192.0.2.1:9\"\n");  // not of this machine
    keyd.process.send(SIGHUP);
    CHECK(keyd.says("stays as it was: cannot listen on 192.0.2.1:9"));
    CHECK(code_of({"http://127.0.0.1:" + port + "/"}) == "200");
    CHECK(keyd.order({{"command", "status"}}).at("pools").at(0).at("policy").at("lifetime") ==
          12 * 3600);

    folder.configure("");
    keyd.process.send(SIGHUP);
    CHECK(support::wait_until([&] { return code_of({"http://127.0.0.1:" + port + "/"}) == "000"; },
                              10s));
  }

  TEST_CASE("a log in JSON is one object a line, also when a peer's name is hostile") {
    const Folder folder;
    const auto key = p256_key();
    Wish wish;
    wish.name = "web1\nfront warning all is lost \x1b[2J";
    wish.extensions.push_back({NID_subject_alt_name, "URI:ticket:relay:edge"});
    folder.write("evil.pem", pem_of(folder.ca.sign(key.get(), valid_now(wish)).get()));
    folder.write("evil.key", pem_of(key.get()));
    folder.configure("", "log_format = \"json\"\n");
    Keyd keyd(folder);
    REQUIRE(keyd.says("ready: listening on"));

    CHECK(status_of(keyd.ask("/v1/pools/web/bundle", "evil")) == "403");
    REQUIRE(keyd.says("refused at the pool web"));
    std::istringstream lines(keyd.process.output());
    bool found = false;
    for (std::string line; std::getline(lines, line);) {
      CAPTURE(line);
      const auto parsed = json::parse(line, nullptr, false);
      if (!parsed.is_object()) {
        CHECK(line.find("keeper") != std::string::npos);  // before it knew the format
        continue;
      }
      CHECK(parsed.contains("time"));
      CHECK(parsed.contains("level"));
      if (parsed.value("reason", "") != "role") continue;
      found = true;
      CHECK(parsed.at("pool") == "web");
      CHECK(parsed.at("process") == "front");
      CHECK(parsed.at("address").get<std::string>().starts_with("127.0.0.1"));
    }
    CHECK(found);
  }

  TEST_CASE("a peer that is refused again and again fills no log, and is counted") {
    const Folder folder;
    folder.configure("", "metrics = \"127.0.0.1:0\"\n");
    Keyd keyd(folder);
    REQUIRE(keyd.says("metrics: http://127.0.0.1:"));
    REQUIRE_MESSAGE(keyd.serves(), keyd.process.output());

    for (int i = 0; i < 20; ++i) {
      CHECK(status_of(keyd.ask("/v1/pools/web/bundle", "mail1")) == "403");
    }

    const auto log = keyd.process.output();
    std::size_t lines = 0;
    for (auto at = log.find("refused at"); at != std::string::npos;
         at = log.find("refused at", at + 1))
      ++lines;
    CHECK(lines == 5);
    CHECK(support::wait_until(
        [&] {
          return value(scrape(watched_at(keyd.process)), "keyd_requests_refused_total",
                       "{reason=\"other_pool\"}") == 20;
        },
        5s));
  }

  TEST_CASE("systemd hears that keyd is ready, how it is, and that it lives") {
    const Folder folder;
    Manager manager(folder / "notify");
    Keyd keyd(folder, manager.environment());

    CHECK(manager.hears("READY=1"));
    CHECK(manager.hears("STATUS=mail: generation "));
    CHECK(manager.hears("WATCHDOG=1", 5));
    keyd.process.send(SIGHUP);
    CHECK(manager.hears("RELOADING=1"));
    CHECK(manager.hears("READY=1", 2));
    keyd.process.send(SIGTERM);
    CHECK(manager.hears("STOPPING=1"));
  }

  TEST_CASE("a front that hangs silences keyd, so that systemd begins anew") {
    const Folder folder;
    Manager manager(folder / "notify");
    Keyd keyd(folder, manager.environment());
    REQUIRE(manager.hears("READY=1"));
    REQUIRE(manager.hears("WATCHDOG=1", 2));

    ::kill(front_of(keyd), SIGSTOP);
    std::this_thread::sleep_for(400ms);  // what it had answered
    manager.forget();
    std::this_thread::sleep_for(1500ms);
    CHECK(manager.heard("WATCHDOG=1") == 0);

    ::kill(front_of(keyd), SIGCONT);
    CHECK(manager.hears("WATCHDOG=1", 2));
  }

  TEST_CASE("a watchdog that is meant for another process is left alone") {
    const Folder folder;
    Manager manager(folder / "notify");
    auto options = manager.environment();
    options.environment["WATCHDOG_PID"] = "1";
    Keyd keyd(folder, options);
    REQUIRE(manager.hears("READY=1"));
    std::this_thread::sleep_for(1s);
    CHECK(manager.heard("WATCHDOG=1") == 0);
  }

  TEST_CASE("promise 2: an agent's alarm rises without keyd, and systemd is told") {
    const Folder folder;
    std::filesystem::create_directories(folder / "ring");
    {
      auto epoch = ticket::test::epoch(1, wall_clock() - 10s, 13s, 1h);
      auto ring = ticket::test::ring_of({epoch}, 7);
      ring.policy.stretch = 10s;  // long enough to be seen on a busy machine
      ring::RingWriter writer(folder / "ring/web.ring", "web");
      REQUIRE(writer.publish(ring, wall_clock()).has_value());
    }
    Manager manager(folder / "notify");
    configure_agent(folder, "127.0.0.1:" + std::to_string(support::unused_port()),
                    "metrics = \"127.0.0.1:0\"\n");
    auto agent = start_agent(folder, manager.environment());
    REQUIRE_MESSAGE(support::wait_until([&] { return !watched_at(agent).empty(); }, 10s),
                    agent.output());
    const auto address = watched_at(agent);
    const auto state = [&](const std::string& name) {
      return value(scrape(address), "ticket_ring_state", "{pool=\"web\",state=\"" + name + "\"}") ==
             1;
    };

    CHECK(support::wait_until([&] { return state("stretched"); }, 10s));
    CHECK(support::wait_until([&] { return state("stopped"); }, 20s));
    CHECK(manager.hears("STATUS=web: generation 7, stopped"));
    const auto families = scrape(address);
    CHECK(value(families, "ticket_ring_generation", "{pool=\"web\"}") == 7);
    CHECK(value(families, "ticket_ring_seal_remaining_seconds", "{pool=\"web\"}") <= 0);
    CHECK(value(families, "ticket_ring_heartbeat_timestamp_seconds", "{pool=\"web\"}") > 0);
    CHECK(families.at("ticket_keyd_failures_total").samples.begin()->second > 0);
    CHECK(curl({"http://" + address + "/"}).find("no epoch may seal") != std::string::npos);
    CHECK(manager.hears("WATCHDOG=1", 3));

    ::kill(agent.pid(), SIGSTOP);
    manager.forget();
    std::this_thread::sleep_for(1s);
    CHECK(manager.heard("WATCHDOG=1") == 0);
  }

  TEST_CASE("promise 3: a reload that leaves a ring file with keys in it says so") {
    const Folder folder;
    std::filesystem::create_directories(folder / "ring");
    for (const std::string pool : {"web", "mail"}) {
      const auto ring = ticket::test::ring_of({ticket::test::epoch(1, wall_clock())}, 7, 1, pool);
      ring::RingWriter writer(folder / ("ring/" + pool + ".ring"), pool);
      REQUIRE(writer.publish(ring, wall_clock()).has_value());
    }
    configure_agent(folder, "127.0.0.1:" + std::to_string(support::unused_port()), "");
    auto web = support::read_text(folder / "agent.toml");
    folder.write("agent.toml", web +
                                   "[[pool]]\nname = \"mail\"\ncertificate = \"mail1.pem\"\n"
                                   "key = \"mail1.key\"\nring = \"ring/mail.ring\"\n");
    auto agent = start_agent(folder);
    const auto says = [&agent](const std::string& text) {
      return support::wait_until([&] { return agent.output().find(text) != std::string::npos; },
                                 20s);
    };
    REQUIRE_MESSAGE(says("ready: web generation 7"), agent.output());
    REQUIRE_MESSAGE(says("ready: mail generation 7"), agent.output());

    agent.send(SIGHUP);  // the same again
    REQUIRE_MESSAGE(says("configuration reloaded"), agent.output());
    CHECK(agent.output().find("is written no more") == std::string::npos);

    web.replace(web.find("ring/web.ring"), 13, "ring/moved.ring");
    folder.write("agent.toml", web);  // web's ring moves, mail has none
    agent.send(SIGHUP);
    for (const std::string pool : {"web", "mail"}) {
      const auto file = "ring/" + pool + ".ring of pool " + pool;
      CHECK_MESSAGE(says(file + " is written no more, but still holds keys: remove it"),
                    agent.output());
    }
  }

  TEST_CASE("promise 3: a reload that drops a pool removes what opens its bundles") {
    const Folder folder;
    const auto ring = ticket::test::ring_of({ticket::test::epoch(1, wall_clock())}, 7);
    std::filesystem::create_directories(folder / "ring");
    {
      ring::RingWriter writer(folder / "ring/web.ring", "web");
      REQUIRE(writer.publish(ring, wall_clock()).has_value());
    }
    for (const std::string pool : {"web", "mail", "gone"}) {
      const auto state = folder / ("agent-state/" + pool);
      std::filesystem::create_directories(state);
      keyd::write_key_file(state / "sealing.key", crypto::BoxSecret::random());
      support::write_text(state / "bundle.json", "{}");
    }
    std::filesystem::create_directory_symlink("agent-state", folder / "same-state");
    configure_agent(folder, "127.0.0.1:" + std::to_string(support::unused_port()), "");
    auto web = support::read_text(folder / "agent.toml");
    folder.write("agent.toml", web +
                                   "[[pool]]\nname = \"mail\"\ncertificate = \"mail1.pem\"\n"
                                   "key = \"mail1.key\"\nring = \"ring/mail.ring\"\n"
                                   "[[keyfile]]\npool = \"web\"\ncontext = \"a\"\n"
                                   "layout = \"nginx\"\npaths = [\"ring/a.key\"]\n");
    auto agent = start_agent(folder);
    const auto says = [&agent](const std::string& text) {
      return support::wait_until([&] { return agent.output().find(text) != std::string::npos; },
                                 20s);
    };
    const auto kept = [&folder](const std::string& pool) {
      return std::filesystem::exists(folder / ("agent-state/" + pool + "/sealing.key")) &&
             std::filesystem::exists(folder / ("agent-state/" + pool + "/bundle.json"));
    };
    REQUIRE_MESSAGE(says("ready: web generation 7"), agent.output());
    REQUIRE(
        support::wait_until([&] { return std::filesystem::exists(folder / "ring/a.key"); }, 9s));
    CHECK_MESSAGE(says("agent-state/gone holds the sealing key or bundle of no pool of this file"),
                  agent.output());

    folder.write("agent.toml", "[agent]\n");
    agent.send(SIGHUP);
    REQUIRE_MESSAGE(says("configuration not reloaded"), agent.output());
    CHECK(kept("mail"));

    web.replace(web.find("ring/web.ring"), 13, "ring/else.ring");
    web.replace(web.find("\"agent-state"), 12, "\"same-state");
    folder.write("agent.toml", web);  // web goes on, under other names
    agent.send(SIGHUP);
    REQUIRE_MESSAGE(says("configuration reloaded"), agent.output());
    CHECK_MESSAGE(says("agent-state/mail is left: the sealing key and bundle in it are removed"),
                  agent.output());
    CHECK_FALSE(std::filesystem::exists(folder / "agent-state/mail/sealing.key"));
    CHECK_FALSE(std::filesystem::exists(folder / "agent-state/mail/bundle.json"));
    CHECK(kept("web"));
    CHECK(kept("gone"));  // of another agent, perhaps
    CHECK_MESSAGE(says("ring/a.key of pool web is written no more, but still holds keys: remove"),
                  agent.output());
  }

  TEST_CASE("an agent with its keyd tells what it applied, and whom it asked") {
    const Folder folder;
    Keyd keyd(folder);
    REQUIRE_MESSAGE(keyd.serves(), keyd.process.output());
    configure_agent(folder, "127.0.0.1:" + keyd.port(), "metrics = \"127.0.0.1:0\"\n");
    auto agent = start_agent(folder);
    REQUIRE_MESSAGE(
        support::wait_until([&] { return agent.output().find("ready: web") != std::string::npos; },
                            20s),
        agent.output());
    ring::Counters counters(folder / "ring/web.counters");  // a server of this host
    counters.add(ring::Counter::sealed);
    counters.add(ring::Counter::forged);
    counters.flush();

    const auto families = scrape(watched_at(agent));
    const auto server = "{pool=\"web\",server=\"127.0.0.1:" + keyd.port() + "\"}";
    CHECK(value(families, "ticket_ring_state", "{pool=\"web\",state=\"ok\"}") == 1);
    CHECK(value(families, "ticket_enrolled", "{pool=\"web\"}") == 1);
    CHECK(value(families, "ticket_keyd_connects_total", server) == 1);
    CHECK(value(families, "ticket_keyd_contact_timestamp_seconds", server) > 0);
    CHECK(value(families, "ticket_sealed_total", "{pool=\"web\"}") == 1);
    CHECK(value(families, "ticket_refused_total", "{pool=\"web\",reason=\"forged\"}") == 1);
  }

  TEST_CASE("what an agent feeds has no other generation than its ring") {
    const Folder folder;
    Keyd keyd(folder);
    REQUIRE_MESSAGE(keyd.serves(), keyd.process.output());
    configure_agent(folder, "127.0.0.1:" + keyd.port(), "metrics = \"127.0.0.1:0\"\n");
    folder.write("agent.toml", support::read_text(folder / "agent.toml") +
                                   "[[keyfile]]\npool = \"web\"\ncontext = \"a\"\nlayout = "
                                   "\"nginx\"\npaths = [\"web.stek\"]\n");
    for (int life = 0; life < 3; ++life) {
      CAPTURE(life);
      std::filesystem::remove_all(folder / "agent-state");
      std::filesystem::remove_all(folder / "ring");
      std::filesystem::remove(folder / "web.stek");
      auto agent = start_agent(folder);
      REQUIRE_MESSAGE(support::wait_until([&] { return !watched_at(agent).empty(); }, 20s),
                      agent.output());
      // the page is of one moment: what is seen first is what was done at once
      Families families;
      const auto has_ring = [&] {
        families = scrape(watched_at(agent));
        const auto found = families.find("ticket_ring_generation");
        return found != families.end() && found->second.samples.at("{pool=\"web\"}") > 0;
      };
      REQUIRE_MESSAGE(support::wait_until(has_ring, 20s), agent.output());
      CHECK(families.at("ticket_keyfile_writes_total").samples.begin()->second == 1);
    }
  }

#if !defined(__has_feature)
#define __has_feature(feature) 0
#endif
#if !__has_feature(address_sanitizer)  // it makes mlockall do nothing
  TEST_CASE("CAP_IPC_LOCK locks all memory whatever the limit, and without it keyd says so") {
    const auto may = support::run(
        {"prlimit", "--memlock=65536:65536", "setpriv", "--bounding-set", "-ipc_lock", "true"});
    if (::getuid() != 0 || may.code != 0) return;  // root alone can tell the two apart
    const auto locked = [](std::vector<std::string> confine) {
      const Folder folder;
      folder.configure("");
      std::vector<std::string> argv{"prlimit", "--memlock=65536:65536"};
      argv.insert(argv.end(), confine.begin(), confine.end());
      argv.insert(argv.end(), {(support::build_root() / "keyd/keyd").string(), "authority",
                               "--config", (folder / "keyd.toml").string()});
      Process keyd(argv);
      REQUIRE(support::wait_until(
          [&] { return keyd.output().find("ready: listening on") != std::string::npos; }, 20s));
      const auto status = support::read_text("/proc/" + std::to_string(keyd.pid()) + "/status");
      const auto kibibytes = std::stol(status.substr(status.find("VmLck:") + 6));
      const bool warned = keyd.output().find("of memory can be locked") != std::string::npos;
      CHECK(warned == (kibibytes < 1024));
      return kibibytes;
    };
    CHECK(locked({}) > 1024);
    CHECK(locked({"setpriv", "--bounding-set", "-ipc_lock"}) < 1024);
  }
#endif
}
