// AES-256-CBC and HMAC-SHA256 of one ticket key for tickets that we seal
// ourselves: no allocation, no lock and no system call while it is in use.
#pragma once

#include <openssl/evp.h>

#include <memory>

#include "base/bytes.hpp"
#include "crypto/hmac.hpp"
#include "crypto/lender.hpp"

namespace ticket::crypto {

struct FreeCipher {
  void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};

// One key, shared between threads. A keyed OpenSSL context is expensive to copy
// (0.12 us and an allocation) and one that a thread kept would outlive its key,
// so the contexts belong to the key and threads borrow them: they are wiped with
// it, also when their threads are idle or did not survive a fork.
class SealCipher {
  struct Contexts {
    std::unique_ptr<EVP_CIPHER_CTX, FreeCipher> encrypting, decrypting;
  };

 public:
  static constexpr std::size_t block_size = 16;

  // Views of the 32-byte keys; `aes_key` must outlive the object, `hmac_key` need not.
  SealCipher(BytesView hmac_key, BytesView aes_key);

  const HmacSha256& mac() const { return mac_; }

  // Contexts of this key for a scope: one message, one direction. Threads that
  // meet for the first time have theirs made; then they are there.
  class Loan {
   public:
    explicit Loan(const SealCipher& cipher);

    // Encrypts whole blocks in place. The first goes in as a nonce and comes out
    // as the IV of the others: the forward cipher of a nonce is an unpredictable
    // IV (NIST SP 800-38A, appendix C), and costs a block where setting an IV
    // costs several. False for a part of a block, or when OpenSSL fails.
    bool encrypt(std::span<std::byte> blocks) noexcept;

    // Decrypts whole blocks, as many calls as it takes. The very first block is
    // the IV: what comes out for it means nothing.
    bool decrypt(BytesView blocks, std::span<std::byte> out) noexcept;

   private:
    Lender<Contexts>::Loan contexts_;
  };

 private:
  BytesView aes_key_;
  HmacSha256 mac_;
  Lender<Contexts> contexts_;
};

}  // namespace ticket::crypto
