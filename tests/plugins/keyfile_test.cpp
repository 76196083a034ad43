// The recipes of docs/keyfiles.md, on real servers: two of a kind share files, the
// agent writes them and has the first reload.
#include <doctest/doctest.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <sys/stat.h>

#include <array>
#include <nlohmann/json.hpp>
#include <thread>

#include "plugins/world.hpp"
#include "ring/derive.hpp"
#include "ring/ring_file.hpp"
#include "support/listens.hpp"

using namespace plugins;
using support::wait_until;
using support::write_text;

namespace {

namespace fs = std::filesystem;

struct KeyFiles {
  std::string layout;
  std::vector<fs::path> paths;
};

// HUP or whatever else `signal` is, to the process that NAME.pid names.
std::string section(const World& world, const KeyFiles& files, const std::string& name,
                    const std::string& signal) {
  std::string paths;
  for (const auto& path : files.paths)
    paths += (paths.empty() ? "\"" : ", \"") + path.string() + "\"";
  return "\n[[keyfile]]\npool = \"fleet\"\ncontext = \"a\"\nlayout = \"" + files.layout +
         "\"\npaths = [" + paths + "]\non_change = [\"/bin/sh\", \"-c\", \"kill -" + signal +
         " $(cat $0)\", \"" + world.at(name + ".pid").string() + "\"]\n";
}

KeyFiles key_files(const World& world, const std::string& layout, int count) {
  KeyFiles files{layout, {}};
  for (int i = 0; i < count; ++i) {
    files.paths.push_back(world.at(layout + "-" + std::to_string(i) + ".key"));
  }
  return files;
}

void await(const World& world, const KeyFiles& files) {
  for (const auto& path : files.paths) {
    REQUIRE_MESSAGE(wait_until([&] { return fs::exists(path); }, 20s), world.agent_log());
  }
}

// Ended in good order: the workers of a master that was killed would live on.
struct Server {
  Server(std::uint16_t port, support::Process process) : port(port), process(std::move(process)) {}
  Server(Server&&) = default;
  ~Server() {
    if (process.pid() <= 0) return;  // moved from
    process.send(SIGTERM);
    process.wait(10s);
  }

  std::uint16_t port;
  support::Process process;
};

// In the foreground: what is started is what is signalled.
Server start(const World& world, std::uint16_t port, const std::vector<std::string>& argv,
             const fs::path& pid) {
  Server server(port, support::Process(argv));
  const bool serves = support::listens(port, server.process);
  REQUIRE_MESSAGE(serves, server.process.output());
  // Apache listens before it takes signals: one that comes too early ends it
  REQUIRE(wait_until([&] { return world.visit(port, {}).ok; }, 10s));
  write_text(pid, std::to_string(server.process.pid()));
  return server;
}

Server nginx(const World& world, const std::string& name, const KeyFiles& files) {
  const auto port = support::unused_port();
  const auto folder = world.at(name);
  fs::create_directory(folder);
  std::string keys;
  for (const auto& path : files.paths)
    keys += "    ssl_session_ticket_key " + path.string() + ";\n";
  write_text(folder / "nginx.conf",
             "daemon off;\nmaster_process on;\nuser root;\nworker_processes 1;\npid " +
                 (folder / "pid").string() + ";\nerror_log stderr;\nevents {}\nhttp {\n" +
                 "  access_log off;\n  client_body_temp_path " + folder.string() +
                 "/b;\n  proxy_temp_path " + folder.string() + "/p;\n  fastcgi_temp_path " +
                 folder.string() + "/f;\n  uwsgi_temp_path " + folder.string() +
                 "/u;\n  scgi_temp_path " + folder.string() +
                 "/s;\n  server {\n    listen 127.0.0.1:" + std::to_string(port) +
                 " ssl;\n    ssl_protocols TLSv1.2 TLSv1.3;\n    ssl_session_cache off;\n" +
                 "    ssl_certificate " + world.web("a.test.crt").string() +
                 ";\n    ssl_certificate_key " + world.web("a.test.key").string() + ";\n" + keys +
                 "    return 200 ok;\n  }\n}\n");
  return start(world, port, {"nginx", "-c", folder / "nginx.conf", "-p", folder, "-e", "stderr"},
               world.at(name + ".pid"));
}

Server apache(const World& world, const std::string& name, const KeyFiles& files) {
  const auto port = support::unused_port();
  const auto folder = world.at(name);
  fs::create_directories(folder / "web");
  write_text(folder / "web/index.html", "ok");
  // the test's folder is 0700, and Apache's children are www-data
  for (const auto& path : {folder.parent_path(), folder, folder / "web"}) {
    fs::permissions(path, fs::perms::others_exec, fs::perm_options::add);
  }
  const std::string modules = "/usr/lib/apache2/modules/";
  write_text(
      folder / "apache.conf",
      "ServerRoot " + folder.string() + "\nServerName a.test\nPidFile " +
          (folder / "pid").string() + "\nErrorLog " + (folder / "error.log").string() +
          "\nMutex pthread\nUser www-data\nGroup www-data\nDocumentRoot " +
          (folder / "web").string() + "\nLoadModule mpm_event_module " + modules +
          "mod_mpm_event.so\nLoadModule authz_core_module " + modules +
          "mod_authz_core.so\nLoadModule dir_module " + modules +
          "mod_dir.so\nLoadModule ssl_module " + modules +
          "mod_ssl.so\nStartServers 1\nListen 127.0.0.1:" + std::to_string(port) +
          "\nSSLSessionCache none\n<VirtualHost *:*>\n  ServerName a.test\n  SSLEngine on\n" +
          "  SSLCertificateFile " + world.web("a.test.crt").string() +
          "\n  SSLCertificateKeyFile " + world.web("a.test.key").string() +
          "\n  SSLSessionTicketKeyFile " + files.paths[0].string() + "\n</VirtualHost>\n");
  return start(world, port, {"apache2", "-f", folder / "apache.conf", "-DFOREGROUND"},
               world.at(name + ".pid"));
}

std::string sealing_key(const World& world, std::uint16_t port) {
  return world.visit(port, {.keep = "sealing"}).key_name;
}

struct Free {
  void operator()(SSL_SESSION* session) const { SSL_SESSION_free(session); }
  void operator()(BIO* bio) const { BIO_free(bio); }
  void operator()(EVP_CIPHER_CTX* cipher) const { EVP_CIPHER_CTX_free(cipher); }
};
using SessionPtr = std::unique_ptr<SSL_SESSION, Free>;
using Bytes = std::vector<unsigned char>;

// A ticket as s_client kept it.
Bytes ticket_of(const World& world, const std::string& name) {
  const std::unique_ptr<BIO, Free> file(BIO_new_file(world.at(name + ".session").c_str(), "r"));
  const SessionPtr session(PEM_read_bio_SSL_SESSION(file.get(), nullptr, nullptr, nullptr));
  REQUIRE(session);
  const unsigned char* bytes = nullptr;
  std::size_t size = 0;
  SSL_SESSION_get0_ticket(session.get(), &bytes, &size);
  REQUIRE(size > 16 + 16 + 32);
  return {bytes, bytes + size};
}

// What OpenSSL's callback leaves to a server: name 16 | iv 16 | state in AES-CBC | HMAC-SHA256.
struct Parts {
  explicit Parts(const Bytes& ticket)
      : name(ticket.begin(), ticket.begin() + 16),
        iv(ticket.begin() + 16, ticket.begin() + 32),
        state(ticket.begin() + 32, ticket.end() - 32),
        before_mac(ticket.begin(), ticket.end() - 32),
        mac(ticket.end() - 32, ticket.end()) {}
  Bytes name, iv, state, before_mac, mac;
};

Bytes hmac(const Bytes& key, const Bytes& data) {
  Bytes mac(32);
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), data.data(), data.size(), mac.data(),
       nullptr);
  return mac;
}

// The session in a ticket, as written here anew; nullptr when another key made it.
SessionPtr decrypt(const Parts& parts, const Bytes& aes_key) {
  const std::unique_ptr<EVP_CIPHER_CTX, Free> cipher(EVP_CIPHER_CTX_new());
  Bytes state(parts.state.size());
  int size = 0, last = 0;
  EVP_DecryptInit_ex(cipher.get(), EVP_aes_128_cbc(), nullptr, aes_key.data(), parts.iv.data());
  EVP_DecryptUpdate(cipher.get(), state.data(), &size, parts.state.data(),
                    static_cast<int>(parts.state.size()));
  if (EVP_DecryptFinal_ex(cipher.get(), state.data() + size, &last) != 1) return {};
  const unsigned char* at = state.data();
  return SessionPtr(d2i_SSL_SESSION(nullptr, &at, size + last));
}

std::string text(const Bytes& bytes) { return {bytes.begin(), bytes.end()}; }

// The key of the epoch that seals, derived from a host's ring.
Bytes sealing_material(const World& world, int host) {
  using namespace ticket::ring;
  const auto ring = RingReader(world.fleet.host(host) / "fleet.ring").read();
  REQUIRE(ring);
  const auto now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
  const auto* sealing = sealing_epoch(ring->epochs, ring->policy.stretch, now);
  REQUIRE(sealing != nullptr);
  std::array<std::byte, 80> material{};
  derive_stek(ring->secret(static_cast<std::size_t>(sealing - ring->epochs.data())),
              purpose::openssl_aes128, "fleet", "a", material);
  const auto* bytes = reinterpret_cast<const unsigned char*>(material.data());
  return {bytes, bytes + material.size()};
}

// What the ring says of a ticket of ours: its state must decrypt under the ring's key.
nlohmann::json inspect(const World& world, const std::string& name) {
  const auto done = support::run({support::build_root() / "ticketctl/ticketctl", "inspect",
                                  world.at(name + ".session"), "--ring",
                                  world.fleet.host(1) / "fleet.ring", "--context", "a", "--json"});
  const auto seen = nlohmann::json::parse(done.output, nullptr, false);
  REQUIRE_MESSAGE(!seen.is_discarded(), done.output);
  return seen;
}

}  // namespace

TEST_SUITE("keyfile") {
  TEST_CASE("nginx: two servers share the files, and a rotation reloads them") {
    World world({"4s", "16s", "8s", "16s"});
    const auto files = key_files(world, "nginx", 4);
    world.configure(section(world, files, "n1", "HUP"));
    await(world, files);
    auto first = nginx(world, "n1", files);
    auto second = nginx(world, "n2", files);

    for (const auto version : {Tls::v1_2, Tls::v1_3}) {
      CAPTURE(promises::to_text(version));
      REQUIRE(world.visit(second.port, {.version = version, .keep = "old"}).ok);
      CHECK(world.visit(first.port, {.version = version, .offer = "old"}).reused);
    }
    const auto seen = inspect(world, "old");
    CHECK_MESSAGE(seen.value("resumes", false), seen.dump());

    const auto before = sealing_key(world, first.port);
    REQUIRE_FALSE(before.empty());
    REQUIRE_MESSAGE(wait_until([&] { return sealing_key(world, first.port) != before; }, 20s),
                    world.agent_log());
    CHECK(world.visit(first.port, {.offer = "old"}).reused);  // an older key's
  }

  TEST_CASE("Apache: a ticket of one host opens with the ring's key, and resumes on another host") {
    World world({"1h", "2h", "1h", "2h"}, 2);  // nothing rotates meanwhile
    const auto here = key_files(world, "48", 1);
    const KeyFiles there{"48", {world.at("there.key")}};
    world.configure(section(world, here, "a1", "0"), 1);  // asks whether it is there
    world.configure(section(world, there, "a2", "0"), 2);
    await(world, here);
    await(world, there);
    const auto first = apache(world, "a1", here);
    const auto second = apache(world, "a2", there);  // its key came by another agent

    for (const auto version : {Tls::v1_2, Tls::v1_3}) {
      CAPTURE(promises::to_text(version));
      const auto begun = world.visit(first.port, {.version = version, .keep = "old"});
      REQUIRE_MESSAGE(begun.ok, begun.output);
      // name 16 | hmac 32 | aes 32, of which the file has the first halves
      const auto material = sealing_material(world, 2);
      const auto part = [&](std::size_t at) {
        const auto begin = material.begin() + static_cast<std::ptrdiff_t>(at);
        return Bytes(begin, begin + 16);
      };
      const auto name = part(0), hmac_key = part(16), aes_key = part(48);
      CHECK(support::read_text(here.paths[0]) == text(name) + text(hmac_key) + text(aes_key));
      const Parts ticket(ticket_of(world, "old"));
      CHECK(ticket.name == name);
      const auto session = decrypt(ticket, aes_key);
      REQUIRE(session);
      CHECK(SSL_SESSION_get_protocol_version(session.get()) ==
            (version == Tls::v1_2 ? TLS1_2_VERSION : TLS1_3_VERSION));
      CHECK_FALSE(decrypt(ticket, hmac_key));
      // Apache 2.4.71 on OpenSSL 3 signs with an empty key, whatever the file says:
      // docs/keyfiles.md warns of it. One that takes the file's is better news.
      const bool keyed = ticket.mac == hmac(hmac_key, ticket.before_mac);
      const bool empty = ticket.mac == hmac({}, ticket.before_mac);
      CHECK(keyed != empty);

      CHECK(world.visit(second.port, {.version = version, .offer = "old"}).reused);
    }
  }

  TEST_CASE("Apache: two servers share a 48-byte key, and a rotation reaches it") {
    World world({"4s", "4s", "4s", "16s"});
    const auto files = key_files(world, "48", 1);
    world.configure(section(world, files, "a1", "USR1"));
    await(world, files);
    auto first = apache(world, "a1", files);
    auto second = apache(world, "a2", files);

    // a rotation may come in between, and a reload takes as long as it takes
    CHECK(wait_until(
        [&] {
          REQUIRE(world.visit(first.port, {.keep = "old"}).ok);
          second.process.send(SIGUSR1);
          std::this_thread::sleep_for(500ms);
          return world.visit(second.port, {.offer = "old"}).reused;
        },
        20s));

    const auto before = sealing_key(world, first.port);
    REQUIRE_FALSE(before.empty());
    CHECK_MESSAGE(wait_until([&] { return sealing_key(world, first.port) != before; }, 20s),
                  world.agent_log());
  }
}
