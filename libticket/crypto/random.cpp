#include "crypto/random.hpp"

#include <openssl/rand.h>
#include <sodium.h>
#include <sys/mman.h>

#include <atomic>
#include <cstring>

namespace ticket::crypto {

namespace {

// A page that the kernel zeroes in a forked child, also after a raw clone(), so
// that no fork goes unseen. Falls back to never having forked when the kernel
// (before 4.14) cannot: draw_iv then draws each IV on its own.
class WipedOnFork {
 public:
  WipedOnFork() {
    void* page = mmap(nullptr, sizeof(std::atomic<unsigned>), PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) return;
    if (madvise(page, sizeof(std::atomic<unsigned>), MADV_WIPEONFORK) != 0) {
      munmap(page, sizeof(std::atomic<unsigned>));
      return;
    }
    living_ = new (page) std::atomic<unsigned>(0);
  }

  bool works() const { return living_ != nullptr; }

  // A number that is never 0 and differs in a child from its parents'.
  unsigned process() {
    const auto number = living_->load(std::memory_order_relaxed);
    return number != 0 ? number : renew();
  }

 private:
  unsigned renew() {
    // next_ is ordinary memory: the child inherits the parent's value
    unsigned expected = 0;
    const auto number = next_.fetch_add(1, std::memory_order_relaxed) + 1;
    return living_->compare_exchange_strong(expected, number) ? number : expected;
  }

  std::atomic<unsigned>* living_ = nullptr;
  std::atomic<unsigned> next_{0};
};

WipedOnFork& fork_page() {
  static WipedOnFork page;
  return page;
}

constexpr std::size_t iv_length = 16;
constexpr std::size_t ivs_in_block = 64;

// A generator a thread: ChaCha20 under a key that OpenSSL drew. Each block begins
// with the key of the next ("fast key erasure"), so what was handed out cannot be
// found again.
struct Generator {
  unsigned process = 0;
  std::size_t used = ivs_in_block;
  struct {
    unsigned char key[crypto_stream_chacha20_KEYBYTES];
    unsigned char ivs[ivs_in_block * iv_length];
  } block;
};

thread_local Generator generator;

void renew(Generator& generator) {
  constexpr unsigned char nonce[crypto_stream_chacha20_NONCEBYTES] = {};  // a key is used once
  unsigned char key[sizeof generator.block.key];
  std::memcpy(key, generator.block.key, sizeof key);
  crypto_stream_chacha20(reinterpret_cast<unsigned char*>(&generator.block), sizeof generator.block,
                         nonce, key);
  sodium_memzero(key, sizeof key);
  generator.used = 0;
}

}  // namespace

bool draw_iv(unsigned char* iv) {
  if (!fork_page().works()) return RAND_bytes(iv, iv_length) == 1;
  const auto process = fork_page().process();
  if (generator.process != process) {
    if (RAND_bytes(generator.block.key, sizeof generator.block.key) != 1) return false;
    generator.process = process;
    generator.used = ivs_in_block;
  }
  if (generator.used == ivs_in_block) renew(generator);
  std::memcpy(iv, generator.block.ivs + generator.used++ * iv_length, iv_length);
  return true;
}

bool ForkWatch::forked() {
  if (!fork_page().works()) return false;
  const auto process = fork_page().process();
  const bool changed = seen_ != 0 && seen_ != process;
  seen_ = process;
  return changed;
}

}  // namespace ticket::crypto
