#include <doctest/doctest.h>

#include <string>

#include "stacks/openssl/server_name.hpp"

using ticket::openssl::parse_server_name;
using ticket::openssl::ServerName;

namespace {

// What a ClientHello has in its server_name extension.
std::string extension(const std::string& name) {
  const auto u16 = [](std::size_t n) { return std::string{char(n >> 8), char(n)}; };
  return u16(name.size() + 3) + '\0' + u16(name.size()) + name;
}

bool parses(const std::string& bytes, ServerName* name) {
  return parse_server_name(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(),
                           name);
}

}  // namespace

TEST_SUITE("openssl: server name") {
  TEST_CASE("a name comes out in lower case, otherwise as it is") {
    for (const std::string name : {"a", "a.test", "a.test.", "xn--bcher-kva.test"}) {
      CAPTURE(name);
      ServerName parsed;
      CHECK(parses(extension(name), &parsed));
      CHECK(parsed.view() == name);
      CHECK(parsed.c_str() == name);
    }
    ServerName parsed;
    CHECK(parses(extension("A.Test-Z"), &parsed));
    CHECK(parsed.view() == "a.test-z");
    CHECK(parses(extension(std::string(255, 'x')), &parsed));
    CHECK(parsed.view().size() == 255);
  }

  TEST_CASE("what is no server name is refused") {
    const std::string good = extension("a.test");
    std::string other_type = good, two = good + '\0' + "\0\x01z";
    other_type[2] = 1;
    const std::string bad[] = {
        other_type,
        two,
        good + 'x',
        extension(""),
        extension(std::string("a\0b", 3)),
        extension(std::string(256, 'x')),
    };
    for (const auto& bytes : bad) {
      CAPTURE(bytes);
      ServerName parsed;
      CHECK_FALSE(parses(bytes, &parsed));
    }
  }

  TEST_CASE("every truncation is refused") {
    const std::string good = extension("a.test");
    for (std::size_t size = 0; size < good.size(); ++size) {
      CAPTURE(size);
      ServerName parsed;
      CHECK_FALSE(parses(good.substr(0, size), &parsed));
    }
  }

  TEST_CASE("every altered length is refused") {
    const std::string good = extension("a.test");
    for (const std::size_t at : {0, 1, 3, 4}) {
      for (int bit = 0; bit < 8; ++bit) {
        std::string bytes = good;
        bytes[at] = char(bytes[at] ^ (1 << bit));
        ServerName parsed;
        CHECK_FALSE(parses(bytes, &parsed));
      }
    }
  }
}
