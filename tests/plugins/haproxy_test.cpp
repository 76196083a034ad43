// A real HAProxy, fed by a real agent.
#include <doctest/doctest.h>
#include <sys/stat.h>

#include <fstream>
#include <random>
#include <thread>

#include "plugins/world.hpp"
#include "support/listens.hpp"

using namespace plugins;
using promises::to_text;
using support::read_text;
using support::wait_until;
using support::write_text;

namespace {

namespace fs = std::filesystem;

// One process with a bind for everybody, and one that demands client certificates.
class Haproxy {
 public:
  Haproxy(const World& world, const std::string& name, const fs::path& keys,
          const fs::path& client_keys, bool cache = false)
      : plain(support::unused_port()),
        secure(support::unused_port()),
        socket(world.at(name + ".sock")),
        config_(world.at(name + ".cfg")) {
    const auto pem = world.at(name + ".pem");
    write_pem(world, pem);
    const auto bind = [&](std::uint16_t port, const fs::path& file, const std::string& verify) {
      return "  bind 127.0.0.1:" + std::to_string(port) + " ssl crt " + pem.string() +
             " tls-ticket-keys " + file.string() + verify + "\n";
    };
    write_text(config_, "global\n  stats socket " + socket.string() +
                            " level admin mode 600\n  stats socket " + socket.string() +
                            ".user level user mode 600\n" +
                            (cache ? "" : "  tune.ssl.cachesize 0\n") +
                            "defaults\n  mode http\n  timeout client 10s\n  timeout server 10s\n"
                            "  timeout connect 10s\nfrontend web\n" +
                            bind(plain, keys, "") +
                            bind(secure, client_keys,
                                 " ca-file " + (world.fleet.folder() / "fleet/ca.pem").string() +
                                     " verify required") +
                            "  http-request return status 200 content-type text/plain string ok\n");
    start();
  }

  void start(const std::vector<std::string>& more = {}) {
    std::vector<std::string> argv = {"haproxy", "-db", "-f", config_};
    argv.insert(argv.end(), more.begin(), more.end());
    support::Process next(argv);
    const bool serves = support::listens(plain, next);
    REQUIRE_MESSAGE(serves, next.output());
    if (process_) old_ = std::move(process_);
    process_.emplace(std::move(next));
  }
  // As systemctl reload does: another process takes over, this one finishes.
  void reload() { start({"-sf", std::to_string(process_->pid())}); }
  void kill() {
    process_->kill();
    process_.reset();
  }
  bool old_has_ended() { return old_ && old_->wait(10s).has_value(); }
  pid_t pid() const { return process_->pid(); }

 private:
  std::optional<support::Process> process_, old_;

 public:
  const std::uint16_t plain, secure;
  const fs::path socket;

 private:
  const fs::path config_;
};

std::string section(const std::string& context, const fs::path& file, const fs::path& socket) {
  return "\n[[haproxy]]\npool = \"fleet\"\ncontext = \"" + context + "\"\nfile = \"" +
         file.string() + "\"\nsockets = [\"" + socket.string() + "\"]\n";
}

// What a stats socket says to commands, a line each.
std::string ask(const fs::path& socket, const std::string& commands) {
  return support::run(
             {"/usr/bin/python3", "-c",
              "import socket,sys; s=socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); "
              "s.sendall(sys.stdin.buffer.read()); print(s.recv(4096).decode())",
              socket},
             {.input = commands})
      .output;
}

// The key under which a server seals now.
std::string sealing_key(const World& world, std::uint16_t port) {
  return world.visit(port, {.keep = "sealing"}).key_name;
}

// One fleet for most cases: an epoch seals for 5 s.
struct Fed {
  Fed() {
    world.configure(section("a", world.at("a.keys"), world.at("h.sock")) +
                    section("secure", world.at("secure.keys"), world.at("h.sock")));
    const bool written = wait_until(
        [&] { return fs::exists(world.at("a.keys")) && fs::exists(world.at("secure.keys")); }, 20s);
    REQUIRE_MESSAGE(written, world.agent_log());
    haproxy.emplace(world, "h", world.at("a.keys"), world.at("secure.keys"));
    server.emplace(world.openssl_server("a", server_port));
    REQUIRE(agree());
  }
  // HAProxy and the OpenSSL server seal with one key.
  bool agree() {
    return wait_until(
        [&] {
          const auto ours = sealing_key(world, server_port);
          return !ours.empty() && ours == sealing_key(world, haproxy->plain);
        },
        20s);
  }
  void await_rotation() { await_another(sealing_key(world, server_port)); }
  void await_another(const std::string& key) {  // than this one
    REQUIRE(wait_until([&] { return sealing_key(world, server_port) != key; }, 20s));
  }

  World world{{"5s", "20s", "10s", "20s"}};
  std::optional<Haproxy> haproxy;
  std::uint16_t server_port = 0;
  std::optional<support::Process> server;
};

Fed& fed() {
  static Fed fed;
  return fed;
}

}  // namespace

TEST_SUITE("haproxy") {
  TEST_CASE("a rotation reaches HAProxy without a reload, and older tickets go on") {
    auto& [world, haproxy, port, server] = fed();
    const auto pid = haproxy->pid();
    for (int rotation = 0; rotation < 3; ++rotation) {
      CAPTURE(rotation);
      const auto old = world.visit(haproxy->plain, {.keep = "old"});
      REQUIRE(old.ok);
      // the rotation after this ticket's: it is to be of the previous key, no older one
      fed().await_another(old.key_name);
      REQUIRE(fed().agree());

      CHECK(world.visit(haproxy->plain, {.offer = "old"}).reused);
    }
    CHECK(haproxy->pid() == pid);
    CHECK(world.agent_log().find("set 3 keys") == std::string::npos);  // one a rotation does
  }

  TEST_CASE("sessions resume between HAProxy and an OpenSSL server, both ways") {
    auto& [world, haproxy, port, server] = fed();
    for (const auto version : {Tls::v1_2, Tls::v1_3}) {
      CAPTURE(to_text(version));
      REQUIRE(world.visit(haproxy->plain, {.version = version, .keep = "there"}).ok);
      REQUIRE(world.visit(port, {.version = version, .keep = "here"}).ok);

      CHECK(world.visit(port, {.version = version, .offer = "there"}).reused);
      CHECK(world.visit(haproxy->plain, {.version = version, .offer = "here"}).reused);
    }
  }

  TEST_CASE("a session that HAProxy seals anew, under the next key, resumes where it began") {
    auto& [world, haproxy, port, server] = fed();
    const auto first = world.visit(port, {.keep = "first"});
    REQUIRE(first.ok);
    fed().await_another(first.key_name);
    REQUIRE(fed().agree());

    // (TLS 1.3: s_client keeps no ticket that TLS 1.2 renews)
    const auto anew = world.visit(haproxy->plain, {.keep = "anew", .offer = "first"});
    CHECK(anew.reused);
    CHECK(anew.key_name != first.key_name);
    CHECK(world.visit(port, {.offer = "anew"}).reused);
  }

  TEST_CASE("a restart of HAProxy loses no resumption") {
    auto& [world, haproxy, port, server] = fed();
    fed().await_rotation();  // the file has been written since HAProxy read it
    REQUIRE(world.visit(haproxy->plain, {.keep = "before"}).ok);

    haproxy->kill();
    haproxy->start();

    CHECK(world.visit(haproxy->plain, {.offer = "before"}).reused);
    fed().await_rotation();
    CHECK(fed().agree());
  }

  TEST_CASE("a reload of HAProxy keeps the keys, and the next process is fed") {
    auto& [world, haproxy, port, server] = fed();
    REQUIRE(world.visit(haproxy->plain, {.keep = "before"}).ok);

    haproxy->reload();

    CHECK(haproxy->old_has_ended());
    CHECK(world.visit(haproxy->plain, {.offer = "before"}).reused);
    fed().await_rotation();
    CHECK(fed().agree());
  }

  TEST_CASE("a key that somebody else set is replaced") {
    auto& [world, haproxy, port, server] = fed();
    std::string foreign(108, 'A');
    foreign.back() = '=';
    const auto set = "set ssl tls-key " + world.at("a.keys").string() + " " + foreign + "\n";
    CHECK(ask(haproxy->socket, set + set).find("updated") != std::string::npos);

    CHECK(fed().agree());
  }

  TEST_CASE("what HAProxy seals while its agent is away goes a rotation sooner at another") {
    World world{{"5s", "20s", "10s", "20s"}, 2};
    std::vector<Haproxy> proxies;
    proxies.reserve(2);
    for (int host = 1; host <= 2; ++host) {
      const auto name = "h" + std::to_string(host);
      const auto keys = world.at(name + ".keys");
      world.configure(section("a", keys, world.at(name + ".sock")), host);
      REQUIRE(wait_until([&] { return fs::exists(keys); }, 20s));
      proxies.emplace_back(world, name, keys, keys);
    }
    std::uint16_t port = 0;
    const auto server = world.openssl_server("a", port);
    const auto &fed = proxies[0], &left = proxies[1];
    std::string agreed;
    const auto agree = [&] {
      return wait_until(
          [&] {
            agreed = sealing_key(world, fed.plain);
            return agreed == sealing_key(world, left.plain);
          },
          20s);
    };
    const auto await_rotation = [&] {
      const auto before = sealing_key(world, fed.plain);
      REQUIRE(wait_until([&] { return sealing_key(world, fed.plain) != before; }, 20s));
    };
    REQUIRE(agree());
    await_rotation();
    REQUIRE(agree());

    world.fleet.kill("agent2");
    const auto kept = sealing_key(world, left.plain);  // as agreed, or one newer; then no other
    REQUIRE(wait_until(
        [&] {
          const auto next = sealing_key(world, fed.plain);
          return next != kept && next != agreed;
        },
        20s));
    REQUIRE(world.visit(left.plain, {.keep = "late"}).ok);
    CHECK(world.visit(fed.plain, {.offer = "late"}).reused);  // the previous key there
    await_rotation();
    CHECK_FALSE(world.visit(fed.plain, {.offer = "late"}).reused);
    CHECK(world.visit(left.plain, {.offer = "late"}).reused);
    CHECK(world.visit(port, {.offer = "late"}).reused);  // holds all that open

    world.fleet.start("agent2");
    CHECK(agree());
  }

  TEST_CASE("HAProxy gone is told once, and found again when it is back") {
    auto& [world, haproxy, port, server] = fed();
    haproxy->kill();
    CHECK(wait_until(
        [&] { return fed().world.agent_log().find("HAProxy does not run") != std::string::npos; },
        10s));
    fed().await_rotation();

    haproxy->start();

    CHECK(wait_until(
        [&] { return fed().world.agent_log().find("HAProxy answers again") != std::string::npos; },
        10s));
    CHECK(fed().agree());
  }

  TEST_CASE("promise 11: stock HAProxy seals with a key of zeros; fed, it never keeps one") {
    auto& world = fed().world;
    const auto file = world.at("zeros.keys");
    const std::string key = std::string(107, 'A') + "=",
                      zeros = "00 00 00 00 00 00 00 00-00 00 00 00 00 00 00 00 ";
    write_text(file, key + "\n" + key + "\n" + key + "\n");
    Haproxy haproxy(world, "zeros", file, file);
    for (const auto version : {Tls::v1_2, Tls::v1_3}) {
      CAPTURE(to_text(version));
      const auto begun = world.visit(haproxy.plain, {.version = version, .keep = "zeros"});
      CHECK(begun.key_name == zeros);  // this is the hole: everybody has that key
      CHECK(world.visit(haproxy.plain, {.version = version, .offer = "zeros"}).reused);
    }
    const auto healed = [&] { return sealing_key(world, haproxy.plain) != zeros; };

    world.configure(section("zeros", file, haproxy.socket));

    REQUIRE_MESSAGE(wait_until(healed, 10s), world.agent_log());
    CHECK_FALSE(world.visit(haproxy.plain, {.offer = "zeros"}).reused);
    CHECK(read_text(file).find("AAAAAAAA") == std::string::npos);
    const auto set = "set ssl tls-key " + file.string() + " " + key + "\n";
    CHECK(ask(haproxy.socket, set + set).find("updated") != std::string::npos);
    write_text(file, key + "\n" + key + "\n" + key + "\n");
    CHECK(wait_until(healed, 3s));
    CHECK(wait_until([&] { return read_text(file).find("AAAAAAAA") == std::string::npos; }, 3s));
  }

  TEST_CASE("any stats socket gives the keys out, whatever its level") {
    auto& [world, haproxy, port, server] = fed();
    // docs/haproxy.md warns of it; a HAProxy that refuses is better news
    const auto said = ask(haproxy->socket.string() + ".user", "show tls-keys *\n");
    CHECK(said.find("0.0 ") != std::string::npos);
  }

  TEST_CASE(
      "a HAProxy that has other keys, stalls or knows no such file is told with the way out") {
    World world({"5s", "20s", "10s", "20s"});
    const auto file = world.at("a.keys"), unknown = world.at("unknown.keys");
    const std::string key(62, 'A');  // of 48 bytes
    write_text(file, key + "AB\n" + key + "AC\n" + key + "AD\n");
    Haproxy haproxy(world, "h", file, file);
    support::Process stalls({"/usr/bin/python3", "-c",
                             "import socket,sys,time; s=socket.socket(socket.AF_UNIX); "
                             "s.bind(sys.argv[1]); s.listen(9); time.sleep(99)",
                             world.at("stalls.sock")});

    world.configure(section("a", file, haproxy.socket) +
                    section("c", world.at("c.keys"), world.at("stalls.sock")) +
                    section("d", unknown, haproxy.socket));

    for (const auto* told :
         {"a.keys had 195 bytes where the pool's 80-byte keys take 327; it is replaced",
          "it holds keys of 48 bytes in ", "ours have 80: reload HAProxy", "no answer within 5 s",
          "it knows no key file "}) {
      CAPTURE(told);
      CHECK(wait_until([&] { return world.agent_log().find(told) != std::string::npos; }, 12s));
    }
    haproxy.reload();
    CHECK(wait_until(
        [&] { return world.agent_log().find("HAProxy answers again") != std::string::npos; }, 12s));
    CHECK(world.visit(haproxy.plain, {}).ok);
  }

  TEST_CASE("promise 12: no key of HAProxy's file stands in the agent's log") {
    auto& [world, haproxy, port, server] = fed();
    std::ifstream lines(world.at("a.keys"));
    struct stat status {};
    REQUIRE(stat(world.at("a.keys").c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0600);
    const auto log = world.agent_log();
    REQUIRE(log.find("HAProxy at") != std::string::npos);
    int keys = 0;
    for (std::string key; std::getline(lines, key); ++keys) {
      CHECK(log.find(key.substr(24, 16)) == std::string::npos);
    }
    CHECK(keys == 3);
  }

  TEST_CASE("stock HAProxy: one key file lets a ticket pass by the client certificate") {
    auto& world = fed().world;
    const auto keys = world.at("stock.keys");
    std::string random(80, '\0');
    std::random_device draw;
    std::ofstream file(keys);
    for (int i = 0; i < 3; ++i) {
      for (auto& byte : random) byte = static_cast<char>(draw());
      write_text(world.at("raw"), random);
      file << support::run({"base64", "-w0", world.at("raw")}).output << "\n";
    }
    file.close();
    Haproxy stock(world, "stock", keys, keys);
    for (const auto version : {Tls::v1_2, Tls::v1_3}) {
      CAPTURE(to_text(version));
      CHECK_FALSE(world.visit(stock.secure, {.version = version}).ok);  // no certificate
      REQUIRE(world.visit(stock.plain, {.version = version, .keep = "plain"}).ok);

      const auto attack = world.visit(stock.secure, {.version = version, .offer = "plain"});

      CHECK(attack.ok);  // this is the hole
      CHECK(attack.reused);
    }
  }

  TEST_CASE("promise 6: with a context for each, the same ticket does not resume") {
    auto& [world, haproxy, port, server] = fed();
    for (const auto version : {Tls::v1_2, Tls::v1_3}) {
      CAPTURE(to_text(version));
      REQUIRE(world.visit(haproxy->plain, {.version = version, .keep = "plain"}).ok);

      const auto attack = world.visit(haproxy->secure, {.version = version, .offer = "plain"});

      CHECK_FALSE(attack.ok);
      CHECK_FALSE(attack.reused);
      // who has a certificate gets in, and resumes there
      REQUIRE(world.visit(haproxy->secure, {.version = version, .keep = "own", .certificate = true})
                  .ok);
      CHECK(world.visit(haproxy->secure, {.version = version, .offer = "own", .certificate = true})
                .reused);
    }
  }

  TEST_CASE("promise 6: a context for each, and yet HAProxy's cache passes by the certificate") {
    auto& [world, haproxy, port, server] = fed();
    const auto begin = [&world = world](const Haproxy& at) {
      REQUIRE_FALSE(world.visit(at.secure, {.version = Tls::v1_2}).ok);  // no certificate
      REQUIRE(world.visit(at.plain, {.version = Tls::v1_2, .keep = "id", .ticket = false}).ok);
    };
    const auto offer = [&world = world](std::uint16_t where) {
      return world.visit(where, {.version = Tls::v1_2, .offer = "id", .ticket = false});
    };
    {
      Haproxy cached(world, "cached", world.at("a.keys"), world.at("secure.keys"), true);
      begin(cached);
      const auto attack = offer(cached.secure);
      CHECK(attack.ok);  // this is the hole: tune.ssl.cachesize of its default
      CHECK(attack.reused);
    }
    begin(*haproxy);  // tune.ssl.cachesize 0
    const auto attack = offer(haproxy->secure);
    CHECK_FALSE(attack.ok);
    CHECK_FALSE(attack.reused);
    CHECK_FALSE(offer(haproxy->plain).reused);
  }

  TEST_CASE("promise 16: a second after a burn HAProxy opens no burned ticket, and goes on") {
    constexpr int hosts = 4;                       // all but the first are there to be burned
    World world({"1h", "2h", "1h", "2h"}, hosts);  // nothing rotates by itself
    const auto file = world.at("a.keys");
    world.configure(section("a", file, world.at("burn.sock")));
    REQUIRE_MESSAGE(wait_until([&] { return fs::exists(file); }, 20s), world.agent_log());
    Haproxy haproxy(world, "burn", file, file);
    std::uint16_t port = 0;
    const auto server = world.openssl_server("a", port);
    const auto agree = [&] {
      const auto ours = sealing_key(world, port);
      return !ours.empty() && ours == sealing_key(world, haproxy.plain);
    };
    const auto resumes = [&](std::uint16_t at, Tls version, const std::string& when) {
      const auto shake = world.visit(at, {.version = version, .offer = when + to_text(version)});
      CHECK_MESSAGE(shake.ok, shake.output);
      return shake.reused;
    };
    const auto begin = [&](const std::string& when) {
      for (const auto version : {Tls::v1_2, Tls::v1_3}) {
        REQUIRE(
            world.visit(haproxy.plain, {.version = version, .keep = when + to_text(version)}).ok);
        CHECK(resumes(haproxy.plain, version, when));
      }
    };
    const auto burned = [&] {
      return !resumes(haproxy.plain, Tls::v1_2, "old") && !resumes(haproxy.plain, Tls::v1_3, "old");
    };
    bool in_time = false;
    for (int host = 2; host <= hosts && !in_time; ++host) {  // a machine may stand still, once
      REQUIRE_MESSAGE(wait_until(agree, 20s), world.agent_log());
      begin("old");

      const auto done =
          support::run({support::build_root() / "ticketctl/ticketctl", "member", "revoke",
                        "host" + std::to_string(host), "--pool", "fleet", "--socket",
                        world.fleet.folder() / "fleet/authority/keyd.sock"});
      REQUIRE_MESSAGE(done.code == 0, done.output);
#ifdef TICKET_SANITIZED  // which is too slow for the second
      wait_until(burned, 10s);
#else
      std::this_thread::sleep_for(1s);
#endif
      in_time = burned();
    }
    CHECK(in_time);

    REQUIRE_MESSAGE(wait_until(agree, 20s), world.agent_log());
    begin("new");
    haproxy.reload();  // what it reads from its file is not the burned key either
    for (const auto version : {Tls::v1_2, Tls::v1_3}) {
      CAPTURE(to_text(version));
      CHECK_FALSE(resumes(haproxy.plain, version, "old"));
      CHECK(resumes(haproxy.plain, version, "new"));
      CHECK(resumes(port, version, "new"));
    }
  }

  TEST_CASE("when the keys have ended HAProxy has random ones, which change") {
    World world({"2s", "4s", "2s", "1s"});
    const auto file = world.at("a.keys");
    world.configure(section("a", file, world.at("end.sock")));
    REQUIRE(wait_until([&] { return fs::exists(file); }, 10s));
    Haproxy haproxy(world, "end", file, file);
    std::uint16_t port = 0;
    auto server = world.openssl_server("a", port);
    REQUIRE(wait_until(
        [&] { return sealing_key(world, port) == sealing_key(world, haproxy.plain); }, 10s));

    world.fleet.kill("keyd");
    std::string last;  // the newest ticket under a key of the pool
    REQUIRE(wait_until(
        [&] {
          if (sealing_key(world, port).empty()) return true;
          last = world.visit(haproxy.plain, {.keep = "last"}).key_name;
          return false;
        },
        30s));
    REQUIRE(wait_until(
        [&] { return world.agent_log().find("HAProxy has random keys") != std::string::npos; },
        20s));
    REQUIRE(wait_until([&] { return world.fleet.ring(1).epochs == 0; }, 20s));
    REQUIRE(wait_until([&] { return !world.visit(haproxy.plain, {.offer = "last"}).reused; }, 5s));

    const auto random = sealing_key(world, haproxy.plain);
    CHECK(random != last);
    CHECK(wait_until([&] { return sealing_key(world, haproxy.plain) != random; }, 15s));
  }
}
