#include "crypto/seal_cipher.hpp"

#include <memory>
#include <stdexcept>

#include "crypto/ticket_cipher.hpp"

namespace ticket::crypto {

namespace {

struct Free {
  void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};
using Context = std::unique_ptr<EVP_CIPHER_CTX, Free>;

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

// Threads counted as they come, so that those that run at once seldom share.
std::size_t thread_number() {
  static std::atomic<std::size_t> threads{0};
  thread_local const std::size_t number = threads.fetch_add(1, std::memory_order_relaxed);
  return number;
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

struct alignas(64) SealCipher::Contexts {
  std::atomic<bool> lent{true};
  Context encrypting, decrypting;
  Contexts* next = nullptr;
};

SealCipher::SealCipher(BytesView hmac_key, BytesView aes_key) : aes_key_(aes_key), mac_(hmac_key) {
  keyed(aes_key, true);  // throws now rather than when the first ticket comes
}

SealCipher::~SealCipher() {
  for (auto& head : heads_) {
    for (auto* contexts = head.load(); contexts != nullptr;) {
      const std::unique_ptr<Contexts> last(contexts);
      contexts = contexts->next;
    }
  }
}

SealCipher::Contexts* SealCipher::borrow() const {
  auto& head = heads_[thread_number() % groups];
  for (auto* contexts = head.load(std::memory_order_acquire); contexts != nullptr;
       contexts = contexts->next) {
    if (!contexts->lent.exchange(true, std::memory_order_acquire)) return contexts;
  }
  return add(head);
}

SealCipher::Contexts* SealCipher::add(std::atomic<Contexts*>& head) const {
  auto contexts = std::make_unique<Contexts>();
  contexts->encrypting = keyed(aes_key_, true);
  contexts->decrypting = keyed(aes_key_, false);
  contexts->next = head.load();
  while (!head.compare_exchange_weak(contexts->next, contexts.get())) {
  }
  return contexts.release();
}

SealCipher::Loan::~Loan() { contexts_->lent.store(false, std::memory_order_release); }

bool SealCipher::Loan::encrypt(std::span<std::byte> blocks) noexcept {
  return transform(contexts_->encrypting.get(), blocks.data(), blocks);
}

bool SealCipher::Loan::decrypt(BytesView blocks, std::span<std::byte> out) noexcept {
  return transform(contexts_->decrypting.get(), out.data(), blocks);
}

}  // namespace ticket::crypto
