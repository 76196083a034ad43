// Locations that open for a token alone, in real nginx: one record behind an agent that
// the test plays, or the host's table.
#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <sys/socket.h>

#include <future>

#include "nginx/nginx.hpp"
#include "redeem/claims_server.hpp"
#include "redeem/old_tables.hpp"
#include "redeem/pool.hpp"
#include "support/rings.hpp"

namespace {

using samples::ClaimsServer;
using samples::flipped;
using samples::TokenPool;
using Mood = samples::ClaimsServer::Mood;
using ticket::ring::Fd;
using ticket::token::write_authorization;
using namespace nginx;

struct Response {
  int status = 0;  // 0: none came
  std::string head, body;
  std::string field(const std::string& name) const {
    const auto at = head.find("\r\n" + name + ": ");
    if (at == std::string::npos) return "";
    const auto begin = at + name.size() + 4;
    return head.substr(begin, head.find("\r\n", begin) - begin);
  }
  std::string outcome() const { return field("X-Token"); }
};

Fd connect_to(int port) {
  Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  timeval patience{.tv_sec = 10, .tv_usec = 0};
  setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  if (connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return {};
  return socket;
}

void send_request(const Fd& socket, const std::string& path, const std::string& authorization) {
  auto text = "GET " + path + " HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n";
  if (!authorization.empty()) text += "Authorization: " + authorization + "\r\n";
  text += "\r\n";
  for (std::size_t sent = 0; sent < text.size();) {
    const auto size = send(socket.get(), text.data() + sent, text.size() - sent, MSG_NOSIGNAL);
    if (size <= 0) return;
    sent += static_cast<std::size_t>(size);
  }
}

Response get(int port, const std::string& path, const std::string& authorization = "") {
  const auto socket = connect_to(port);
  if (!socket) return {};
  send_request(socket, path, authorization);
  std::string text;
  char bytes[4096];
  for (ssize_t size; (size = recv(socket.get(), bytes, sizeof bytes, 0)) > 0;) {
    text.append(bytes, static_cast<std::size_t>(size));
  }
  Response response;
  const auto end = text.find("\r\n\r\n");
  if (end == std::string::npos || !text.starts_with("HTTP/1.1 ")) return response;
  response.status = std::stoi(text.substr(9, 3));
  response.head = text.substr(0, end + 2);
  response.body = text.substr(end + 4);
  return response;
}

std::future<Response> getting(int port, const std::string& path, const std::string& authorization) {
  return std::async(std::launch::async, get, port, path, authorization);
}

// An nginx with a ring of its own, and what it needs to serve.
class Host {
 public:
  Host(const support::TempFolder& folder, const std::string& name, const TokenPool& pool,
       const std::string& more = "")
      : folder_(folder / name), ring_path_(folder_ / "web.ring"), writer_(ring_in(folder_), "web") {
    const auto now = wall_clock();
    auto ring = ticket::test::ring_of({ticket::test::epoch(1, now - 60s)}, 1, samples::here);
    ring.tokens = ticket::wire::write_token_block(pool.block);
    if (!writer_.publish(ring, now)) throw std::runtime_error("publish");
    samples::make_old_tables(pool.block, folder_ / "web.spent", ticket::Moment(now - 600s));
    support::write_text(folder_ / "html/index.html", "the door is open\n");
    support::write_text(folder_ / "html/404.html", "nothing here\n");
    server_ = std::make_unique<Nginx>(folder_, http_block(folder_, text(more)));
  }

  int port() const { return port_; }
  Nginx& server() { return *server_; }
  std::string socket() const { return folder_ / "web.claims"; }
  const fs::path& folder() const { return folder_; }

 private:
  static fs::path ring_in(const fs::path& folder) {
    fs::create_directories(folder / "html");
    return folder / "web.ring";
  }
  std::string text(const std::string& more) const {
    return "ticket_ring " + ring_path_.string() +
           "; ticket_token_origin a.test; large_client_header_buffers 4 256k;\n" +
           "server { listen 127.0.0.1:" + std::to_string(port_) + "; root " +
           (folder_ / "html").string() +
           "; error_page 404 /404.html; add_header X-Token $ticket_token always;\n"
           "location / { ticket_token on; " +
           more +
           " }\n"
           "location /optional/ { ticket_token optional; " +
           more + " alias " + (folder_ / "html").string() +
           "/; }\n"
           "location /named/ { ticket_token on; " +
           more +
           " try_files /nowhere @app; }\n"
           "location /cross/ { ticket_token on; " +
           more +
           " try_files /nowhere /other/index.html; }\n"
           "location @app { ticket_token on; " +
           more +
           " rewrite ^ /index.html break; }\n"
           "location /other/ { ticket_token on; ticket_token_origin b.test; alias " +
           (folder_ / "html").string() +
           "/; }\n"
           "location /both/ { satisfy any; deny all; ticket_token on; " +
           more + " alias " + (folder_ / "html").string() +
           "/; }\n"
           "location /open/ { alias " +
           (folder_ / "html").string() + "/; } } \n";
  }

  fs::path folder_, ring_path_;
  int port_ = support::unused_port();
  ticket::ring::RingWriter writer_;
  std::unique_ptr<Nginx> server_;
};

// A pool with one epoch that began a minute ago.
struct Pool : TokenPool {
  explicit Pool(ticket::wire::TokenRecord record) : TokenPool(record) {
    add_epoch(1, wall_clock() - 60s);
  }
  std::string header() const { return write_authorization(token()); }
};

// The challenge, less the seconds that it is good for.
std::string but_age(const Response& response) {
  const auto value = response.field("WWW-Authenticate");
  return value.substr(0, value.find("max-age"));
}

constexpr auto in_table = ticket::wire::TokenRecord::table;
constexpr auto shared = ticket::wire::TokenRecord::redis;

}  // namespace

TEST_SUITE("nginx: tokens") {
  TEST_CASE("promise 13: a location opens once for a token, and for nothing else") {
    const support::TempFolder folder;
    const Pool pool(in_table);
    Host host(folder, "one", pool);

    const auto asked = get(host.port(), "/");
    CHECK(asked.status == 401);
    CHECK(asked.outcome() == "missing");
    const auto challenges = ticket::token::parse_authenticate(asked.field("WWW-Authenticate"));
    REQUIRE(challenges.has_value());
    REQUIRE(challenges->size() == 1);
    CHECK(challenges->front().challenge == pool.challenge());

    const auto token = pool.token();
    const auto served = get(host.port(), "/", write_authorization(token));
    CHECK(served.status == 200);
    CHECK(served.body == "the door is open\n");
    CHECK(served.outcome() == "ok");
    const TokenPool foreign(in_table, {ticket::token::TokenType::blind_rsa}, 9);
    Pool other_pool(in_table);
    other_pool.block.epochs[0].context.fill(std::byte{0x77});
    const struct {
      std::string value;
      const char* outcome;
    } refused[] = {
        {write_authorization(token), "replay"},
        // its authenticator is garbage: seen only by who verifies before looking it up
        {write_authorization(flipped(token, 353)), "replay"},
        {write_authorization(flipped(pool.token(), 353)), "invalid"},
        {write_authorization(flipped(pool.token(), 70)), "unknown_key"},
        {other_pool.header(), "wrong_audience"},
        {"PrivateToken token=\"AA==\"", "malformed"},
        {"PrivateToken token=\"" + std::string(100'000, 'A') + "\"", "malformed"},
        {std::string(100'000, 'x'), "malformed"},
        {"Basic dXNlcjpwYXNz", "missing"},
    };
    for (const auto& attempt : refused) {
      CAPTURE(attempt.value.substr(0, 40));
      const auto answer = get(host.port(), "/", attempt.value);
      CHECK(answer.status == 401);
      CHECK(answer.outcome() == attempt.outcome);
      // the same to all of them
      CHECK(answer.body == asked.body);
      CHECK(but_age(answer) == but_age(asked));
    }
    CHECK(get(host.port(), "/open/").status == 200);
    CHECK(get(host.port(), "/open/").outcome() == "");
    CHECK(get(host.port(), "/optional/").outcome() == "missing");
    CHECK(get(host.port(), "/optional/").status == 200);
    CHECK(get(host.port(), "/optional/", write_authorization(token)).outcome() == "replay");
    CHECK(get(host.port(), "/optional/", pool.header()).outcome() == "ok");
    CHECK(get(host.port(), "/both/").status == 401);
    CHECK(get(host.port(), "/both/", pool.header()).status == 200);
  }

  TEST_CASE("promise 13: workers of two nginx on a host get one token at once: one opens") {
    const support::TempFolder folder;
    const Pool pool(in_table);
    Host one(folder, "one", pool);
    const auto tables = "ticket_token_tables " + (one.folder() / "web.spent").string() + ";";
    Host two(folder, "two", pool, tables);
    for (int i = 0; i < 30; ++i) {
      const auto header = pool.header();
      std::vector<std::future<Response>> answers;
      for (int k = 0; k < 3; ++k) {
        answers.push_back(getting(one.port(), "/", header));
        answers.push_back(getting(two.port(), "/", header));
      }
      int served = 0, refused = 0;
      for (auto& answer : answers) {
        const auto response = answer.get();
        served += response.status == 200;
        refused += response.status == 401 && response.outcome() == "replay";
      }
      CHECK(served == 1);
      CHECK(refused == 5);
    }
  }

  TEST_CASE("promise 13: two nginx with a shared record get one token at once: one opens") {
    const support::TempFolder folder;
    const Pool pool(shared);
    samples::Record record;
    Host one(folder, "one", pool, "ticket_token_timeout 5s;");
    Host two(folder, "two", pool, "ticket_token_timeout 5s;");
    ClaimsServer of_one(one.socket(), record), of_two(two.socket(), record);
    for (int i = 0; i < 30; ++i) {
      if (i == 15) {
        of_one.be(Mood::reversed);
        of_two.be(Mood::reversed);
      }
      const auto header = pool.header();
      std::vector<std::future<Response>> answers;
      for (int k = 0; k < 3; ++k) {
        answers.push_back(getting(one.port(), "/", header));
        answers.push_back(getting(two.port(), "/", header));
      }
      int served = 0, refused = 0;
      for (auto& answer : answers) {
        const auto response = answer.get();
        served += response.status == 200;
        refused += response.status == 401 && response.outcome() == "replay";
      }
      CHECK(served == 1);
      CHECK(refused == 5);
      const auto asked = of_one.asked();
      CHECK(get(one.port(), "/", header).outcome() == "replay");
      CHECK(of_one.asked() == asked);  // known at home
    }
    CHECK(record.size() == 30);
    CHECK(of_one.connections() <= 2);  // one a worker, kept
  }

  TEST_CASE("answers in any order are each their own request's") {
    const support::TempFolder folder;
    const Pool pool(shared);
    samples::Record record;
    Host host(folder, "one", pool, "ticket_token_timeout 5s;");
    ClaimsServer agent(host.socket(), record);
    agent.be(Mood::reversed);
    std::vector<std::string> fresh, spent;
    for (int i = 0; i < 10; ++i) {
      fresh.push_back(pool.header());
      const auto token = pool.token();
      spent.push_back(write_authorization(token));
      // another host spent it
      const auto gate = pool.gate(folder / "none", ticket::Moment(wall_clock()));
      const auto answer = gate->check_token(token, "a.test", ticket::Moment(wall_clock()));
      REQUIRE(answer.claim.has_value());
      record.claim(ticket::redeem::to_wire(*answer.claim, 0));
    }
    std::vector<std::future<Response>> opens, refused;
    for (std::size_t i = 0; i < fresh.size(); ++i) {
      opens.push_back(getting(host.port(), "/", fresh[i]));
      refused.push_back(getting(host.port(), "/", spent[i]));
    }
    for (auto& answer : opens) CHECK(answer.get().status == 200);
    for (auto& answer : refused) CHECK(answer.get().outcome() == "replay");
  }

  TEST_CASE("without an answer nothing passes, nobody waits long, and no worker stands still") {
    const support::TempFolder folder;
    const Pool pool(shared);
    samples::Record record;
    Host host(folder, "one", pool, "ticket_token_timeout 3s;");
    const auto unavailable = [&](const Response& answer) {
      CHECK(answer.status == 503);
      CHECK(answer.field("Retry-After") == "1");
      CHECK(answer.outcome() == "unknown");
    };
    unavailable(get(host.port(), "/", pool.header()));  // no agent
    CHECK(get(host.port(), "/").status == 401);
    auto agent = std::make_unique<ClaimsServer>(host.socket(), record);
    for (const auto mood : {Mood::unknowing, Mood::fickle, Mood::garbled}) {
      agent->be(mood);
      unavailable(get(host.port(), "/", pool.header()));
    }
    agent->be(Mood::silent);
    const auto begun = std::chrono::steady_clock::now();
    std::vector<std::future<Response>> waiting;
    for (int i = 0; i < 8; ++i) waiting.push_back(getting(host.port(), "/", pool.header()));
    for (int i = 0; i < 20; ++i) CHECK(get(host.port(), "/open/").status == 200);
    const auto others_took = std::chrono::steady_clock::now() - begun;
    for (auto& answer : waiting) unavailable(answer.get());
    CHECK(std::chrono::steady_clock::now() - begun >= 2900ms);
    CHECK(std::chrono::steady_clock::now() - begun < 10s);
    CHECK(others_took < 2900ms);

    // the agent is killed in the middle of claims, and another comes
    auto caught = getting(host.port(), "/", pool.header());
    std::this_thread::sleep_for(200ms);
    agent.reset();
    unavailable(caught.get());
    const ClaimsServer again(host.socket(), record);
    CHECK(get(host.port(), "/", pool.header()).status == 200);
  }

  TEST_CASE("an agent that is restarted between claim and answer is asked once more") {
    const support::TempFolder folder;
    const Pool pool(shared);
    samples::Record record;
    Host host(folder, "one", pool, "ticket_token_timeout 5s;");
    ClaimsServer agent(host.socket(), record);
    agent.be(Mood::fickle);  // records the claim, answers nothing
    auto answer = getting(host.port(), "/", pool.header());
    REQUIRE(support::wait_until([&] { return agent.asked() >= 1; }, 5s));
    agent.be(Mood::honest);
    const auto status = answer.get().status;
    CHECK((status == 200 || status == 503));  // 503: it became honest too late
    CHECK(record.size() == 1);
    CHECK(agent.asked() <= 2);
  }

  TEST_CASE("a redirect inside nginx spends no second token") {
    const support::TempFolder folder;
    const Pool pool(shared);
    samples::Record record;
    Host host(folder, "one", pool, "ticket_token_timeout 5s;");
    const ClaimsServer agent(host.socket(), record);
    CHECK(get(host.port(), "/", pool.header()).status == 200);  // to /index.html
    CHECK(get(host.port(), "/named/", pool.header()).status == 200);
    CHECK(get(host.port(), "/gone", pool.header()).body == "nothing here\n");
    CHECK(agent.asked() == 3);
    // but where the tokens of another origin are asked for, one spent here is spent
    CHECK(get(host.port(), "/other/", pool.header()).status == 200);
    CHECK(get(host.port(), "/cross/", pool.header()).status == 401);
    CHECK(agent.asked() == 5);
  }

  TEST_CASE("a client that leaves while the agent is asked leaves nothing behind") {
    const support::TempFolder folder;
    const Pool pool(shared);
    samples::Record record;
    Host host(folder, "one", pool, "ticket_token_timeout 1s;");
    ClaimsServer agent(host.socket(), record);
    agent.be(Mood::silent);
    for (int i = 0; i < 20; ++i) {
      const auto socket = connect_to(host.port());
      send_request(socket, "/", pool.header());
      if (i % 2 == 0) std::this_thread::sleep_for(5ms);
    }
    REQUIRE(support::wait_until([&] { return agent.asked() >= 10; }, 5s));
    agent.be(Mood::honest);
    for (int i = 0; i < 10; ++i) CHECK(get(host.port(), "/", pool.header()).status == 200);
    const auto log = host.server().log();
    CHECK(log.find("[alert]") == std::string::npos);
    CHECK(log.find("signal 11") == std::string::npos);
  }

  TEST_CASE("a reload forgets nothing that was spent, and old workers end") {
    const support::TempFolder folder;
    const Pool pool(shared);
    samples::Record record;
    Host host(folder, "one", pool, "ticket_token_timeout 5s;");
    ClaimsServer agent(host.socket(), record);
    const auto before = pool.header();
    CHECK(get(host.port(), "/", before).status == 200);
    const auto old = host.server().children();
    agent.be(Mood::reversed);
    auto under_way = getting(host.port(), "/", pool.header());
    host.server().reload();
    CHECK(under_way.get().status == 200);
    CHECK(get(host.port(), "/", before).outcome() == "replay");
    CHECK(get(host.port(), "/", pool.header()).status == 200);
    const auto ended = [&] {
      for (const auto pid : old) {
        if (kill(pid, 0) == 0) return false;
      }
      return true;
    };
    CHECK(support::wait_until(ended, 10s));
    CHECK(host.server().log().find("open socket") == std::string::npos);
  }
}
