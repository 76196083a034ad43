#include "crypto/ticket_cipher.hpp"

#include <openssl/core_names.h>
#include <openssl/params.h>

#include <stdexcept>

namespace ticket::crypto {

const EVP_CIPHER* aes_256_cbc() {
  static const EVP_CIPHER* const cipher = EVP_CIPHER_fetch(nullptr, "AES-256-CBC", nullptr);
  return cipher;
}

TicketCipher::TicketCipher(BytesView hmac_key, BytesView aes_key)
    : seal_(EVP_CIPHER_CTX_new()), open_(EVP_CIPHER_CTX_new()), hmac_key_(hmac_key) {
  if (!seal_ || !open_ || aes_256_cbc() == nullptr || hmac_key.size() != 32 ||
      aes_key.size() != 32 ||
      EVP_EncryptInit_ex2(seal_.get(), aes_256_cbc(), raw(aes_key), nullptr, nullptr) != 1 ||
      EVP_DecryptInit_ex2(open_.get(), aes_256_cbc(), raw(aes_key), nullptr, nullptr) != 1) {
    throw std::runtime_error("OpenSSL failed to key AES-256-CBC");
  }
}

bool TicketCipher::key_mac(EVP_MAC_CTX* mac) const {
  char digest[] = "SHA256";
  const OSSL_PARAM parameters[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, sizeof(digest) - 1),
      OSSL_PARAM_construct_end(),
  };
  return EVP_MAC_init(mac, raw(hmac_key_), hmac_key_.size(), parameters) == 1;
}

bool TicketCipher::start_seal(EVP_CIPHER_CTX* cipher, EVP_MAC_CTX* mac,
                              const unsigned char* iv) const {
  return EVP_CIPHER_CTX_copy(cipher, seal_.get()) == 1 &&
         EVP_EncryptInit_ex2(cipher, nullptr, nullptr, iv, nullptr) == 1 && key_mac(mac);
}

bool TicketCipher::start_open(EVP_CIPHER_CTX* cipher, EVP_MAC_CTX* mac,
                              const unsigned char* iv) const {
  return EVP_CIPHER_CTX_copy(cipher, open_.get()) == 1 &&
         EVP_DecryptInit_ex2(cipher, nullptr, nullptr, iv, nullptr) == 1 && key_mac(mac);
}

}  // namespace ticket::crypto
