// The file in which sessions outlive a process.
#include "client/cache_file.hpp"

#include <dirent.h>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <ticket/client.hpp>

#include "client/client.hpp"
#include "client/world.hpp"
#include "support/process.hpp"

using namespace world;
using namespace std::chrono_literals;
using support::TempFolder;
using ticket::client::Session;
using ticket::client::SessionCache;

namespace {

const auto web = manifest_of({pool_of({"a.test", "b.test"})});
const Leaf shared{"DNS:a.test,DNS:b.test"};

// A client with a cache file, and its SSL_CTX.
struct Kept {
  explicit Kept(const std::string& path)
      : client(options(path), web.c_str()), ctx(client_context()) {
    tkt_client_attach(client.handle.get(), ctx.get(), "p");
  }
  static tkt_client_options options(const std::string& path) {
    tkt_client_options options{};
    options.cache_path = path.c_str();
    return options;
  }
  Visit visit(const std::string& host, const ContextPtr& at, const VisitOptions& how = {}) {
    return world::visit(client.handle.get(), ctx.get(), host, at.get(), how);
  }
  std::string said() const {
    std::string all;
    for (const auto& line : client.said) all += line + "\n";
    return all;
  }
  Client client;
  ContextPtr ctx;
};

// Another session of the same lineage.
Session like(const Session& one) {
  Session session{ticket::client::SessionPtr(SSL_SESSION_new()),
                  one.lineage,
                  one.server,
                  one.alpn,
                  one.received,
                  one.expires};
  session.version = one.version;
  return session;
}

// A folder in the place of a file, which stays open: nobody can remove that.
void take_place_of(const std::string& path, const std::string& moved) {
  std::filesystem::rename(path, moved);
  std::filesystem::create_directory(path);
}

// Makes the descriptor that this process has of a file one to read from.
void make_read_only(const std::string& path) {
  const int reader = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  REQUIRE(reader >= 0);
  DIR* all = opendir("/proc/self/fd");
  while (const auto* entry = readdir(all)) {
    const int number = std::atoi(entry->d_name);
    std::error_code none;
    const auto target =
        std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(number), none);
    if (!none && target == path && number != reader) dup2(reader, number);
  }
  closedir(all);
  close(reader);
}

}  // namespace

TEST_SUITE("client: cache file") {
  TEST_CASE("a client whose place another one takes still says what it could not write") {
    const TempFolder folder;
    std::filesystem::create_directory(folder / "sessions");
    std::string said;
    ticket::Client client({.cache = (folder / "sessions" / "file").string(),
                           .log = [&said](tkt_log_level, std::string_view text) { said += text; }});
    client.manifest_text(web);
    const auto ctx = client_context();
    client.attach(ctx.get());
    const auto host = server(shared);
    REQUIRE(world::visit(client.handle(), ctx.get(), "a.test", host.get(), {}).completed);
    std::filesystem::remove_all(folder / "sessions");

    client = ticket::Client({.cache = (folder / "other").string()});
    CHECK(said.find("cache file ") != std::string::npos);
    client.save();
  }

  TEST_CASE("sessions outlive the process, with what is known of them") {
    const TempFolder folder;
    const std::string path = folder / "sessions";
    const auto at = server(shared), uncovered = server({"DNS:c.test"});
    {
      Kept first(path);
      first.visit("a.test", at);
    }
    struct stat status {};
    REQUIRE(stat(path.c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0600);

    Kept second(path);
    CHECK(second.said() == "");
    const auto other = second.visit("b.test", at);
    CHECK(other.resumed);
    CHECK(other.ticket_of == "a.test:443");
    REQUIRE(second.client.manifest(manifest_of({pool_of({"a.test", "b.test", "c.test"})})) ==
            TKT_OK);
    const auto lacking = second.visit("c.test", uncovered);
    CHECK(lacking.why == "certificate of another name");
  }

  TEST_CASE("client promise: how a connection was verified counts, and outlives the process") {
    static const auto now = std::time(nullptr);
    const auto at = server(shared);
    const std::function<void(SSL_CTX*, bool)> settings[] = {
        [](SSL_CTX* ctx, bool other) {
          if (!other) SSL_CTX_set_cert_flags(ctx, SSL_CERT_FLAG_SUITEB_128_LOS);
        },
        [](SSL_CTX* ctx, bool other) {
          X509_VERIFY_PARAM_set_time(SSL_CTX_get0_param(ctx), now - (other ? 0 : 60));
        },
        [](SSL_CTX* ctx, bool other) {
          auto* store = X509_STORE_get0_param(SSL_CTX_get_cert_store(ctx));
          X509_VERIFY_PARAM_set_time(store, now - (other ? 0 : 60));
        },
    };
    for (const auto& set : settings) {
      CAPTURE(&set - settings);
      const TempFolder folder;
      const std::string path = folder / "sessions";
      for (const bool other : {false, true, false}) {
        CAPTURE(other);
        Kept kept(path);
        const bool first = kept.client.counters().sessions == 0;
        set(kept.ctx.get(), other);
        const auto visited = kept.visit(first ? "a.test" : "b.test", at);
        CHECK(visited.completed);
        CHECK(visited.resumed == (!first && !other));
        if (other) CHECK(visited.why == "other verification settings");
      }
    }
  }

  TEST_CASE("the fuzzer's seed, which lacks its checksum, is of today's layout") {
    auto seed =
        support::read_text(support::source_root() / "fuzz/corpus/parse_session_cache/two-sessions");
    const auto sum = ticket::crypto::sha256(ticket::as_bytes(seed));
    seed += ticket::as_text(sum);
    const auto sessions =
        ticket::client::parse_session_cache(ticket::as_bytes(seed), sys_seconds(1'790'000'000s));
    REQUIRE(sessions.has_value());
    CHECK(sessions->size() == 2);
  }

  TEST_CASE("client promise: a lineage ends in the file too") {
    const TempFolder folder;
    const std::string path = folder / "sessions";
    const auto at = server(shared);
    SSL_CTX_set_timeout(at.get(), 604800);
    { Kept(path).visit("a.test", at); }
    {
      Kept second(path);
      second.client.pass(23h);
      CHECK(second.visit("b.test", at).resumed);
    }
    Kept third(path);
    CHECK(third.client.counters().sessions > 0);
    REQUIRE(third.client.manifest(manifest_of({pool_of({"a.test", "b.test"})},
                                              std::time(nullptr) + 7 * 86400)) == TKT_OK);
    third.client.pass(24h);
    const auto over = third.visit("b.test", at);
    CHECK_FALSE(over.offered);
    CHECK(over.why == "expired");
  }

  TEST_CASE("client promise: a TLS 1.3 ticket is not offered twice by two processes either") {
    const TempFolder folder;
    const std::string path = folder / "sessions";
    const auto at = server(shared);
    { Kept(path).visit("a.test", at); }
    REQUIRE(std::filesystem::exists(path));

    Kept running(path);
    CHECK(running.client.counters().sessions == 2);
    Kept beside(path);  // at the same time
    CHECK(beside.client.counters().sessions == 0);
    CHECK(beside.said().find("in use by another process") != std::string::npos);
    const auto offered = running.visit("b.test", at, {.read_tickets = false});
    CHECK(offered.offered);
    // had it died here, the next one would find nothing to offer again
    CHECK_FALSE(std::filesystem::exists(path));

    CHECK(tkt_client_save(running.client.handle.get()) == TKT_OK);
    CHECK(std::filesystem::exists(path));
    running.visit("a.test", at);
    CHECK_FALSE(std::filesystem::exists(path));
  }

  TEST_CASE("client promise: nor when the file cannot be removed any more: it is emptied then") {
    const TempFolder folder;
    const std::string path = folder / "sessions", moved = folder / "moved";
    const auto at = server(shared);
    { Kept(path).visit("a.test", at); }
    Kept running(path);
    take_place_of(path, moved);

    const auto offered = running.visit("b.test", at, {.read_tickets = false});

    CHECK(offered.offered);
    CHECK(std::filesystem::file_size(moved) == 0);
  }

  TEST_CASE("client promise: and where it cannot be emptied either, nothing of it is offered") {
    const TempFolder folder;
    const std::string path = folder / "sessions", moved = folder / "moved";
    const auto at = server(shared);
    { Kept(path).visit("a.test", at); }
    Kept running(path);
    make_read_only(path);
    take_place_of(path, moved);

    const auto first = running.visit("b.test", at), second = running.visit("b.test", at);

    for (const auto& visited : {first, second}) {
      CHECK(visited.completed);
      CHECK_FALSE(visited.offered);
      CHECK(visited.why == "cache file cannot be removed");
    }
    CHECK(running.client.said.size() == 1);
    CHECK(running.said().find("no TLS 1.3 session is offered") != std::string::npos);
    std::filesystem::remove(path);  // now nothing stands in the way
    CHECK(running.visit("b.test", at).offered);
  }

  TEST_CASE("client promise: a forked child offers nothing of its parent's, nor writes its file") {
    const TempFolder folder;
    const std::string path = folder / "sessions";
    const auto at = server(shared);
    Kept parent(path);
    parent.visit("a.test", at);
    REQUIRE(tkt_client_save(parent.client.handle.get()) == TKT_OK);
    const auto written = support::read_text(path);
    const auto in_child = [&](const std::function<bool()>& body) {
      const auto child = fork();
      if (child == 0) {
        const bool good = body();
        tkt_client_close(parent.client.handle.release());
        _exit(good ? 0 : 1);
      }
      int status = -1;
      waitpid(child, &status, 0);
      return WIFEXITED(status) && WEXITSTATUS(status) == 0;
    };

    CHECK(in_child([&] {
      const auto visited = parent.visit("b.test", at);
      return visited.completed && !visited.offered;
    }));
    CHECK(support::read_text(path) == written);
    const auto visited = parent.visit("b.test", at);
    CHECK(visited.resumed);
    CHECK_FALSE(std::filesystem::exists(path));
    CHECK(in_child([&] { return tkt_client_save(parent.client.handle.get()) == TKT_OK; }));
    CHECK_FALSE(std::filesystem::exists(path));

    Kept second(path);
    CHECK(second.client.counters().sessions == 0);  // it is the parent's still
  }

  TEST_CASE("a child that lives on does not keep the file from the next process") {
    const TempFolder folder;
    const std::string path = folder / "sessions";
    const auto at = server(shared);
    auto parent = std::make_unique<Kept>(path);
    parent->visit("a.test", at);
    const auto child = fork();
    if (child == 0) {
      pause();
      _exit(0);
    }
    parent.reset();

    Kept next(path);

    CHECK(next.said() == "");
    CHECK(next.client.counters().sessions == 2);
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
  }

  TEST_CASE("nor does a child that lets go of its copy give the parent's file away") {
    const TempFolder folder;
    const std::string path = folder / "sessions";
    Kept parent(path);
    const auto child = fork();
    if (child == 0) {
      tkt_client_close(parent.client.handle.release());
      _exit(0);
    }
    waitpid(child, nullptr, 0);
    CHECK(Kept(path).said().find("in use by another process") != std::string::npos);
  }

  TEST_CASE("in a forked child a client waits for no lock of its parent's") {
    Kept parent("");
    const auto at = server(shared);
    parent.visit("a.test", at);
    parent.visit("a.test", at);
    const auto child = fork();
    if (child == 0) {
      bool any = false;
      const auto each = [](void* user, const tkt_client_pool_counters*) {
        *static_cast<bool*>(user) = true;
      };
      bool good = parent.client.manifest(web) == TKT_OK && parent.client.manifest("{") == TKT_OK;
      good = good && tkt_client_pools_read(parent.client.handle.get(), each, &any) == TKT_OK;
      const auto counters = parent.client.counters();
      _exit(good && !any && counters.manifest_size == 0 && counters.prepared == 2 ? 0 : 1);
    }
    int status = -1;
    waitpid(child, &status, 0);
    CHECK(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 0);
  }

  TEST_CASE("what was never written needs no removing") {
    const TempFolder folder;
    const std::string path = folder / "sessions";
    std::filesystem::create_directory(path);
    const auto at = server(shared);
    Kept client(path);
    CHECK(client.visit("a.test", at).completed);
    CHECK(tkt_client_save(client.client.handle.get()) == TKT_INTERNAL);
    CHECK(client.visit("a.test", at).resumed);
    CHECK_FALSE(std::filesystem::exists(path + ".new"));
  }

  TEST_CASE("more sessions are written than a process has mappings for, one each") {
    constexpr std::size_t many = 20'000;
    const TempFolder folder;
    const std::string path = folder / "sessions";
    const auto at = server(shared);
    { Kept(path).visit("a.test", at); }
    auto parsed =
        ticket::client::parse_session_cache(ticket::as_bytes(support::read_text(path)), real_now());
    REQUIRE(parsed);
    const auto& one = parsed->front().session;
    SessionCache cache({many, many, many});
    for (std::size_t i = 0; i < many; ++i) {
      auto session = like(one);
      session.session = ticket::client::copy(one.session.get());
      cache.put("", std::to_string(i), std::move(session));
    }
    const auto written = ticket::client::write_session_cache(cache, real_now());
    const auto again = ticket::client::parse_session_cache(written.expose(), real_now());
    REQUIRE(again);
    CHECK(again->size() == many);
  }

  TEST_CASE("a torn, foreign or old file is ignored, with a reason, and replaced") {
    const TempFolder folder;
    const std::string path = folder / "sessions";
    const auto at = server(shared);
    { Kept(path).visit("a.test", at); }
    const auto whole = support::read_text(path);
    auto flipped = whole, version = whole;
    flipped[whole.size() / 2] = static_cast<char>(flipped[whole.size() / 2] ^ 1);
    version[8] = 3;
    const struct {
      std::string content;
      const char* why;
    } cases[] = {
        {whole.substr(0, whole.size() - 1), "torn"},
        {whole.substr(0, 20), "torn"},
        {"", "empty"},
        {flipped, "torn"},
        {version, "another version"},
        {"-----BEGIN CERTIFICATE-----", "not a session cache"},
    };
    for (const auto& one : cases) {
      CAPTURE(one.why);
      support::write_text(path, one.content);
      Kept client(path);
      CHECK(client.said().find(one.why) != std::string::npos);
      CHECK(client.client.counters().sessions == 0);
      CHECK(client.visit("a.test", at).completed);
    }
    Kept last(path);
    CHECK(last.said() == "");
    CHECK(last.client.counters().sessions > 0);
  }

  TEST_CASE("each beginning of a file, and each with a byte changed, is refused") {
    SessionCache cache({});
    const TempFolder folder;
    const std::string path = folder / "sessions";
    const auto at = server(shared);
    { Kept(path).visit("a.test", at); }
    const auto whole = support::read_text(path);
    CHECK(ticket::client::parse_session_cache(ticket::as_bytes(whole), real_now())->size() == 2);
    for (std::size_t size = 0; size < whole.size(); size += 7) {
      CHECK_FALSE(
          ticket::client::parse_session_cache(ticket::as_bytes(whole.substr(0, size)), real_now()));
    }
    for (std::size_t at_byte = 0; at_byte < whole.size(); at_byte += 11) {
      auto changed = whole;
      changed[at_byte] = static_cast<char>(changed[at_byte] ^ 0x40);
      CHECK_FALSE(ticket::client::parse_session_cache(ticket::as_bytes(changed), real_now()));
    }
    CHECK(ticket::client::parse_session_cache(ticket::as_bytes(whole), real_now() + 8 * 24h)
              ->empty());
  }

  TEST_CASE("a file that others can read, or a link in its place, is not read") {
    const TempFolder folder;
    const std::string path = folder / "sessions";
    const auto at = server(shared);
    { Kept(path).visit("a.test", at); }
    chmod(path.c_str(), 0644);
    {
      Kept client(path);
      CHECK(client.said().find("chmod 600") != std::string::npos);
      CHECK(client.client.counters().sessions == 0);
      client.visit("a.test", at);
    }
    std::filesystem::rename(path, folder / "elsewhere");
    std::filesystem::create_symlink(folder / "elsewhere", path);
    Kept client(path);
    CHECK(client.client.counters().sessions == 0);
    CHECK(client.said() != "");
  }

  TEST_CASE("a client closes whatever keeps its file from being written") {
    bool broken = false;
    ticket::client::ClientOptions options;
    options.clock = [&] { return broken ? throw std::bad_alloc() : real_now(); };
    ticket::client::Client client(options);
    broken = true;
    CHECK_NOTHROW(client.close());
    CHECK(client.closed());
  }

  TEST_CASE("a FIFO in its place is not waited for") {
    const TempFolder folder;
    const std::string path = folder / "sessions";
    REQUIRE(mkfifo(path.c_str(), 0600) == 0);
    Kept client(path);
    CHECK(client.said().find("not a file") != std::string::npos);
  }

  TEST_CASE("a folder that is not there is no error") {
    Kept client("/nonexistent/sessions");
    CHECK(client.said().find("sessions stay in memory") != std::string::npos);
    const auto at = server(shared);
    CHECK(client.visit("a.test", at).completed);
    CHECK(client.visit("a.test", at).resumed);
  }
}
