#include "crypto/ticket_cipher.hpp"

#include <doctest/doctest.h>
#include <openssl/core_names.h>
#include <openssl/hmac.h>
#include <sys/wait.h>
#include <unistd.h>

#include <set>
#include <string>

#include "crypto/random.hpp"

namespace ticket::crypto {

namespace {

struct Contexts {
  EVP_MAC* algorithm = EVP_MAC_fetch(nullptr, "HMAC", nullptr);
  EVP_MAC_CTX* mac = EVP_MAC_CTX_new(algorithm);
  EVP_CIPHER_CTX* cipher = EVP_CIPHER_CTX_new();
  ~Contexts() {
    EVP_CIPHER_CTX_free(cipher);
    EVP_MAC_CTX_free(mac);
    EVP_MAC_free(algorithm);
  }
};

}  // namespace

TEST_SUITE("ticket cipher") {
  TEST_CASE("AES-256-CBC, NIST SP 800-38A F.2.5, and HMAC-SHA256, RFC 4231 test 1 key padded") {
    const auto aes = *from_hex("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4");
    const Bytes hmac(32, std::byte{0x0b});
    const auto iv = *from_hex("000102030405060708090a0b0c0d0e0f");
    const auto plain = *from_hex("6bc1bee22e409f96e93d7e117393172a");
    const TicketCipher cipher(hmac, aes);
    Contexts seal;

    REQUIRE(cipher.start_seal(seal.cipher, seal.mac, raw(iv)));
    Bytes sealed(48);
    int length = 0;
    REQUIRE(EVP_EncryptUpdate(seal.cipher, raw(sealed), &length, raw(plain), 16) == 1);
    Bytes tag(32), expected(32);
    std::size_t tag_length = 0;
    REQUIRE(EVP_MAC_update(seal.mac, raw(plain), plain.size()) == 1);
    REQUIRE(EVP_MAC_final(seal.mac, raw(tag), &tag_length, tag.size()) == 1);
    HMAC(EVP_sha256(), hmac.data(), 32, raw(plain), plain.size(), raw(expected), nullptr);

    CHECK(hex(BytesView(sealed).first(16)) == "f58c4c04d6e5f1ba779eabfb5f7bfbd6");
    CHECK(tag == expected);
  }

  TEST_CASE("keys of another length are refused") {
    const Bytes good(32, std::byte{1}), bad(31, std::byte{1});
    CHECK_THROWS(TicketCipher(bad, good));
    CHECK_THROWS(TicketCipher(good, bad));
  }
}

TEST_SUITE("random") {
  TEST_CASE("no IV is drawn twice, also not by a forked child") {
    std::set<std::string> seen;
    const auto draw = [] {
      std::string iv(16, '\0');
      REQUIRE(draw_iv(reinterpret_cast<unsigned char*>(iv.data())));
      return iv;
    };
    for (int i = 0; i < 1000; ++i) CHECK(seen.insert(draw()).second);

    int channel[2];
    REQUIRE(pipe(channel) == 0);
    const auto child = fork();
    if (child == 0) {
      for (int i = 0; i < 70; ++i) {
        unsigned char iv[16];
        draw_iv(iv);
        if (write(channel[1], iv, 16) != 16) _exit(1);
      }
      _exit(0);
    }
    close(channel[1]);
    std::string iv(16, '\0');
    int received = 0;
    while (read(channel[0], iv.data(), 16) == 16) {
      ++received;
      CHECK(seen.insert(iv).second);
    }
    waitpid(child, nullptr, 0);
    close(channel[0]);
    CHECK(received == 70);
    for (int i = 0; i < 70; ++i) CHECK(seen.insert(draw()).second);
  }
}

}  // namespace ticket::crypto
