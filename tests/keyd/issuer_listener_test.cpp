// The issuer's listener itself, asked by curl over TLS and plain HTTP; behind it a fake
// keeper with real keys.
#include "issuer_listener.hpp"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <sys/socket.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <regex>
#include <thread>

#include "../crypto/certificates.hpp"
#include "crypto/digest.hpp"
#include "fake_keeper.hpp"
#include "ring/ring_file.hpp"
#include "support/process.hpp"
#include "token/client.hpp"

using namespace ticket;
using namespace std::chrono_literals;
using namespace test;
using token::Form;
using token::TokenType;

namespace {

const token::TokenTypes types(0x0005);

std::string hash_of(const std::string& secret) { return hex(crypto::sha256(as_bytes(secret))); }

sys_seconds wall_clock() { return std::chrono::floor<seconds>(std::chrono::system_clock::now()); }

Wish valid_now(Wish wish) {
  wish.from = wall_clock() - 1h;
  wish.until = wall_clock() + 24h;
  return wish;
}

// The issuer's certificate, a client's, and one of a CA that is not the issuer's.
struct Folder : support::TempFolder {
  Folder() {
    write("ca.pem", pem_of(ca.certificate.get()));
    identity("issuer", "IP:127.0.0.1", ca);
    identity("client", "URI:client", ca);
    identity("foreign", "URI:client", other_ca);
  }
  void write(const std::string& name, const std::string& text) const {
    support::write_text(*this / name, text);
  }
  void identity(const std::string& name, const std::string& names,
                const test::Authority& issuer) const {
    const auto key = p256_key();
    Wish wish;
    wish.name = name;
    wish.extensions.push_back({NID_subject_alt_name, names});
    write(name + ".pem", pem_of(issuer.sign(key.get(), valid_now(wish)).get()));
    write(name + ".key", pem_of(key.get()));
  }

  test::Authority ca{valid_now(ca_wish("test CA"))};
  test::Authority other_ca{valid_now(ca_wish("other CA"))};
};

// The machine's clock, and what somebody sets it to.
struct SettableClock : Clock {
  Moment now() const override {
    const auto moment = machine.now();
    return Moment(moment.steady + set.load(), moment.latest + set.load());
  }
  SystemClock machine;
  std::atomic<seconds> set{0s};
};

// Listeners whose loop turns in a thread of its own.
struct House {
  House() {
    listeners.serve(keeper);
    rsa = keeper.add(TokenType::blind_rsa, "web", wall_clock() + 1h);
    ristretto = keeper.add(TokenType::ristretto, "web", wall_clock() + 1h);
  }
  ~House() {
    context.stop();
    if (loop.joinable()) loop.join();
  }

  keyd::IssuerSetup setup(std::vector<std::string> attest, bool tls = true) const {
    keyd::IssuerSetup setup;
    setup.pool = "web";
    setup.listen = {"127.0.0.1", "0"};
    if (tls) setup.certificate = folder / "issuer.pem";
    if (tls) setup.key = folder / "issuer.key";
    setup.attest = std::move(attest);
    setup.attest_ca = support::read_text(folder / "ca.pem");
    setup.secrets = {{"alice", hash_of("open-sesame")}};
    setup.budget = 10;
    setup.budget_window = 3600;
    setup.ristretto_type = 0x0005;
    return setup;
  }
  void open(const keyd::IssuerSetup& setup) {
    listeners.adopt(listeners.prepare({setup}));
    base = (setup.certificate.empty() ? "http://" : "https://") + listeners.endpoint("web");
    if (!loop.joinable()) loop = std::thread([this] { context.run(); });
  }
  // In the loop's thread, and waited for.
  void within_loop(const std::function<void()>& work) {
    std::atomic<bool> done = false;
    boost::asio::post(context, [&] {
      work();
      done = true;
    });
    REQUIRE(support::wait_until([&] { return done.load(); }, 5s));
  }

  // "STATUS" and what came with it.
  struct Reply {
    std::string status, head, body;
  };
  Reply curl(const std::string& path, std::vector<std::string> more, const std::string& as = "") {
    std::vector<std::string> call{"curl",
                                  "-s",
                                  "-S",
                                  "-m",
                                  "20",
                                  "-w",
                                  "%{http_code}",
                                  "-D",
                                  (folder / "head").string(),
                                  "-o",
                                  (folder / "body").string(),
                                  "--cacert",
                                  (folder / "ca.pem").string()};
    if (!as.empty()) {
      more.insert(more.end(), {"--cert", (folder / (as + ".pem")).string(), "--key",
                               (folder / (as + ".key")).string()});
    }
    call.insert(call.end(), more.begin(), more.end());
    call.push_back(base + path);
    folder.write("body", "");
    Reply reply;
    reply.status = support::run(call).output;
    reply.head = support::read_text(folder / "head");
    reply.body = support::read_text(folder / "body");
    return reply;
  }
  Reply ask(const token::Withdrawal& wanted, const std::string& as,
            std::vector<std::string> more = {}, Form form = Form::single) {
    folder.write("request", std::string(as_text(wanted.request())));
    const std::string type(form == Form::single ? token::request_media_type
                                                : token::batch_request_media_type);
    more.insert(more.end(), {"-H", "Content-Type: " + type, "--data-binary",
                             "@" + (folder / "request").string()});
    return curl("/token-request", more, as);
  }
  // A bare connection; it has sent `text`.
  ring::Fd connect(const std::string& text) const {
    ring::Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port =
        htons(static_cast<std::uint16_t>(std::stoi(base.substr(base.rfind(':') + 1))));
    REQUIRE(::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    const timeval patience{10, 0};
    ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    REQUIRE(::send(socket.get(), text.data(), text.size(), MSG_NOSIGNAL) ==
            static_cast<ssize_t>(text.size()));
    return socket;
  }

  Folder folder;
  boost::asio::io_context context{1};
  SettableClock clock;
  keyd::FrontCounts counts;
  FakeKeeper keeper;
  keyd::IssuerListeners listeners{context, clock, counts};
  token::TokenKey rsa, ristretto;
  std::string base;
  std::thread loop;
};

std::string read_all(int socket) {
  std::string text;
  char buffer[4096];
  for (;;) {
    const auto count = ::recv(socket, buffer, sizeof buffer, 0);
    if (count <= 0) return text;
    text.append(buffer, static_cast<std::size_t>(count));
  }
}

token::Withdrawal withdrawal(const token::TokenKey& key, std::size_t count = 1) {
  const token::Challenge challenge{key.type, "issuer.example", std::nullopt, "a.test"};
  auto begun = token::Withdrawal::begin(*token::write_challenge(challenge, types), key, types,
                                        count == 1 ? Form::single : Form::batch, count);
  REQUIRE(begun.has_value());
  return *std::move(begun);
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_SUITE("issuer listener") {
  TEST_CASE("a client with a certificate gets the directory and tokens, in TLS 1.2 and 1.3") {
    House house;
    house.open(house.setup({"certificate"}));
    for (const std::vector<std::string>& version :
         {std::vector<std::string>{"--tls-max", "1.2"}, std::vector<std::string>{"--tlsv1.3"}}) {
      CAPTURE(version.back());
      const auto directory =
          house.curl("/.well-known/private-token-issuer-directory", version);  // no certificate
      REQUIRE(directory.status == "200");
      CHECK(has(directory.head, "Content-Type: application/private-token-issuer-directory\r\n"));
      CHECK(has(directory.head, "Cache-Control: public, max-age="));
      const auto parsed = token::parse_directory(directory.body);
      REQUIRE(parsed.has_value());
      CHECK(parsed->request_uri == "/token-request");
      const auto key = parsed->key(TokenType::blind_rsa, types, house.clock.now());
      REQUIRE(key.has_value());

      const auto wanted = withdrawal(*key);
      const auto reply = house.ask(wanted, "client", version);
      REQUIRE(reply.status == "200");
      CHECK(has(reply.head, "Content-Type: application/private-token-response\r\n"));
      CHECK(has(reply.head, "Cache-Control: no-store\r\n"));
      CHECK(wanted.finish(as_bytes(reply.body)).has_value());
    }
  }

  TEST_CASE("who shows no certificate, or another CA's, is told so") {
    House house;
    house.open(house.setup({"certificate"}));
    const auto wanted = withdrawal(house.rsa);
    const auto nobody = house.ask(wanted, "");
    CHECK(nobody.status == "401");
    CHECK(has(nobody.head, "WWW-Authenticate: Client-Certificate realm=\"web\"\r\n"));
    CHECK(has(nobody.body, "a client certificate is needed"));

    const auto foreign = house.ask(wanted, "foreign");
    CHECK(foreign.status == "401");
    CHECK(has(foreign.body, "the client certificate is not accepted: "));
    house.within_loop([&] {
      CHECK(house.counts.issuer("web").of(401) == 2);
      CHECK(house.keeper.asked.empty());
    });
  }

  TEST_CASE("a bearer's secret counts for its name, on every connection") {
    House house;
    house.open(house.setup({"certificate", "bearer"}));
    const auto wanted = withdrawal(house.ristretto, 9);
    const auto with = [&](const std::string& secret) {
      return house.ask(wanted, "", {"-H", "Authorization: Bearer " + secret}, Form::batch);
    };
    const auto first = with("open-sesame");
    CHECK(first.status == "200");
    CHECK(wanted.finish(as_bytes(first.body))->size() == 9);
    const auto second = with("open-sesame");
    CHECK(second.status == "429");
    CHECK(std::regex_search(second.head, std::regex("Retry-After: (3[56]\\d\\d)\r\n")));

    const auto wrong = with("hunter2");
    CHECK(wrong.status == "401");
    CHECK(has(wrong.head, "WWW-Authenticate: Bearer realm=\"web\"\r\n"));
    CHECK_FALSE(has(wrong.head + wrong.body, "hunter2"));
    CHECK(house.ask(wanted, "client", {}, Form::batch).status == "200");  // another client
  }

  TEST_CASE("a certificate whose signature somebody wrote otherwise has no other budget") {
    House house;
    house.open(house.setup({"certificate"}));
    const auto wanted = withdrawal(house.ristretto, 9);
    REQUIRE(house.ask(wanted, "client", {}, Form::batch).status == "200");
    const auto chain = *crypto::parse_chain(support::read_text(house.folder / "client.pem"));
    house.folder.write("client.pem", pem_of(with_other_signature(chain[0].get()).get()));
    CHECK(house.ask(wanted, "client", {}, Form::batch).status == "429");
  }

  TEST_CASE("on loopback it may be open, and plain HTTP") {
    House house;
    house.open(house.setup({"open"}, /*tls=*/false));
    const auto wanted = withdrawal(house.ristretto);
    const auto reply = house.ask(wanted, "");
    CHECK(reply.status == "200");
    CHECK(wanted.finish(as_bytes(reply.body)).has_value());
  }

  TEST_CASE("what is not as it should be is answered, and the keeper hears nothing of it") {
    House house;
    house.open(house.setup({"open"}, false));
    const std::string type = "Content-Type: application/private-token-request";
    house.folder.write("large", std::string(20'000, 'x'));
    const auto large = "@" + (house.folder / "large").string();
    const auto put = house.curl("/token-request", {"-X", "PUT", "-d", "x"});
    CHECK(put.status == "405");
    CHECK(has(put.head, "Allow: POST\r\n"));
    CHECK(house.curl("/", {}).status == "404");
    CHECK(house.curl("/token-request", {"-d", "x"}).status == "415");
    CHECK(house.curl("/token-request", {"-H", type, "-d", "x"}).status == "422");
    CHECK(house.curl("/token-request", {"-H", type, "--data-binary", large}).status == "413");
    CHECK(house
              .curl("/token-request",
                    {"-H", type, "-H", "Transfer-Encoding: chunked", "--data-binary", large})
              .status == "413");
    CHECK(
        house.curl("/token-request", {"-H", type, "-H", "X: " + std::string(9'000, 'x'), "-d", "x"})
            .status == "431");
    CHECK(house
              .curl("/token-request", {"-H", type, "-H", "Authorization: Bearer a", "-H",
                                       "Authorization: Bearer b", "-d", "x"})
              .status == "400");
    CHECK(has(read_all(house.connect("\x16\x03\x01 hello\r\n\r\n").get()), "HTTP/1.1 400 "));
    house.within_loop([&] {
      CHECK(house.keeper.asked.empty());
      for (const int status : {400, 404, 405, 413, 415, 422, 431}) {
        CAPTURE(status);
        CHECK(house.counts.issuer("web").of(status) > 0);
      }
    });
  }

  TEST_CASE("HEAD is as GET without the body, and one connection serves several requests") {
    House house;
    house.open(house.setup({"open"}, false));
    const std::string path = "/.well-known/private-token-issuer-directory";
    const auto head = house.curl(path, {"--head"});
    CHECK(head.status == "200");
    CHECK(std::regex_search(head.head, std::regex("Content-Length: [1-9]\\d+\r\n")));

    const std::string one = "GET " + path + " HTTP/1.1\r\nHost: a\r\n";
    const auto replies =
        read_all(house
                     .connect("HEAD" + one.substr(3) + "\r\n" + one +
                              "If-None-Match: \"tag\"\r\n\r\n" + one + "Connection: close\r\n\r\n")
                     .get());
    const std::regex status("HTTP/1.1 (200|304) ");
    CHECK(std::distance(std::sregex_iterator(replies.begin(), replies.end(), status),
                        std::sregex_iterator()) == 3);
    CHECK(has(replies, "HTTP/1.1 304 "));
  }

  TEST_CASE("strangers are few: the oldest is closed for one more") {
    House house;
    house.open(house.setup({"open"}, false));
    std::vector<ring::Fd> crowd;
    for (int i = 0; i < 257; ++i) crowd.push_back(house.connect("GET"));
    char byte = 0;
    CHECK(::recv(crowd.front().get(), &byte, 1, 0) <= 0);
    CHECK(::recv(crowd.back().get(), &byte, 1, MSG_DONTWAIT) < 0);
    CHECK(errno == EAGAIN);
    CHECK(house.ask(withdrawal(house.ristretto), "").status == "200");

    crowd.clear();
    CHECK(support::wait_until(
        [&] {
          std::uint64_t open = 1;
          house.within_loop([&] { open = house.counts.issuer("web").connections; });
          return open == 0;
        },
        5s));
  }

  TEST_CASE("promise 10: a clock that was accepted ends no window of any client's budget") {
    for (const auto shift : {seconds(2h), seconds(-2h)}) {
      CAPTURE(shift.count());
      House house;
      house.open(house.setup({"bearer"}));
      const std::vector<std::string> alice{"-H", "Authorization: Bearer open-sesame"};
      const auto wanted = withdrawal(house.ristretto, 9);
      REQUIRE(house.ask(wanted, "", alice, Form::batch).status == "200");
      house.within_loop([&] {
        house.clock.set = shift;
        house.listeners.move_time(shift);
      });
      const auto beyond = house.ask(wanted, "", alice, Form::batch);
      CHECK(beyond.status == "429");
      CHECK(std::regex_search(beyond.head, std::regex("Retry-After: (3[56]\\d\\d)\r\n")));
    }
  }

  TEST_CASE("a configuration is taken over whole or not at all, and budgets go on") {
    House house;
    const auto first = house.setup({"bearer"});
    house.open(first);
    const auto nine = withdrawal(house.ristretto, 9);
    const std::vector<std::string> alice{"-H", "Authorization: Bearer open-sesame"};
    REQUIRE(house.ask(nine, "", alice, Form::batch).status == "200");

    auto broken = house.setup({"bearer"});
    broken.key = house.folder / "client.key";
    house.within_loop([&] {
      CHECK_THROWS_WITH_AS(house.listeners.prepare({broken}), doctest::Contains("client.key: "),
                           std::runtime_error);
      auto open = house.setup({"open"});
      open.listen.host = "0.0.0.0";
      CHECK_THROWS_WITH_AS(house.listeners.prepare({open}), doctest::Contains("loopback only"),
                           std::runtime_error);
    });
    CHECK(house.ask(withdrawal(house.ristretto), "", alice).status == "200");

    auto more = first;  // same address: it goes on listening there
    more.budget = 11;
    const auto before = house.listeners.endpoint("web");
    house.within_loop([&] { house.listeners.adopt(house.listeners.prepare({more})); });
    CHECK(house.listeners.endpoint("web") == before);
    CHECK(house.ask(withdrawal(house.ristretto), "", alice).status == "200");
    CHECK(house.ask(withdrawal(house.ristretto), "", alice).status == "429");

    auto moved = more;  // another address, the same budget
    moved.listen.port = std::to_string(support::unused_port());
    house.within_loop([&] { house.listeners.adopt(house.listeners.prepare({moved})); });
    const auto old = house.base;
    house.base = "https://" + house.listeners.endpoint("web");
    REQUIRE(house.base != old);
    CHECK(house.ask(withdrawal(house.ristretto), "", alice).status == "429");
    house.base = old;
    CHECK(house.curl("/", {}).status != "404");  // nobody listens there any more

    house.within_loop(
        [&] { house.listeners.adopt(house.listeners.prepare(std::vector<keyd::IssuerSetup>())); });
    CHECK(house.listeners.endpoint("web").empty());
  }
}
