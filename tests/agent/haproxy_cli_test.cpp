#include "haproxy_cli.hpp"

#include <doctest/doctest.h>

#include "support/rings.hpp"

using namespace ticket;
using keyd::HaproxyKeys;

namespace {

// Three keys, each one letter 80 times: "abc".
HaproxyKeys keys(std::string_view letters) {
  HaproxyKeys keys;
  for (std::size_t i = 0; i < 240; ++i) keys.fill()[i] = static_cast<std::byte>(letters[i / 80]);
  return keys;
}

// HAProxy 2.6's answer to `show tls-keys`, taken from a running one.
std::string shown(std::initializer_list<std::string> texts) {
  std::string answer = "# id secret\n# 0 (/run/t/web.keys)\n";
  int slot = 0;
  for (const auto& text : texts) answer += "0." + std::to_string(slot++) + " " + text + "\n";
  return answer + "\n";
}

std::string base64(char letter, std::size_t size = 80) {
  const auto key = SecretBytes::copy_of(as_bytes(std::string(size, letter)));
  auto line = std::string(as_text(keyd::base64_lines({&key}).expose()));
  line.pop_back();
  return line;
}

std::string trouble(const std::string& answer) {
  const auto parsed = keyd::parse_answer(as_bytes(answer), "/run/t/web.keys");
  return parsed ? "none" : parsed.error();
}

}  // namespace

TEST_SUITE("haproxy cli") {
  TEST_CASE("after a rotation one key is set, else as few as will do") {
    const struct {
      const char *standing, *wanted;
      unsigned sets;
    } cases[] = {{"psn", "psn", 0}, {"psn", "snm", 1}, {"psn", "nmo", 2}, {"psn", "mop", 3},
                 {"psn", "spn", 3}, {"sss", "ssn", 1}, {"psn", "psm", 3}, {"psn", "xyz", 3}};
    for (const auto& one : cases) {
      CAPTURE(one.standing);
      CAPTURE(one.wanted);
      CHECK(keyd::sets_needed(keys(one.standing), keys(one.wanted)) == one.sets);

      // HAProxy shifts: what stands after so many sets is what was wanted.
      const auto after = std::string(one.standing) + std::string(one.wanted).substr(3 - one.sets);
      CHECK(after.substr(after.size() - 3) == one.wanted);
    }
  }

  TEST_CASE("a command sets the last keys in their order, then asks what stands") {
    const auto command = keyd::set_command("/run/t/web.keys", keys("psn"), 2);

    CHECK(as_text(command.expose()) == "set ssl tls-key /run/t/web.keys " + base64('s') +
                                           ";set ssl tls-key /run/t/web.keys " + base64('n') +
                                           ";show tls-keys /run/t/web.keys\n");
  }

  TEST_CASE("what HAProxy shows is previous, seals, next") {
    const auto answer = "TLS ticket key updated!\n\nTLS ticket key updated!\n\n" +
                        shown({base64('p'), base64('s'), base64('n')});

    const auto parsed = keyd::parse_answer(as_bytes(answer), "/run/t/web.keys");

    REQUIRE(parsed.has_value());
    CHECK(*parsed == keys("psn"));
    CHECK(keyd::sets_taken(as_bytes(answer)) == 2);
  }

  TEST_CASE("the slots are filled from the held keys in HAProxy's order") {
    const auto held =
        keyd::held_keys(test::ring_of(test::hourly(1, 3)), "default", keyd::KeyLayout::haproxy, 3,
                        test::noon + std::chrono::hours(1));
    const auto slots = keyd::in_slots(held);
    for (std::size_t slot = 0; slot < 3; ++slot) {  // previous, seals, next
      const auto expected = held.keys[(slot + 2) % 3].expose();
      CHECK(std::ranges::equal(BytesView(slots.expose()).subspan(80 * slot, 80), expected));
    }
  }

  TEST_CASE("each refusal is told with the way out, and never with a key") {
    const struct {
      std::string answer;
      const char* told;
    } cases[] = {
        {"'set ssl tls-key' unable to locate referenced filename\n\n", "it knows no key file"},
        {"'set ssl tls-key' received a key of wrong size.\n\n", "keys of 48 bytes"},
        {shown({base64('p', 48), base64('s', 48), base64('n', 48)}), "keys of 48 bytes"},
        {"Permission denied\n\n", "level admin"},
        {"'show tls-keys' something new\n\n", "it answers: 'show tls-keys' something new"},
        {"Unknown command: 'show', but maybe ...\n" + base64('k') + "\n", "not understood"},
        {"", "not understood (0 lines)"},
        {shown({base64('k'), base64('k')}), "not understood"},
        {shown({base64('k'), base64('k'), base64('k'), base64('k')}), "not understood"},
        {shown({base64('k'), "k" + base64('k').substr(1), "!" + base64('k')}), "not understood"},
    };
    for (const auto& one : cases) {
      CAPTURE(one.answer);
      const auto told = trouble(one.answer);
      CAPTURE(told);
      CHECK(told.find(one.told) != std::string::npos);
      CHECK(told.find(base64('k').substr(4, 8)) == std::string::npos);
    }
  }

  TEST_CASE("an answer that is cut anywhere is no three keys") {
    const auto whole = shown({base64('p'), base64('s'), base64('n')});
    for (std::size_t size = 0; size + 2 < whole.size(); ++size) {
      CAPTURE(size);
      CHECK(trouble(whole.substr(0, size)) != "none");
    }
  }
}
