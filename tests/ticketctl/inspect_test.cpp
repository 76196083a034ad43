// ticketctl inspect, with tickets that a real server sealed for a real client:
// openssl s_client, which nobody here wrote.
#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "base/bytes.hpp"
#include "feed/bundle.hpp"
#include "inspection.hpp"
#include "ring/ring_file.hpp"
#include "support/process.hpp"
#include "support/rings.hpp"
#include "support/s_client.hpp"
#include "ticket_file.hpp"

using namespace ticketctl;
using namespace ticket;
using namespace std::chrono_literals;
using nlohmann::json;
using support::TempFolder;

namespace {

sys_seconds wall_clock() { return std::chrono::floor<seconds>(std::chrono::system_clock::now()); }

support::Outcome ticketctl_does(std::vector<std::string> arguments) {
  std::vector<std::string> argv = {support::build_root() / "ticketctl/ticketctl"};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  return support::run(argv, {.environment = {{"TZ", "UTC"}}, .input = {}, .folder = {}});
}

json inspected(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "inspect");
  arguments.push_back("--json");
  const auto outcome = ticketctl_does(std::move(arguments));
  CAPTURE(outcome.output);
  REQUIRE(outcome.code == 0);
  return json::parse(outcome.output);
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// A ring file that seals now, the example server on it, and a session of each TLS
// version that a client got there. Made once.
struct Scene {
  Scene() : writer(folder / "web.ring", "web") {
    auto now = wall_clock();
    ring = ticket::test::ring_of(
        {ticket::test::epoch(4, now - 90min), ticket::test::epoch(5, now - 30min)}, 17, 2);
    REQUIRE(writer.publish(ring, now).has_value());
    writer.heartbeat(now);
    make_certificate();
    const auto port = support::unused_port();
    support::Process server(
        {support::build_root() / "examples/ticket-example-server", "--listen",
         "127.0.0.1:" + std::to_string(port), "--ring", folder / "web.ring", "--host",
         "a.test=" + (folder / "a.pem").string() + "," + (folder / "a.key").string() + ",www"});
    for (const auto* version : {"tls1_2", "tls1_3"}) {
      REQUIRE(support::wait_until([&] { return fetch(port, version); }, 20s));
    }
  }

  void make_certificate() const {
    const auto made =
        support::run({"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                      "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=a.test", "-days", "2",
                      "-keyout", folder / "a.key", "-out", folder / "a.pem"});
    REQUIRE(made.code == 0);
  }

  bool fetch(std::uint16_t port, const std::string& version) const {
    support::connect({.address = "127.0.0.1:" + std::to_string(port),
                      .version = version == "tls1_2" ? support::Tls::v1_2 : support::Tls::v1_3,
                      .keep = session(version)});
    std::error_code error;
    return std::filesystem::file_size(session(version), error) > 0 && !error;
  }

  std::string session(const std::string& version) const { return folder / (version + ".pem"); }
  std::string ring_path() const { return folder / "web.ring"; }
  Bytes ticket(const std::string& version) const {
    const auto text = support::read_text(session(version));
    return parse_ticket_file(as_bytes(text))->ticket;
  }

  TempFolder folder;
  ring::RingWriter writer;
  ring::Ring ring;
};

Scene& scene() {
  static Scene made;
  return made;
}

const std::vector<std::string> www = {"www"};

}  // namespace

TEST_SUITE("inspect") {
  TEST_CASE("without the ring it tells what anybody sees") {
    for (const auto* version : {"tls1_2", "tls1_3"}) {
      CAPTURE(version);
      const auto seen = inspected({scene().session(version)});

      CHECK(seen.at("form") == "session");
      CHECK(seen.at("session").at("protocol") ==
            (std::string(version) == "tls1_2" ? "TLSv1.2" : "TLSv1.3"));
      CHECK(seen.at("session").at("lifetime_hint").get<int>() > 40'000);
      CHECK(std::abs(seen.at("session").at("received").get<std::int64_t>() -
                     wall_clock().time_since_epoch().count()) < 60);
      CHECK(seen.at("key_name").get<std::string>().size() == 32);
      CHECK_FALSE(seen.contains("resumes"));
      const auto text = ticketctl_does({"inspect", scene().session(version)}).output;
      CHECK(contains(text, "key name  " + seen.at("key_name").get<std::string>()));
    }
  }

  TEST_CASE("with the ring it tells epoch, context, minter and that it would resume") {
    for (const auto* version : {"tls1_2", "tls1_3"}) {
      CAPTURE(version);
      const auto seen =
          inspected({scene().session(version), "--ring", scene().ring_path(), "--context", "www"});

      CHECK(seen.at("pool") == "web");
      CHECK(seen.at("generation") == 17);
      CHECK(seen.at("key").at("epoch") == 5);
      CHECK(seen.at("key").at("id") == hex(scene().ring.epochs[1].id));
      CHECK(seen.at("key").at("state") == "sealing");
      CHECK(seen.at("key").at("context") == "www");
      CHECK(seen.at("inside").at("attribution").at("minter") == 2);
      CHECK(seen.at("inside").at("attribution").at("bound_to_name") == true);
      CHECK(seen.at("resumes") == true);
    }
  }

  TEST_CASE("a ticket by itself is as good as a session, in binary, hex and base64") {
    const auto ticket = scene().ticket("tls1_2");
    const TempFolder folder;
    auto standard = base64url(ticket);
    std::ranges::replace(standard, '-', '+');
    std::ranges::replace(standard, '_', '/');
    while (standard.size() % 4 != 0) standard += '=';
    standard.insert(64, "\n");
    struct {
      const char* form;
      std::string content;
    } const files[] = {{"raw", std::string(as_text(ticket))},
                       {"hex", hex(ticket) + "\n"},
                       {"base64", base64url(ticket)},
                       {"base64", standard + "\n"}};
    for (const auto& file : files) {
      CAPTURE(file.form);
      support::write_text(folder / "t", file.content);
      const auto seen =
          inspected({folder / "t", "--ring", scene().ring_path(), "--context", "www"});
      CHECK(seen.at("form") == file.form);
      CHECK(seen.at("key").at("epoch") == 5);
      CHECK(seen.at("resumes") == true);
      CHECK_FALSE(seen.contains("session"));
    }
  }

  TEST_CASE("another context, another pool, an altered ticket: it says why not") {
    const TempFolder folder;
    const auto pem = scene().session("tls1_3");
    auto seen = inspected({pem, "--ring", scene().ring_path()});  // looks in "default"
    CHECK(seen.at("resumes") == false);
    CHECK(seen.at("reason") == "unknown_key");
    CHECK(contains(ticketctl_does({"inspect", pem, "--ring", scene().ring_path()}).output,
                   "in the contexts looked at (default)"));

    ring::RingWriter other(folder / "mail.ring", "mail");
    REQUIRE(
        other
            .publish(ticket::test::ring_of({ticket::test::epoch(5, wall_clock())}, 3, 1, "mail"),
                     wall_clock())
            .has_value());
    seen = inspected({pem, "--ring", folder / "mail.ring", "--context", "www"});
    CHECK(seen.at("reason") == "unknown_key");

    auto ticket = scene().ticket("tls1_3");
    ticket[40] ^= std::byte{1};
    support::write_text(folder / "altered", std::string(as_text(ticket)));
    seen = inspected({folder / "altered", "--ring", scene().ring_path(), "--context", "www"});
    CHECK(seen.at("key").at("epoch") == 5);
    CHECK(seen.at("reason") == "forged");
    CHECK_FALSE(seen.contains("inside"));
  }

  TEST_CASE("what its pool's rules say as time goes on") {
    const auto ticket = scene().ticket("tls1_3");
    const auto now = wall_clock();
    auto ring = [&] {
      auto copy = ticket::test::ring_of(scene().ring.epochs, 17, 2);
      copy.policy.lineage = 10h;
      return copy;
    };
    struct {
      seconds after;
      std::optional<Rejection> why;
      const char* state;
    } const moments[] = {{0s, std::nullopt, "sealing"},
                         {31min, std::nullopt, "sealing"},  // stretched: nothing newer came
                         {10h + 1min, Rejection::lineage, "sealing"},
                         {14h, Rejection::expired, "wiped"}};
    for (const auto& moment : moments) {
      CAPTURE(moment.after.count());
      const auto held = ring();
      const auto finding = inspect(ticket, held, www, now + moment.after);
      CHECK(finding.objection == moment.why);
      CHECK(finding.state == moment.state);
      CHECK(finding.opened);
    }

    auto revoked = ring();
    revoked.revocations.push_back({2, now - 1h, now + 1h});
    CHECK(inspect(ticket, revoked, www, now).objection == Rejection::revoked);
    auto others = ring();
    others.revocations.push_back({3, now - 1h, now + 1h});
    CHECK_FALSE(inspect(ticket, others, www, now).objection.has_value());
    auto burned = ring();
    burned.epochs[1].burned = true;
    const auto finding = inspect(ticket, burned, www, now);
    CHECK(finding.state == "burned");
    CHECK(finding.objection == Rejection::unknown_key);
  }

  TEST_CASE("every flipped byte and every cut: nothing opens, nothing breaks") {
    const auto ticket = scene().ticket("tls1_2");
    const auto& ring = scene().ring;
    for (std::size_t i = 0; i < ticket.size(); ++i) {
      CAPTURE(i);
      auto altered = ticket;
      altered[i] ^= std::byte{0x20};
      const auto finding = inspect(altered, ring, www, wall_clock());
      CHECK_FALSE(finding.opened);
      CHECK(finding.objection == (i < 16 ? Rejection::unknown_key : Rejection::forged));
      CHECK_FALSE(inspect(BytesView(ticket).first(i), ring, www, wall_clock()).opened);
    }
  }

  TEST_CASE("with keyd's bundle the minter has a name") {
    feed::Manifest manifest;
    manifest.pool = "web";
    manifest.generation = 17;
    manifest.members = {{1, "web1"}, {2, "web2"}};
    const TempFolder folder;
    support::write_text(folder / "manifest", feed::write_manifest(manifest));
    const auto signer = crypto::SignerSeed::random();
    support::write_text(folder / "bundle",
                        feed::write_bundle(feed::seal_bundle(manifest, SecretBytes(0), signer,
                                                             feed::ContentKey::random())));
    for (const auto* file : {"manifest", "bundle"}) {
      CAPTURE(file);
      const auto seen = inspected({scene().session("tls1_3"), "--ring", scene().ring_path(),
                                   "--context", "www", "--bundle", folder / file});
      CHECK(seen.at("inside").at("attribution").at("minter_name") == "web2");
    }

    manifest.pool = "mail";
    support::write_text(folder / "mail", feed::write_manifest(manifest));
    const auto refused = ticketctl_does({"inspect", scene().session("tls1_3"), "--ring",
                                         scene().ring_path(), "--bundle", folder / "mail"});
    CHECK(refused.code == 2);
    CHECK(contains(refused.output, "--bundle is of the pool mail, --ring of the pool web"));
  }

  TEST_CASE("promise 12: no key and no session secret is printed") {
    const auto pem = scene().session("tls1_2");
    const auto text = support::run({"openssl", "sess_id", "-in", pem, "-text", "-noout"}).output;
    const auto at = text.find("Master-Key: ");
    REQUIRE(at != std::string::npos);
    auto master = text.substr(at + 12, 96);
    std::ranges::transform(master, master.begin(), [](unsigned char c) { return std::tolower(c); });
    REQUIRE(from_hex(master).has_value());

    for (const auto* more : {"--json", "--ring"}) {
      std::vector<std::string> arguments{"inspect",           pem,         "--ring",
                                         scene().ring_path(), "--context", "www"};
      if (std::string(more) == "--json") arguments.push_back(more);
      const auto output = ticketctl_does(arguments).output;
      CHECK(contains(output, "tag") == false);
      CHECK_FALSE(contains(output, master));
      CHECK_FALSE(contains(output, base64url(*from_hex(master))));
      for (std::size_t i = 0; i < 2; ++i) {
        CHECK_FALSE(contains(output, hex(scene().ring.secret(i))));
      }
    }
  }

  TEST_CASE("promise 15: what is no ticket is named, with what is allowed") {
    const TempFolder folder;
    std::string random(1000, '\0');
    for (std::size_t i = 0; i < random.size(); ++i) random[i] = static_cast<char>(i * 37 ^ i >> 3);
    struct {
      const char* name;
      std::string content;
      const char* says;
    } const files[] = {
        {"empty", "", "it is empty"},
        {"words", "this is no ticket!", "neither hex nor base64"},
        {"short", hex(Bytes(79)), "79 bytes are no ticket of RFC 5077"},
        {"uneven", hex(Bytes(81)), "81 bytes are no ticket"},
        {"random", random, "1000 bytes are no ticket"},
        {"huge", std::string(largest_ticket_file + 1, 'a'), "larger than 256 KiB"},
        {"key.pem", support::read_text(scene().folder / "a.key"), "its PEM is no SSL session"},
        {"cut.pem", support::read_text(scene().session("tls1_2")).substr(0, 300), "does not parse"},
    };
    for (const auto& file : files) {
      CAPTURE(file.name);
      support::write_text(folder / file.name, file.content);
      const auto outcome = ticketctl_does({"inspect", folder / file.name});
      CAPTURE(outcome.output);
      CHECK(outcome.code == 2);
      CHECK(contains(outcome.output, (folder / file.name).string() + ": "));
      CHECK(contains(outcome.output, file.says));
      CHECK(contains(outcome.output, "openssl s_client -sess_out"));
    }

    CHECK(contains(ticketctl_does({"inspect", folder / "none"}).output, "No such file"));
    CHECK(contains(ticketctl_does({"inspect", folder.path()}).output, "a folder"));
    CHECK(contains(ticketctl_does({"inspect"}).output, "FILE is missing"));
    const auto no_ring =
        ticketctl_does({"inspect", scene().session("tls1_2"), "--ring", folder / "words"});
    CHECK(no_ring.code == 2);
    CHECK(contains(no_ring.output, "words: "));
    CHECK(contains(no_ring.output, "--ring takes the ring file"));
    const auto no_bundle =
        ticketctl_does({"inspect", scene().session("tls1_2"), "--bundle", folder / "words"});
    CHECK(no_bundle.code == 2);
    CHECK(contains(no_bundle.output, "neither a bundle nor a manifest"));
  }

  TEST_CASE("its help has an example") {
    CHECK(contains(ticketctl_does({"inspect", "--help"}).output,
                   "ticketctl inspect s.pem --ring /run/ticket/web.ring"));
  }
}
