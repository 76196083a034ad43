// What a worker does as it begins: after a configuration that nginx -t was happy with, it
// serves, whatever befalls it.
#include <doctest/doctest.h>
#include <sys/resource.h>

#include <algorithm>

#include "nginx/nginx.hpp"

using namespace nginx;

namespace {

struct Host {
  Host() : certificates(folder / "web"), ring(folder / "web.ring") {
    ring.publish({{1, -1h, 1h, 3h}});
  }
  std::string server(const std::string& name, const std::string& more) const {
    return "server { listen 127.0.0.1:" + std::to_string(port) + " ssl; server_name " + name +
           "; " + more + " location / { return 200 \"<<$ticket_status>>\"; } }\n";
  }
  std::string http(const std::string& servers) const {
    return http_block(folder / "nginx",
                      "server_names_hash_max_size 8192; server_names_hash_bucket_size 128;\n" +
                          certificates.of("a.test") + "\nticket_ring " + ring.path().string() +
                          ";\n" + servers);
  }
  std::string session(const std::string& name, int version) const {
    const std::string kept = folder / (name + std::to_string(version));
    connect(port, {.name = name, .version = version, .keep = kept});
    return kept;
  }
  bool resumes(const std::string& name, int version) const {
    const auto kept = session(name, version);
    return connect(port, {.name = name, .version = version, .offer = kept}).reused;
  }

  support::TempFolder folder;
  Certificates certificates;
  RingFile ring;
  const int port = support::unused_port();
};

// Runs nginx with a call that fails in every worker.
Nginx failing(const Host& host, const std::string& call, const std::string& main) {
  const auto library = support::build_root() / "tests/nginx/libfailing_calls.so";
  return Nginx(host.folder / "nginx", main,
               {"env", "LD_PRELOAD=" + library.string(), "TICKET_FAIL=" + call});
}

bool says(const std::string& text, const std::string& what) {
  return text.find(what) != std::string::npos;
}

// In time: a worker may be there and not have come so far.
bool logs(const Nginx& nginx, const std::string& what) {
  return support::wait_until([&] { return says(nginx.log(), what); }, 10s);
}

bool has_open(pid_t pid, const fs::path& file) {
  const fs::path all = "/proc/" + std::to_string(pid) + "/fd";
  return std::ranges::any_of(fs::directory_iterator(all), [&](const auto& entry) {
    std::error_code gone;
    return fs::read_symlink(entry.path(), gone) == file;
  });
}

}  // namespace

TEST_SUITE("nginx: a worker") {
  TEST_CASE("promise 15: more contexts than a ring takes are refused, as many are served") {
    const Host host;
    std::string servers;
    for (int i = 1; i <= 1024; ++i) {
      const auto number = std::to_string(i);
      servers += host.server("c" + number + ".test", "ticket_context c" + number + ";");
    }
    {
      const Nginx nginx(host.folder / "nginx",
                        host.http(servers + host.server("again.test", "ticket_context c7;")));
      for (const int version : {12, 13}) {
        CAPTURE(version);
        CHECK(host.resumes("c1.test", version));
        CHECK(host.resumes("c1024.test", version));
        CHECK(host.resumes("again.test", version));
      }
    }
    const auto outcome = Nginx::test(
        host.folder / "nginx", host.http(servers + host.server("d.test", "ticket_context d;")));
    INFO(outcome.output);
    CHECK(outcome.code == 1);
    CHECK(says(outcome.output, "server \"d.test\" in "));
    CHECK(says(outcome.output, "nginx.conf:"));
    CHECK(says(outcome.output, "has one ticket_context too many: a ring takes 1024"));
  }

  TEST_CASE("promise 15: a stream's contexts are counted, too") {
    rlimit files{};
    REQUIRE(getrlimit(RLIMIT_NOFILE, &files) == 0);
    files.rlim_cur = std::min<rlim_t>(files.rlim_max, 4096);
    REQUIRE(setrlimit(RLIMIT_NOFILE, &files) == 0);
    const Host host;
    const auto stream = [&](int count) {
      auto text = "stream { " + host.certificates.of("a.test") + " ticket_ring " +
                  host.ring.path().string() + ";\n";
      for (int i = 1; i <= count; ++i) {
        text += "server { listen 127.9." + std::to_string(i / 250) + "." +
                std::to_string(i % 250 + 1) + ":20446 ssl; ticket_context c" + std::to_string(i) +
                "; return ok; }\n";
      }
      auto head = Nginx::head(host.folder / "nginx");
      head.replace(head.find("events { }"), 10, "events { worker_connections 2000; }");
      const auto conf = host.folder / "nginx.conf";
      support::write_text(conf, head + text + "}\n");
      return support::run(
          {"/usr/sbin/nginx", "-t", "-p", host.folder.path(), "-c", conf, "-e", "stderr"});
    };
    fs::create_directories(host.folder / "nginx");
    const auto all = stream(1024), more = stream(1025);
    CHECK_MESSAGE(all.code == 0, all.output);
    INFO(more.output);
    CHECK(more.code == 1);
    CHECK(says(more.output, "stream server in "));
    CHECK(says(more.output, "has one ticket_context too many: a ring takes 1024"));
  }

  TEST_CASE("promise 15: a server block whose context fails goes without tickets, the rest with") {
    for (const std::string failed : {"a", "b"}) {
      CAPTURE(failed);
      const Host host;
      const auto nginx = failing(host, "attach " + failed,
                                 host.http("ssl_early_data on; ticket_early_data once;\n" +
                                           host.server("a.test", "ticket_context a;") +
                                           host.server("b.test", "ticket_context b;")));
      CHECK(logs(nginx, "ticket_context \"" + failed + "\" goes without tickets"));
      for (const int version : {12, 13}) {
        CAPTURE(version);
        for (const std::string name : {"a.test", "b.test"}) {
          CAPTURE(name);
          const auto seen = connect(
              host.port, {.name = name, .version = version, .keep = host.folder / "session"});
          REQUIRE_MESSAGE(seen.ok, seen.output);
          // OpenSSL asks the default server, a.test
          const bool with = failed == "b" && name == "a.test";
          CHECK(host.resumes(name, version) == with);
          CHECK(seen.key_name.empty() != with);
        }
      }
    }
  }

  TEST_CASE("promise 15: a ring that a worker cannot open costs tickets, not the worker") {
    const Host host;
    const auto nginx =
        failing(host, "ring",
                host.http(host.server("a.test",
                                      "ticket_token_origin a.test; location /token { "
                                      "ticket_token on; } location /trace { "
                                      "ticket_trace on lines=1; }")));
    CHECK(logs(nginx, "its servers go without tickets in this worker"));
    for (const int version : {12, 13}) {
      CAPTURE(version);
      REQUIRE(connect(host.port, {.version = version}).ok);
      CHECK_FALSE(host.resumes("a.test", version));
      CHECK(says(connect(host.port, {.version = version, .path = "/token"}).output, " 503 "));
      CHECK(says(connect(host.port, {.version = version, .path = "/trace"}).output,
                 "\"ticket\":null"));
    }
  }

  TEST_CASE("promise 15: a verifier that a worker cannot open costs tokens, not the worker") {
    const Host host;
    const auto nginx =
        failing(host, "verifier",
                host.http(host.server("a.test",
                                      "ticket_token_origin a.test; location /token { "
                                      "ticket_token on; }")));
    CHECK(logs(nginx, "no token is checked in this worker"));
    REQUIRE(host.resumes("a.test", 13));
    CHECK(says(connect(host.port, {.path = "/token"}).output, " 503 "));
  }

  TEST_CASE("promise 3: the cache manager and loader have no keys") {
    const Host host;
    const Nginx nginx(
        host.folder / "nginx",
        "stream { server { listen 127.0.0.1:" + std::to_string(support::unused_port()) +
            " ssl; ticket_ring " + host.ring.path().string() + "; " +
            host.certificates.of("a.test") + " return ok; } }\n" +
            host.http("proxy_cache_path " + (host.folder / "cache").string() +
                      " keys_zone=z:1m;\n" + host.server("a.test", "")));
    const auto of_kind = [&](const std::string& title) {
      std::vector<pid_t> found;
      for (const auto pid : nginx.children()) {
        const auto named = support::read_text("/proc/" + std::to_string(pid) + "/cmdline");
        if (says(named, title)) found.push_back(pid);
      }
      return found;
    };
    REQUIRE(support::wait_until([&] { return of_kind("worker process").size() == 2; }, 10s));
    REQUIRE(support::wait_until([&] { return of_kind("cache ").size() == 2; }, 10s));
    for (const auto pid : of_kind("worker process")) CHECK(has_open(pid, host.ring.path()));
    for (const auto pid : of_kind("cache ")) CHECK_FALSE(has_open(pid, host.ring.path()));
  }
}
