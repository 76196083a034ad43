#include "admin_client.hpp"

#include <doctest/doctest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "fake_keyd.hpp"
#include "support/process.hpp"

using namespace ticketctl;
using namespace std::chrono_literals;
using nlohmann::json;
using test::FakeKeyd;
using test::framed;

namespace {

CommandError error_of(const std::filesystem::path& socket) {
  try {
    ask_keyd(socket, {{"command", "pools"}}, 1s);
  } catch (const CommandError& error) {
    return error;
  }
  return {exit_ok, "no error"};
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

support::Outcome ticketctl_at(const std::filesystem::path& socket,
                              std::vector<std::string> arguments) {
  std::vector<std::string> argv = {support::build_root() / "ticketctl/ticketctl"};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  return support::run(argv, {.environment = {{"TICKETCTL_SOCKET", socket}, {"TZ", "UTC"}}});
}

}  // namespace

TEST_SUITE("admin client") {
  TEST_CASE("a request and its answer are frames of JSON") {
    const support::TempFolder folder;
    FakeKeyd keyd(folder / "s", framed(R"({"ok": true, "pools": []})"));

    const auto answer = ask_keyd(folder / "s", {{"command", "pools"}});

    CHECK(answer == json({{"ok", true}, {"pools", json::array()}}));
    CHECK(keyd.request() == framed(R"({"command":"pools"})"));
  }

  TEST_CASE("an answer of the greatest length is taken whole") {
    const support::TempFolder folder;
    const std::string start = R"({"ok": true, "text": ")", end = "\"}";
    const std::string text(max_frame - start.size() - end.size(), 'x');
    FakeKeyd keyd(folder / "s", framed(start + text + end));

    CHECK(ask_keyd(folder / "s", {})["text"] == text);
  }

  TEST_CASE("promise 15: an answer that is none ends with exit code 3 and says why") {
    using namespace std::string_literals;
    const std::string deep(200'000, '[');
    struct {
      std::string bytes;
      const char* says;
    } const answers[] = {
        {"", "closed the connection"},
        {"\0\0"s, "closed the connection"},
        {"\0\0\0\x10{\"ok\""s, "closed the connection"},
        {"\0\0\0\0"s, "frame of 0 bytes"},
        {"\x01\0\0\x01"s, "frame of 16777217 bytes"},
        {"\xff\xff\xff\xff"s, "frame of 4294967295 bytes"},
        {"HTTP/1.1 400 Bad Request\r\n\r\n", "frame of"},
        {framed("{\"ok\": true"), "JSON object"},
        {framed("garbage"), "JSON object"},
        {framed("[1]"), "JSON object"},
        {framed("null"), "JSON object"},
        {framed("{}"), "JSON object"},
        {framed(R"({"ok": "yes"})"), "JSON object"},
        {framed("\xff\xfe"), "JSON object"},
        {framed(deep), "JSON object"},
    };

    for (const auto& answer : answers) {
      CAPTURE(answer.bytes.substr(0, 30));
      const support::TempFolder folder;
      FakeKeyd keyd(folder / "s", answer.bytes);
      const auto error = error_of(folder / "s");
      CAPTURE(std::string(error.what()));
      CHECK(error.code == exit_unreachable);
      CHECK(contains(error.what(), answer.says));
      CHECK(contains(error.what(), (folder / "s").string()));
    }
  }

  TEST_CASE("a keyd that is not there, or silent, is told apart") {
    const support::TempFolder folder;
    const auto missing = error_of(folder / "missing");
    CHECK(missing.code == exit_unreachable);
    CHECK(contains(missing.what(), "Is keyd running"));
    CHECK(contains(missing.what(), "keyd authority --config"));

    { FakeKeyd gone(folder / "left-over", ""); }
    const auto refused = error_of(folder / "left-over");
    CHECK(refused.code == exit_unreachable);
    CHECK(contains(refused.what(), "nobody listens"));

    // listens, but never accepts
    const auto path = (folder / "silent").string();
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::copy(path.begin(), path.end(), address.sun_path);
    const int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    REQUIRE(bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(listen(listener, 1) == 0);
    const auto silent = error_of(path);
    close(listener);
    CHECK(silent.code == exit_unreachable);
    CHECK(contains(silent.what(), "does not answer"));

    const auto too_long = error_of(folder / std::string(200, 'a'));
    CHECK(too_long.code == exit_usage);
  }

  TEST_CASE("commands: exit codes and --json are as --help says") {
    const support::TempFolder folder;
    CHECK(ticketctl_at(folder / "none", {"pools"}).code == 3);
    CHECK(ticketctl_at(folder / "none", {"pools", "extra"}).code == 2);
    CHECK(ticketctl_at(folder / "none", {"pools", "--frob"}).code == 2);
    CHECK(ticketctl_at(folder / "none", {"rotate", "--pool", "web"}).code == 2);
    CHECK(ticketctl_at(folder / "none", {"rotate", "--now"}).code == 2);
    CHECK(ticketctl_at(folder / "none", {"frob"}).code == 2);
    CHECK(ticketctl_at(folder / "none", {}).code == 2);
    CHECK(ticketctl_at(folder / "none", {"--help"}).code == 0);

    FakeKeyd refusing(folder / "no",
                      framed(R"({"ok": false, "error": "no pool\u001b is called x"})"));
    const auto refused = ticketctl_at(folder / "no", {"rotate", "--now", "--pool", "x"});
    CHECK(refused.code == 1);
    CHECK(refused.output == "ticketctl: keyd says no: no pool? is called x\n");
    CHECK(refusing.request() == framed(R"({"command":"rotate","pool":"x"})"));

    FakeKeyd rotated(folder / "yes", framed(R"({"ok": true, "generation": 7, "sealing": 3})"));
    const auto done = ticketctl_at(folder / "yes", {"rotate", "--now", "--pool", "x"});
    CHECK(done.code == 0);
    CHECK(done.output == "x: generation 7, epoch 3 seals now\n");

    FakeKeyd json_keyd(folder / "json", framed(R"({"ok": true, "pools": [], "more": 1})"));
    const auto printed = ticketctl_at(folder / "json", {"pools", "--json"});
    CHECK(printed.code == 0);
    CHECK(json::parse(printed.output) ==
          json({{"ok", true}, {"pools", json::array()}, {"more", 1}}));

    FakeKeyd old(folder / "old", framed(R"({"ok": true, "pools": [{"name": "web"}]})"));
    const auto lacking = ticketctl_at(folder / "old", {"pools"});
    CHECK(lacking.code == 3);
    CHECK(contains(lacking.output, "generation"));
  }

  TEST_CASE("every command helps with an example") {
    for (const std::vector<std::string>& command : {std::vector<std::string>{"init"},
                                                    {"member", "add"},
                                                    {"member", "list"},
                                                    {"pools"},
                                                    {"status"},
                                                    {"rotate"}}) {
      auto arguments = command;
      arguments.push_back("--help");
      const auto help = ticketctl_at("none", arguments);
      CAPTURE(command[0]);
      CHECK(help.code == 0);
      CHECK(contains(help.output, "Example:\n  ticketctl " + command[0]));
      CHECK_FALSE(contains(help.output, " \n"));
    }
    const auto help = ticketctl_at("none", {"--help"});
    for (const char* code : {"  0  ", "  1  ", "  2  ", "  3  "})
      CHECK(contains(help.output, code));
  }

  TEST_CASE("the socket is what keyd.toml says: here, else the installed one") {
    const support::TempFolder folder;
    const auto here = folder / "here", installed = folder / "installed", run = folder / "run.sock";
    std::filesystem::create_directories(here);
    std::filesystem::create_directories(installed);
    const auto found = [&] { return found_socket({here, installed}, run); };
    const auto says = [&] {
      try {
        return found().string();
      } catch (const CommandError& error) {
        CHECK(error.code == exit_unreachable);
        return std::string(error.what());
      }
    };

    for (const auto& tried : {here / "keyd.toml", installed / "keyd.toml", run}) {
      CAPTURE(tried);
      CHECK(contains(says(), tried.string()));  // nothing is there: all that was tried is told
    }
    support::write_text(run, "");
    CHECK(found() == run);
    support::write_text(installed / "keyd.toml", "[authority]\nadmin = \"/run/other.sock\"\n");
    CHECK(found() == "/run/other.sock");
    support::write_text(here / "keyd.toml", "[authority]\nadmin = \"keyd.sock\"\n");
    CHECK(found() == here / "keyd.sock");
    support::write_text(here / "keyd.toml", "this is no TOML");
    CHECK(found() == here / "keyd.sock");  // what ticketctl init writes
  }

  TEST_CASE("in the folder that init made, no --socket is needed") {
    const support::TempFolder folder;
    const auto program = (support::build_root() / "ticketctl/ticketctl").string();
    REQUIRE(support::run({program, "init", "--dir", folder / "k", "--pool", "web"}).code == 0);
    const FakeKeyd keyd(folder / "k/keyd.sock", framed(R"({"ok": true, "pools": []})"));

    const auto outcome = support::run(
        {program, "pools"},
        {.environment = {{"TICKETCTL_SOCKET", ""}}, .input = {}, .folder = folder / "k"});
    CHECK_MESSAGE(outcome.code == 0, outcome.output);
  }
}
