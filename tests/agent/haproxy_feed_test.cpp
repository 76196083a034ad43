// The agent's feeds at real HAProxys, with bundles that a test chooses.
#include <doctest/doctest.h>
#include <spdlog/spdlog.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>

#include "fake_keyd.hpp"
#include "feeders.hpp"
#include "support/listens.hpp"
#include "support/process.hpp"

namespace keyd {

using namespace test;

namespace {

class HostClock : public Clock {
 public:
  explicit HostClock(const Host& host) : host_(host) {}
  Moment now() const override { return host_.now; }

 private:
  const Host& host_;
};

// A host with two HAProxys of one bind each, whose agent lives on a keyd of the test.
class Fed {
 public:
  explicit Fed(FakeKeyd& keyd) : host(keyd), clock_(host) {
    host.boot();
    host.settle();
    config_.haproxy.push_back({.pool = "web",
                               .context = "www",
                               .file = keys,
                               .reference = keys,
                               .sockets = {socket(0), socket(1)}});
    boost::asio::io_context context;
    Feeders(context, clock_, config_, rings()).tick();  // HAProxy wants its file when it starts
    make_certificate();
    for (int number : {0, 1}) haproxys_.push_back(start_haproxy(number));
  }

  // Looks once, as it does each second, and sets what is to be set.
  void feed() {
    boost::asio::io_context context;
    Feeders feeders(context, clock_, config_, rings());
    feeders.start();
    const auto fed = [&] {
      return std::ranges::all_of(feeders.look().haproxy, &HaproxySight::current);
    };
    for (int i = 0; i < 100 && !fed(); ++i) context.run_for(50ms);
    REQUIRE(feeders.look().haproxy.size() == 2);
    REQUIRE_MESSAGE(fed(), feeders.look().haproxy[0].trouble, feeders.look().haproxy[1].trouble);
    feeders.stop();
    context.run_for(1s);  // until nothing is left to do
  }

  // What both HAProxys say of their three keys.
  std::string held() const {
    const auto first = held_by(0);
    CHECK(held_by(1) == first);
    return first;
  }
  std::string held_by(int number) const {
    boost::asio::local::stream_protocol::iostream cli{
        boost::asio::local::stream_protocol::endpoint(socket(number))};
    cli << "show tls-keys " << keys << "\n" << std::flush;
    return {std::istreambuf_iterator<char>(cli), {}};
  }

  Host host;
  const std::string keys = host.folder / "www.keys";

 private:
  RingWriters rings() const { return {{"web", host.writer()}}; }
  std::string socket(int number) const {
    return host.folder / ("h" + std::to_string(number) + ".sock");
  }

  void make_certificate() const {
    const auto made =
        support::run({"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                      "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=a.test", "-keyout",
                      host.folder / "a.key", "-out", host.folder / "a.crt"});
    REQUIRE_MESSAGE(made.code == 0, made.output);
    write(host.folder / "a.pem", read(host.folder / "a.crt") + read(host.folder / "a.key"));
  }
  support::Process start_haproxy(int number) const {
    const std::string conf = host.folder / ("haproxy" + std::to_string(number) + ".cfg");
    const auto port = support::unused_port();
    write(conf, "global\n stats socket " + socket(number) +
                    " level admin mode 600\ndefaults\n mode http\n timeout client 5s\n"
                    " timeout server 5s\n timeout connect 5s\nfrontend web\n bind 127.0.0.1:" +
                    std::to_string(port) + " ssl crt " + (host.folder / "a.pem").string() +
                    " tls-ticket-keys " + keys + "\n http-request return status 200\n");
    support::Process haproxy({"haproxy", "-db", "-f", conf});
    REQUIRE_MESSAGE(support::listens(port, haproxy), haproxy.output());
    return haproxy;
  }

  HostClock clock_;
  AgentConfig config_;
  std::vector<support::Process> haproxys_;
};

}  // namespace

TEST_SUITE("haproxy feed") {
  TEST_CASE("promise 11: a signed bundle of all-zero or repeated keys reaches no HAProxy") {
    spdlog::set_level(spdlog::level::off);
    using feed::Manifest;
    const struct {
      const char* what;
      FakeKeyd::Spoil spoil;
    } cases[] = {
        {"an all-zero secret",
         [](Manifest&, SecretBytes& s) { std::ranges::fill(s.fill().first(32), std::byte{0}); }},
        {"a repeated secret",
         [](Manifest&, SecretBytes& s) {
           std::ranges::copy(s.expose().first(32), s.fill().begin() + 32);
         }},
        {"an all-zero id", [](Manifest& m, SecretBytes&) { m.epochs[1].id = {}; }},
        {"a repeated id", [](Manifest& m, SecretBytes&) { m.epochs[1].id = m.epochs[0].id; }},
        {"a repeated number",
         [](Manifest& m, SecretBytes&) { m.epochs[1].number = m.epochs[0].number; }},
    };
    FakeKeyd keyd;
    keyd.rotate(noon);
    keyd.rotate(noon);
    Fed fed(keyd);
    fed.feed();
    const auto held = fed.held(), file = read(fed.keys);
    const auto generation = fed.host.generation();
    REQUIRE(held.find("0.2 ") != std::string::npos);

    for (const auto& wrong : cases) {
      CAPTURE(wrong.what);
      keyd.spoil(wrong.spoil);
      fed.host.steps(4);
      CHECK(fed.host.generation() == generation);
      fed.feed();
      CHECK(fed.held() == held);
      CHECK(read(fed.keys) == file);
      keyd.mend();
    }

    keyd.rotate(fed.host.now);
    fed.host.settle();
    fed.feed();
    CHECK(fed.held() != held);
    CHECK(read(fed.keys) != file);
  }
}

}  // namespace keyd
