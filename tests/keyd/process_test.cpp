// The real keyd, asked by curl, which nobody here wrote, and over its admin
// socket.
#include <poll.h>

#include <thread>

#include "keyd_process.hpp"

using namespace test;

TEST_SUITE("the keyd process") {
  TEST_CASE("a member gets the bundle, enrols, and opens it") {
    const Folder folder;
    Keyd keyd(folder);
    REQUIRE_MESSAGE(keyd.serves(), keyd.process.output());

    const auto answer = keyd.ask("/v1/pools/web/bundle", "web1");
    REQUIRE(status_of(answer) == "200");
    const auto bundle = feed::parse_bundle(answer.substr(0, answer.size() - 3));
    REQUIRE(bundle.has_value());
    CHECK(status_of(keyd.ask("/v1/pools/web/wraps/web1", "web1")) == "404");

    const auto sealing_key = crypto::BoxSecret::random();
    const auto key = crypto::parse_private_key(support::read_text(folder / "web1.key"));
    const auto now = wall_clock();  // once: the time that is sent is the time that was signed
    const auto message = wire::enrol_message(crypto::sha256(crypto::signer_public(signer_seed())),
                                             "web", crypto::box_public(sealing_key), now);
    const json body{{"chain", support::read_text(folder / "web1.pem")},
                    {"sealing_key", base64url(crypto::box_public(sealing_key))},
                    {"time", now.time_since_epoch().count()},
                    {"signature", base64url(crypto::sign_with(key.get(), message))}};
    const auto enrolled =
        keyd.ask("/v1/pools/web/members/self", "web1", {"-X", "PUT", "--data-binary", body.dump()});
    CHECK(status_of(enrolled) == "200");
    CHECK(status_of(keyd.ask("/v1/pools/web/members/self", "web1",
                             {"-X", "PUT", "--data-binary", body.dump()})) == "403");  // replayed

    const auto wrap = keyd.ask("/v1/pools/web/wraps/web1", "web1");
    REQUIRE(status_of(wrap) == "200");
    const auto opened = feed::open_bundle(
        *bundle,
        *from_base64url(json::parse(wrap.substr(0, wrap.size() - 3)).at("wrap").get<std::string>()),
        sealing_key, {"web", crypto::signer_public(signer_seed()), {}}, wall_clock());
    REQUIRE(opened.has_value());
    CHECK(opened->ring.member == 1);
  }

  TEST_CASE("promise 17: who has another role, another pool, another CA or no certificate") {
    const Folder folder;
    const test::Authority rogue_ca(valid_now(ca_wish("rogue CA")));
    folder.identity("rogue", "URI:ticket:member:web:web1", &rogue_ca);
    Keyd keyd(folder);
    REQUIRE_MESSAGE(keyd.serves(), keyd.process.output());

    CHECK(status_of(keyd.ask("/v1/pools/web/bundle", "mail1")) == "403");
    CHECK(keyd.says("refused at the pool web: CN=mail1, sha256:"));
    CHECK(status_of(keyd.ask("/v1/pools/mail/bundle", "mail1")) == "200");
    CHECK(status_of(keyd.ask("/v1/pools/web/bundle", "spy")) == "403");  // the CA of mail says so
    CHECK(status_of(keyd.ask("/v1/pools/web/bundle", "relay")) == "403");
    CHECK(status_of(keyd.ask("/v1/pools/web/bundle", "keyd")) == "403");
    CHECK(status_of(keyd.ask("/v1/pools/none/bundle", "web1")) == "404");
    CHECK(status_of(keyd.ask("/v1/pools/web/wraps/web2", "web1")) == "403");
    CHECK(status_of(keyd.ask("/v1/pools/web/bundle", "rogue")) == "000");
    CHECK(keyd.says("refused: CN=rogue, sha256:"));
    CHECK(status_of(keyd.ask("/v1/pools/web/bundle", "")) == "000");
    CHECK(status_of(keyd.ask("/v1/pools/web/bundle", "web1", {"--tls-max", "1.2"})) == "000");
    CHECK(status_of(keyd.ask("/v1/pools/web/bundle", "web1")) == "200");
  }

  TEST_CASE("a long poll ends with the next generation, or when its time is over") {
    const Folder folder;
    Keyd keyd(folder);
    REQUIRE_MESSAGE(keyd.serves(), keyd.process.output());
    const auto generation = keyd.order({{"command", "status"}, {"pool", "web"}})
                                .at("pools")
                                .at(0)
                                .at("generation")
                                .get<std::uint64_t>();
    const auto after = "/v1/pools/web/bundle?after=" + std::to_string(generation);

    CHECK(status_of(keyd.ask(after, "web1")) == "204");
    CHECK(status_of(keyd.ask(after + "&wait=1", "web1")) == "204");

    Process poll({"curl", "-s", "-w", "%{http_code}", "-o", "/dev/null", "--cacert",
                  (folder / "ca.pem").string(), "--cert", (folder / "web1.pem").string(), "--key",
                  (folder / "web1.key").string(),
                  "https://127.0.0.1:" + keyd.port() + after + "&wait=60"});
    CHECK_FALSE(poll.wait(1s).has_value());
    CHECK(keyd.order({{"command", "rotate"}, {"pool", "web"}}).at("ok") == true);
    CHECK(poll.wait(10s) == 0);
    CHECK(poll.output() == "200");
  }

  TEST_CASE("of those who show no certificate the oldest go first, and members still get in") {
    const Folder folder;
    Keyd keyd(folder);
    REQUIRE_MESSAGE(keyd.serves(), keyd.process.output());
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<std::uint16_t>(std::stoi(keyd.port())));

    std::vector<ring::Fd> strangers;
    for (int i = 0; i < 600; ++i) {
      strangers.emplace_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
      REQUIRE(::connect(strangers.back().get(), reinterpret_cast<sockaddr*>(&address),
                        sizeof address) == 0);
    }

    CHECK(status_of(keyd.ask("/v1/pools/web/bundle", "web1")) == "200");
    char byte = 0;
    pollfd oldest{strangers.front().get(), POLLIN, 0};
    CHECK(::poll(&oldest, 1, 4000) == 1);  // long before its handshake has taken too long
    CHECK(::recv(strangers.front().get(), &byte, 1, 0) <= 0);
    CHECK(::recv(strangers.back().get(), &byte, 1, MSG_DONTWAIT) < 0);
    CHECK(errno == EAGAIN);  // the newest still stand
  }

  TEST_CASE("the admin socket answers, and refuses in words") {
    const Folder folder;
    Keyd keyd(folder);
    REQUIRE_MESSAGE(keyd.serves(), keyd.process.output());

    CHECK(keyd.order({{"command", "pools"}}).at("pools").size() == 2);
    CHECK(keyd.order({{"command", "dance"}}).at("ok") == false);
    CHECK(keyd.order({{"command", "rotate"}, {"pool", "x"}}).at("error") ==
          "no pool is called 'x'");
    CHECK(keyd.order(json::array()).at("ok") == false);
    CHECK(keyd.order({{"command", "rotate"}, {"pool", "web"}}).at("sealing") == 2);
  }

  TEST_CASE(
      "of two keyds with one admin socket the first one keeps it, from a dead one it is taken") {
    const Folder folder;
    const auto socket = folder / "keyd.sock";
    {
      Keyd keyd(folder);
      REQUIRE_MESSAGE(keyd.serves(), keyd.process.output());
      keyd.process.kill();
    }
    REQUIRE(std::filesystem::is_socket(socket));  // left over
    std::optional<Keyd> keyd(std::in_place, folder);
    REQUIRE_MESSAGE(keyd->serves(), keyd->process.output());

    const Folder other;
    other.configure("", "");
    auto text = support::read_text(other / "keyd.toml");
    const std::string own = "admin = \"keyd.sock\"";
    text.replace(text.find(own), own.size(), "admin = \"" + socket.string() + "\"");
    other.write("keyd.toml", text);
    Keyd second(other);
    CHECK(second.process.wait(20s) == 1);
    CHECK(second.says("admin socket " + socket.string() + ": somebody listens there"));
    CHECK(keyd->order({{"command", "pools"}}).at("ok") == true);

    // nor is what another one has put there meanwhile removed at the end
    std::filesystem::rename(socket, folder / "moved");
    support::write_text(socket, "another's");
    keyd->process.send(SIGTERM);
    CHECK(keyd->process.wait(10s) == 0);
    CHECK(support::read_text(socket) == "another's");
  }

  TEST_CASE("SIGTERM ends it cleanly, and a second start goes on with the same generation") {
    const Folder folder;
    std::uint64_t generation = 0;
    {
      Keyd keyd(folder);
      REQUIRE_MESSAGE(keyd.serves(), keyd.process.output());
      generation = keyd.order({{"command", "pools"}}).at("pools").at(0).at("generation");
      keyd.process.send(SIGTERM);
      CHECK(keyd.process.wait(10s) == 0);
      CHECK_FALSE(std::filesystem::exists(folder / "keyd.sock"));
    }
    Keyd again(folder);
    REQUIRE_MESSAGE(again.serves(), again.process.output());
    CHECK(again.order({{"command", "pools"}}).at("pools").at(0).at("generation") == generation);
  }

  TEST_CASE("promise 9: after SIGKILL it comes back with what was stored") {
    const Folder folder;
    std::uint64_t generation = 0;
    {
      Keyd keyd(folder);
      REQUIRE_MESSAGE(keyd.serves(), keyd.process.output());
      const auto front = front_of(keyd);
      generation = keyd.order({{"command", "rotate"}, {"pool", "web"}}).at("generation");
      keyd.process.kill();
      CHECK(support::wait_until([&] { return ::kill(front, 0) != 0; }, 10s));  // it went too
    }
    Keyd again(folder);
    REQUIRE_MESSAGE(again.serves(), again.process.output());
    const auto status = again.order({{"command", "status"}, {"pool", "web"}});
    CHECK(status.at("pools").at(0).at("generation") == generation);
  }

  TEST_CASE("when the front dies, the keeper ends with an error") {
    const Folder folder;
    Keyd keyd(folder);
    REQUIRE_MESSAGE(keyd.serves(), keyd.process.output());

    ::kill(front_of(keyd), SIGKILL);

    CHECK(keyd.process.wait(10s) == 1);
    CHECK(keyd.says("the front has ended"));
  }

  TEST_CASE("promise 15: SIGHUP takes a configuration over whole, or not at all") {
    const Folder folder;
    Keyd keyd(folder);
    REQUIRE_MESSAGE(keyd.serves(), keyd.process.output());
    const auto lifetime = [&] {
      return keyd.order({{"command", "status"}}).at("pools").at(0).at("policy").at("lifetime");
    };

    folder.configure("lifetime = \"6h\"\n");
    keyd.process.send(SIGHUP);
    REQUIRE(keyd.says("the configuration was taken over"));
    CHECK(support::wait_until([&] { return lifetime() == 6 * 3600; }, 5s));

    folder.configure("lifetime = \"6 parsecs\"\n");
    keyd.process.send(SIGHUP);
    CHECK(keyd.says("the configuration stays as it was"));
    CHECK(lifetime() == 6 * 3600);

    folder.configure("lifetime = \"3h\"\n");
    folder.write("keyd.key", "no key");
    keyd.process.send(SIGHUP);
    CHECK(keyd.says("stays as it was: " + (folder / "keyd.key").string()));
    CHECK(lifetime() == 6 * 3600);
    CHECK(status_of(keyd.ask("/v1/pools/web/bundle", "web1")) == "200");
  }

  TEST_CASE("promise 9: SIGHUP again and again takes the last one over") {
    const Folder folder;
    Keyd keyd(folder);
    REQUIRE_MESSAGE(keyd.serves(), keyd.process.output());
    folder.configure("lifetime = \"6h\"\n");
    for (int i = 0; i < 50; ++i) {
      keyd.process.send(SIGHUP);
      std::this_thread::sleep_for(std::chrono::milliseconds(i % 5));
    }
    const auto lifetime = [&] {
      return keyd.order({{"command", "status"}}).at("pools").at(0).at("policy").at("lifetime");
    };
    CHECK(support::wait_until([&] { return lifetime() == 6 * 3600; }, 10s));
    CHECK(keyd.process.alive());
  }

  TEST_CASE("promise 9: a SIGHUP while another is being carried out waits for it") {
    const Folder folder;
    Keyd keyd(folder);
    REQUIRE_MESSAGE(keyd.serves(), keyd.process.output());
    const auto front = front_of(keyd);
    ::kill(front, SIGSTOP);  // what the keeper asks it is not answered
    for (const char* lifetime : {"6h", "5h", "4h"}) {
      folder.configure("lifetime = \"" + std::string(lifetime) + "\"\n");
      keyd.process.send(SIGHUP);
      std::this_thread::sleep_for(300ms);
    }
    CHECK(keyd.process.output().find("the configuration was taken over") == std::string::npos);

    ::kill(front, SIGCONT);
    const auto lifetime = [&] {
      return keyd.order({{"command", "status"}}).at("pools").at(0).at("policy").at("lifetime");
    };
    CHECK(support::wait_until([&] { return lifetime() == 4 * 3600; }, 10s));
    CHECK(keyd.process.alive());
  }

  TEST_CASE("promise 15: what is wrong at the start is said, and nothing is started") {
    const Folder folder;
    struct {
      const char* file;
      const char* content;
      int code;
      const char* says;
    } const cases[] = {
        {"keyd.toml", "[authority]\n", 2, "keyd.toml:1"},
        {"state.key", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n", 1, "all zero"},
        {"state/keyd.state", "torn", 1, "no state file, or a torn one"},
        {"keyd.pem", "no certificate", 1, "keyd.pem"},
    };
    for (const auto& one : cases) {
      CAPTURE(one.file);
      const Folder broken;
      std::filesystem::create_directories((broken / one.file).parent_path());
      broken.write(one.file, one.content);
      Keyd keyd(broken);
      CHECK(keyd.process.wait(20s) == one.code);
      const auto output = keyd.process.output();
      CAPTURE(output);
      CHECK(output.find(one.says) != std::string::npos);
      CHECK(output.find("ready:") == std::string::npos);
    }
  }

  TEST_CASE("another key than the state was sealed under is told apart") {
    const Folder folder;
    {
      Keyd keyd(folder);
      REQUIRE_MESSAGE(keyd.serves(), keyd.process.output());
      Keyd second(folder);
      CHECK(second.process.wait(10s) == 1);
      CHECK(second.says("another keyd holds"));
    }
    keyd::write_key_file(folder / "state.key", state_key(99).key);
    Keyd keyd(folder);
    CHECK(keyd.process.wait(10s) == 1);
    CHECK(keyd.says("sealed under another key than state_key, or altered"));
  }

  TEST_CASE("promise 9: a state of another version is said to be that, and left as it is") {
    const Folder folder;
    {
      Keyd keyd(folder);
      REQUIRE_MESSAGE(keyd.serves(), keyd.process.output());
      keyd.process.send(SIGTERM);
      REQUIRE(keyd.process.wait(20s) == 0);
    }
    auto state = support::read_text(folder / "state/keyd.state");
    ++state.at(8);  // its version, after the magic
    folder.write("state/keyd.state", state);
    Keyd keyd(folder);
    CHECK(keyd.process.wait(20s) == 1);
    CHECK_MESSAGE(keyd.says("written by another version of keyd"), keyd.process.output());
    CHECK(support::read_text(folder / "state/keyd.state") == state);
  }

  TEST_CASE("keeper and front cannot be dumped, and the keeper is caged") {
    const Folder folder;
    Keyd keyd(folder);
    REQUIRE_MESSAGE(keyd.serves(), keyd.process.output());
    const auto proc = "/proc/" + std::to_string(keyd.process.pid());

    CHECK(support::read_text(proc + "/status").find("Seccomp:\t2") != std::string::npos);
    for (const auto process : {keyd.process.pid(), front_of(keyd)}) {
      const auto limits = support::read_text("/proc/" + std::to_string(process) + "/limits");
      CHECK(limits.find("Max core file size        0                    0 ") != std::string::npos);
    }
  }
}
