// ticket_early_data once, with first flights that are carried to real nginx byte for byte:
// what is executed stands in the access log.
#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <set>
#include <sstream>
#include <thread>

#include "nginx/nginx.hpp"
#include "support/early_flight.hpp"

using namespace nginx;

namespace {

// The default server a.test, and b.test, which takes no early data. `reuseport`: the kernel
// gives connections to both workers alike.
struct EarlySite {
  EarlySite(const support::TempFolder& in, const Certificates& certificates,
            const std::string& name, const std::string& directives)
      : port(support::unused_port()), folder(in / name) {
    const auto server = [&](const std::string& host, const std::string& more) {
      return "server { listen 127.0.0.1:" + std::to_string(port) +
             (host == "a.test" ? " ssl reuseport" : " ssl") + "; server_name " + host + "; " +
             certificates.of(host) + more +
             " location / { return 200 \"<<$ticket_status $pid>>\"; } }\n";
    };
    fs::create_directories(folder);
    text = "log_format early '$request_uri $ssl_early_data:$ticket_early_data $pid';\n" +
           directives + server("a.test", "ssl_early_data on; ") +
           server("b.test", "ssl_early_data on; ticket_early_data off; ");
    text = http_block(folder, text);
    text.replace(text.find("access_log off"), 14, "access_log " + log().string() + " early");
    // http_block names the log before its format is known
    const auto format = text.find("log_format"), end = text.find('\n', format);
    const auto line = text.substr(format, end - format);
    text.erase(format, end - format);
    text.insert(text.find('{') + 1, line);
  }
  fs::path log() const { return folder / "access.log"; }
  // Requests that were executed, of this path.
  std::vector<std::string> executed(const std::string& path) const {
    std::vector<std::string> found;
    std::istringstream lines(fs::exists(log()) ? support::read_text(log()) : "");
    for (std::string line; std::getline(lines, line);)
      if (line.starts_with(path + " ")) found.push_back(line.substr(path.size() + 1));
    return found;
  }

  int port;
  fs::path folder;
  std::string text;
};

class Pool {
 public:
  explicit Pool(const std::string& how = "ticket_early_data once; ")
      : certificates(folder / "web"),
        ring(folder / "one.ring", 1),
        other_ring(folder / "two.ring", 2),
        first(folder, certificates, "first", "ticket_ring " + ring.path().string() + "; " + how),
        second(folder, certificates, "second",
               "ticket_ring " + other_ring.path().string() + "; " + how) {
    ring.publish({{1, -1h, 1h, 3h}});
    other_ring.publish({{1, -1h, 1h, 3h}});
    one = std::make_unique<Nginx>(first.folder, first.text);
    two = std::make_unique<Nginx>(second.folder, second.text);
  }
  // A flight with a request of its own, under a ticket of the first server.
  std::string flight(const std::string& path, const std::string& name = "a.test") const {
    const auto session = folder / "session";
    REQUIRE(connect(first.port, {.name = name, .keep = session}).ok);
    const auto flight = support::early_flight(
        session, name,
        "GET " + path + " HTTP/1.1\r\nHost: " + name + "\r\nConnection: close\r\n\r\n");
    REQUIRE(flight.has_value());
    return *flight;
  }
  // nginx logs a request when it is over.
  static std::vector<std::string> after(const EarlySite& site, const std::string& path,
                                        std::size_t wanted) {
    support::wait_until([&] { return site.executed(path).size() >= wanted; }, 10s);
    return site.executed(path);
  }

  support::TempFolder folder;
  Certificates certificates;
  RingFile ring, other_ring;
  EarlySite first, second;
  std::unique_ptr<Nginx> one, two;
};

}  // namespace

TEST_SUITE("nginx: early data") {
  TEST_CASE("stock nginx executes a flight again, on each server that has the keys") {
    const support::TempFolder folder;
    const Certificates certificates(folder / "web");
    support::write_text(folder / "key", std::string(40, 'k') + std::string(40, 'l'));
    const auto keys = "ssl_session_ticket_key " + (folder / "key").string() +
                      "; ssl_session_cache off; ticket_ring off; ";
    const EarlySite first(folder, certificates, "first", keys),
        second(folder, certificates, "second", keys);
    const Nginx one(first.folder, first.text), two(second.folder, second.text);
    const auto session = folder / "session";
    REQUIRE(connect(first.port, {.keep = session}).ok);
    const auto flight = support::early_flight(
        session, "a.test", "GET /pay HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n");
    REQUIRE(flight.has_value());

    for (int i = 0; i < 4; ++i) {
      CHECK(support::deliver(*flight, static_cast<std::uint16_t>(first.port)));
      CHECK(support::deliver(*flight, static_cast<std::uint16_t>(second.port)));
    }
    CHECK(Pool::after(first, "/pay", 4).size() == 4);  // this is the hole
    CHECK(Pool::after(second, "/pay", 4).size() == 4);
  }

  TEST_CASE("promise 14: a flight runs once on two workers, a second server, after restarts") {
    Pool pool;
    const auto to = [](const EarlySite& site) { return static_cast<std::uint16_t>(site.port); };
    const auto flight = pool.flight("/pay");
    CHECK(support::deliver(flight, to(pool.second)));
    CHECK(support::deliver(flight, to(pool.first)));
    const auto once = Pool::after(pool.first, "/pay", 1);
    REQUIRE(once.size() == 1);
    CHECK(once[0].starts_with("1:accepted "));
    for (int i = 0; i < 30; ++i) CHECK(support::deliver(flight, to(pool.first)));
    pool.one->reload();
    CHECK(support::deliver(flight, to(pool.first)));
    pool.one->restart();
    for (int i = 0; i < 4; ++i) CHECK(support::deliver(flight, to(pool.first)));
    pool.two->restart();
    CHECK(support::deliver(flight, to(pool.second)));
    fs::remove_all(pool.folder / "one.early");  // as a machine that booted would have it
    pool.one->restart();
    for (int i = 0; i < 4; ++i) CHECK(support::deliver(flight, to(pool.first)));

    pool.flight("/last");  // its connection is behind all of these
    CHECK(pool.first.executed("/pay").size() == 1);
    CHECK(pool.second.executed("/pay").empty());

    // and the host takes early data again, with tickets of now
    CHECK(support::deliver(pool.flight("/again"), to(pool.first)));
    CHECK(Pool::after(pool.first, "/again", 1).size() == 1);
  }

  TEST_CASE("both workers take flights with tickets of either") {
    Pool pool;
    std::set<std::string> minters, takers;
    const auto both = [&] { return minters.size() == 2 && takers.size() == 2; };
    for (int i = 0; i < 64 && (i < 12 || !both()); ++i) {  // the kernel deals connections out
      const auto session = pool.folder / "session";
      const auto begun = connect(pool.first.port, {.keep = session});
      minters.insert(begun.body);
      const auto path = "/taken" + std::to_string(i) + "x";
      const auto flight = support::early_flight(
          session, "a.test",
          "GET " + path + " HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n");
      REQUIRE(flight.has_value());
      CHECK(support::deliver(*flight, static_cast<std::uint16_t>(pool.first.port)));
      const auto taken = Pool::after(pool.first, path, 1);
      CHECK(taken.size() == 1);
      if (!taken.empty()) takers.insert(taken[0]);
    }
    CHECK(minters.size() == 2);
    CHECK(takers.size() == 2);
    // a folder of the workers' own
    struct stat status {};
    REQUIRE(stat((pool.folder / "one.early").c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0700);
  }

  TEST_CASE("promise 14: a folder that is not the workers' own is left as it is, and not used") {
    const support::TempFolder folder;
    const Certificates certificates(folder / "web");
    RingFile ring(folder / "one.ring");
    ring.publish({{1, -1h, 1h, 3h}});
    const auto etc = folder / "etc";
    fs::create_directory(etc);
    fs::permissions(etc, fs::perms::all);
    const bool root = geteuid() == 0;
    if (root) {
      fs::permissions(etc, fs::perms(0755));
      REQUIRE(chown(etc.c_str(), 1, 1) == 0);
    }
    const EarlySite site(folder, certificates, "site",
                         "ticket_ring " + ring.path().string() +
                             "; ticket_early_data once folder=" + etc.string() + "; ");
    const auto told = "\"" + etc.string() + "\" is not of the workers' user alone";
    const auto tried = Nginx::test(site.folder, site.text);
    CHECK(tried.code == 0);
    if (root) CHECK_MESSAGE(tried.output.find(told) != std::string::npos, tried.output);
    Nginx nginx(site.folder, site.text);

    struct stat status {};
    REQUIRE(stat(etc.c_str(), &status) == 0);
    if (root) CHECK(status.st_uid == 1);
    CHECK(nginx.log().find(told) != std::string::npos);
    // a worker takes what it gave the ticket for: sooner or later it meets its own
    const auto taken = [&] {
      const auto session = folder / "session";
      connect(site.port, {.keep = session});
      const auto flight = support::early_flight(
          session, "a.test", "GET /own HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n");
      if (flight) {
        for (int i = 0; i < 8; ++i) support::deliver(*flight, std::uint16_t(site.port));
      }
      return !site.executed("/own").empty();
    };
    CHECK(support::wait_until(taken, 20s));
    CHECK(site.executed("/own").size() == 1);
    CHECK(fs::is_empty(etc));

    // made anew it is theirs
    fs::remove(etc);
    const auto again = Nginx::test(site.folder, site.text);
    CHECK(again.output.find(told) == std::string::npos);
    CHECK_FALSE(fs::exists(etc));  // a test makes nothing
    nginx.reload();
    CHECK(support::wait_until([&] { return fs::exists(etc) && !fs::is_empty(etc); }, 10s));
  }

  TEST_CASE("promise 14: the folder that is made for workers of another user is given to them") {
    if (geteuid() != 0) {
      MESSAGE("skipped: only root has workers of another user");
      return;
    }
    const support::TempFolder folder;
    fs::permissions(folder.path(), fs::perms(0755));
    const Certificates certificates(folder / "web");
    RingFile ring(folder / "one.ring");
    ring.publish({{1, -1h, 1h, 3h}});
    fs::permissions(ring.path(), fs::perms(0644));
    const EarlySite site(folder, certificates, "site",
                         "ticket_ring " + ring.path().string() + "; ticket_early_data once; ");
    Nginx nginx(site.folder, "user nobody nogroup;\n" + site.text);
    const auto early = folder / "one.early";

    CHECK(support::wait_until([&] { return fs::exists(early) && !fs::is_empty(early); }, 10s));
    struct stat status {};
    REQUIRE(stat(early.c_str(), &status) == 0);
    CHECK(status.st_uid == 65534);
    CHECK((status.st_mode & 0777) == 0700);
    nginx.reload();
    CHECK(nginx.log().find("is not of the workers' user alone") == std::string::npos);
  }

  TEST_CASE("promise 14: a client whose early data is refused goes on in 1-RTT") {
    Pool pool;
    const auto session = pool.folder / "session", early = pool.folder / "early";
    support::write_text(early, "GET /early HTTP/1.1\r\nHost: a.test\r\n\r\n");
    for (const int port : {pool.second.port, pool.first.port}) {
      connect(pool.first.port, {.keep = session});
      const auto again = connect(port, {.offer = session, .more = {"-early_data", early}});
      CHECK_MESSAGE(again.reused, again.output);
      const bool here = port == pool.first.port;
      CHECK((again.output.find(here ? "Early data was accepted" : "Early data was rejected") !=
             std::string::npos));
      if (!here) CHECK_MESSAGE(again.ok, again.output);
    }
    CHECK(Pool::after(pool.first, "/early", 1).size() == 1);
    CHECK(pool.second.executed("/early").empty());
    // who was taken has a new ticket, which is good for the next flight
    const auto renewed = pool.folder / "renewed";
    connect(pool.first.port, {.keep = session});
    connect(pool.first.port, {.keep = renewed, .offer = session, .more = {"-early_data", early}});
    const auto next = support::early_flight(
        renewed, "a.test", "GET /next HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n");
    REQUIRE(next.has_value());
    CHECK(support::deliver(*next, static_cast<std::uint16_t>(pool.first.port)));
    CHECK(Pool::after(pool.first, "/next", 1).size() == 1);
  }

  TEST_CASE("a virtual host without early data has none on a port whose default server has") {
    Pool pool;
    const auto session = pool.folder / "session";
    REQUIRE(connect(pool.first.port, {.name = "b.test", .keep = session}).ok);
    CHECK_FALSE(support::early_flight(session, "b.test", "GET /").has_value());
    CHECK(connect(pool.first.port, {.name = "b.test", .offer = session}).reused);
    CHECK(connect(pool.second.port, {.name = "b.test", .offer = session}).reused);
  }

  TEST_CASE("promise 14: once is refused where the port would take early data without a ring") {
    const support::TempFolder folder;
    const Certificates certificates(folder / "web");
    support::write_text(folder / "web.ring", "");
    const auto server = [&](const std::string& host, const std::string& more) {
      return "server { listen 127.0.0.1:20447 ssl; server_name " + host + "; " +
             certificates.of(host) + more + " }\n";
    };
    const auto ring = "ticket_ring " + (folder / "web.ring").string() + "; ";
    const std::string on = "ssl_early_data on; ", once = "ticket_early_data once; ";
    struct {
      std::string http;
      int code;
      const char* says;
      const char* lines;  // of which servers
    } const cases[] = {
        {server("a.test", on + once), 1, "needs a ticket_ring in server \"a.test\"", "a"},
        {ring + server("a.test", on + once + "ticket_ring off;"), 1,
         "needs a ticket_ring in server \"a.test\"", "a"},
        {on + once + server("a.test", ring) + server("b.test", "ticket_ring off;"), 1,
         "needs a ticket_ring in server \"b.test\"", "b"},
        {on + server("a.test", "") + server("b.test", ring + once), 1,
         "cannot hold in server \"b.test\"", "ab"},
        {server("a.test", on) + server("b.test", ring + once), 1,
         "cannot hold in server \"b.test\"", "ab"},
        {on + server("a.test", "") + server("b.test", ring), 0, "server \"b.test\" in ", "ab"},
        {on + once + ring + server("a.test", "") + server("b.test", ""), 0, "", ""},
        {server("a.test", on), 0, "", ""},
        {server("a.test", "") + server("b.test", on + ring + once), 0, "gets no tickets", "ab"},
        {on + once + server("a.test", "ssl_early_data off;") +
             server("b.test", "ticket_early_data off;"),
         0, "", ""},
    };
    for (const auto& way : cases) {
      CAPTURE(way.http);
      const auto outcome = Nginx::test(folder / "nginx", http_block(folder / "nginx", way.http));
      INFO(outcome.output);
      CHECK(outcome.code == way.code);
      CHECK(outcome.output.find(way.says) != std::string::npos);
      CHECK((outcome.output.find("[warn]") != std::string::npos) ==
            (way.code == 0 && *way.says != '\0'));
      for (const char* name = way.lines; *name != '\0'; ++name) {
        const auto conf = support::read_text(folder / "nginx/nginx.conf");
        const auto at = conf.find(std::string("server_name ") + *name + ".test");
        const auto line = std::count(conf.begin(), conf.begin() + std::ptrdiff_t(at), '\n') + 1;
        CHECK(outcome.output.find("nginx.conf:" + std::to_string(line)) != std::string::npos);
      }
    }
  }

  TEST_CASE("promise 15: what ticket_early_data says wrong is named with its line") {
    const support::TempFolder folder;
    const Certificates certificates(folder / "web");
    support::write_text(folder / "web.ring", "");
    const auto server = [&](const std::string& host, const std::string& more) {
      return "server { listen 127.0.0.1:20445 ssl; server_name " + host + "; " +
             certificates.of(host) + "ticket_ring " + (folder / "web.ring").string() + "; " + more +
             " }\n";
    };
    struct {
      std::string http;
      int code;
      const char* says;
    } const cases[] = {
        {server("a.test", "ticket_early_data twice;"), 1, "takes \"off\" or \"once "},
        {server("a.test", "ticket_early_data off now;"), 1, "takes \"off\" or \"once "},
        {server("a.test", "ticket_early_data once size=1;"), 1, "takes \"off\" or \"once "},
        {server("a.test", "ticket_early_data once capacity=0;"), 1, "has a wrong number"},
        {server("a.test", "ticket_early_data off; ticket_early_data once;"), 1, "is duplicate in "},
        {server("a.test", "ssl_early_data on; ticket_early_data once;") +
             server("b.test", "ssl_early_data on; ticket_early_data once capacity=7;"),
         1, "has another folder or capacity"},
        {server("a.test", "ssl_early_data on; ticket_early_data once folder=" +
                              folder.path().string() + "/;"),
         1, "is that of its ticket_ring, which is the agent's"},
        {server("a.test", "ssl_early_data on; ticket_early_data once folder=" +
                              (folder / "web/..").string() + ";"),
         1, "is that of its ticket_ring, which is the agent's"},
        {server("a.test", "ticket_early_data once;"), 0, "it needs \"ssl_early_data on\""},
        {server("a.test", "") + server("b.test", "ssl_early_data on; ticket_early_data once;"), 0,
         "server \"b.test\" in "},
        {server("a.test", "ssl_early_data on;"), 0, "\"ticket_early_data off\""},
    };
    for (const auto& wrong : cases) {
      CAPTURE(wrong.http);
      const auto outcome = Nginx::test(folder / "nginx", http_block(folder / "nginx", wrong.http));
      INFO(outcome.output);
      CHECK(outcome.code == wrong.code);
      CHECK(outcome.output.find(wrong.says) != std::string::npos);
      CHECK(outcome.output.find("nginx.conf:") != std::string::npos);
    }
    CHECK_FALSE(fs::exists(folder / "web.early"));  // a test of the configuration makes nothing
  }
}
