#include "crypto/seal_cipher.hpp"

#include <memory>
#include <stdexcept>

#include "crypto/ticket_cipher.hpp"

namespace ticket::crypto {

namespace {

using Context = std::unique_ptr<EVP_CIPHER_CTX, FreeCipher>;

// Keyed, without padding. The IV does not matter: see Loan.
Context keyed(BytesView aes_key, bool encrypts) {
  constexpr unsigned char zero[SealCipher::block_size] = {};
  Context context(EVP_CIPHER_CTX_new());
  if (!context || aes_256_cbc() == nullptr || aes_key.size() != 32 ||
      EVP_CipherInit_ex2(context.get(), aes_256_cbc(), raw(aes_key), zero, encrypts ? 1 : 0,
                         nullptr) != 1 ||
      EVP_CIPHER_CTX_set_padding(context.get(), 0) != 1) {
    throw std::runtime_error("OpenSSL failed to key AES-256-CBC");
  }
  return context;
}

// As many bytes as went in: EVP_Cipher's int is a length or a failure. A part of a
// block it would write as a whole one.
bool transform(EVP_CIPHER_CTX* context, std::byte* out, BytesView in) noexcept {
  if (in.size() % SealCipher::block_size != 0) return false;
  const auto size = static_cast<unsigned>(in.size());
  return EVP_Cipher(context, reinterpret_cast<unsigned char*>(out), raw(in), size) ==
         static_cast<int>(size);
}

}  // namespace

SealCipher::SealCipher(BytesView hmac_key, BytesView aes_key) : aes_key_(aes_key), mac_(hmac_key) {
  keyed(aes_key, true);  // throws now rather than when the first ticket comes
}

SealCipher::Loan::Loan(const SealCipher& cipher)
    : contexts_(cipher.contexts_.borrow([&] {
        return Contexts{keyed(cipher.aes_key_, true), keyed(cipher.aes_key_, false)};
      })) {}

bool SealCipher::Loan::encrypt(std::span<std::byte> blocks) noexcept {
  return transform(contexts_->encrypting.get(), blocks.data(), blocks);
}

bool SealCipher::Loan::decrypt(BytesView blocks, std::span<std::byte> out) noexcept {
  return transform(contexts_->decrypting.get(), out.data(), blocks);
}

}  // namespace ticket::crypto
