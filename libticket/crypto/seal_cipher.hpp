// AES-256-CBC and HMAC-SHA256 of one ticket key for tickets that we seal
// ourselves: no allocation, no lock and no system call while it is in use.
#pragma once

#include <openssl/evp.h>

#include <array>
#include <atomic>

#include "base/bytes.hpp"
#include "crypto/hmac.hpp"

namespace ticket::crypto {

// One key, shared between threads. A keyed OpenSSL context is expensive to copy
// (0.12 us and an allocation) and one that a thread kept would outlive its key,
// so the contexts belong to the key and threads borrow them: they are wiped with
// it, also when their threads are idle or did not survive a fork.
class SealCipher {
  struct Contexts;

 public:
  static constexpr std::size_t block_size = 16;

  // Views of the 32-byte keys; `aes_key` must outlive the object, `hmac_key` need not.
  SealCipher(BytesView hmac_key, BytesView aes_key);
  ~SealCipher();
  SealCipher(const SealCipher&) = delete;
  SealCipher& operator=(const SealCipher&) = delete;

  const HmacSha256& mac() const { return mac_; }

  // Contexts of this key for a scope: one message, one direction. Threads that
  // meet for the first time have theirs made; then they are there.
  class Loan {
   public:
    explicit Loan(const SealCipher& cipher) : contexts_(cipher.borrow()) {}
    ~Loan();
    Loan(const Loan&) = delete;
    Loan& operator=(const Loan&) = delete;

    // Encrypts whole blocks in place. The first goes in as a nonce and comes out
    // as the IV of the others: the forward cipher of a nonce is an unpredictable
    // IV (NIST SP 800-38A, appendix C), and costs a block where setting an IV
    // costs several. False for a part of a block, or when OpenSSL fails.
    bool encrypt(std::span<std::byte> blocks) noexcept;

    // Decrypts whole blocks, as many calls as it takes. The very first block is
    // the IV: what comes out for it means nothing.
    bool decrypt(BytesView blocks, std::span<std::byte> out) noexcept;

   private:
    Contexts* contexts_;
  };

 private:
  Contexts* borrow() const;
  Contexts* add(std::atomic<Contexts*>& head) const;

  BytesView aes_key_;
  HmacSha256 mac_;
  // A list for each group of threads, which only grows while the key lives.
  static constexpr std::size_t groups = 16;
  mutable std::array<std::atomic<Contexts*>, groups> heads_{};
};

}  // namespace ticket::crypto
