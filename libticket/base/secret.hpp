// Bytes that no other process, core dump or stray copy should see.
#pragma once

#include <sodium.h>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <new>
#include <span>
#include <utility>

#include "base/bytes.hpp"

namespace ticket {

// A run of secret bytes whose length is known at run time. Held between guard
// pages, left out of core dumps, locked in RAM where RLIMIT_MEMLOCK allows
// (sodium_malloc ignores a failed lock: keyd checks the limit at start), wiped
// on release. Moves, never copies, prints nothing. Costs 3-4 pages: keep what
// belongs together in one.
class SecretBytes {
 public:
  SecretBytes() = default;
  explicit SecretBytes(std::size_t size) : bytes_(allocate(size)), size_(size) {
    sodium_memzero(bytes_.get(), size);
  }
  SecretBytes(SecretBytes&& other) noexcept
      : bytes_(std::move(other.bytes_)), size_(std::exchange(other.size_, 0)) {}
  SecretBytes& operator=(SecretBytes&& other) noexcept {
    bytes_ = std::move(other.bytes_);
    size_ = std::exchange(other.size_, 0);
    return *this;
  }

  static SecretBytes copy_of(BytesView bytes) {
    SecretBytes secret(bytes.size());
    std::copy(bytes.begin(), bytes.end(), secret.bytes_.get());
    return secret;
  }

  // The one way to read a secret: grep for `expose` to audit every reader.
  BytesView expose() const { return {bytes_.get(), size_}; }
  // The one way to write one, right after it was made.
  std::span<std::byte> fill() { return {bytes_.get(), size_}; }
  std::size_t size() const { return size_; }

 private:
  struct Wipe {
    void operator()(std::byte* bytes) const noexcept { sodium_free(bytes); }
  };

  static std::byte* allocate(std::size_t size) {
    static const bool ready = sodium_init() >= 0;  // else sodium_malloc aborts
    void* bytes = ready ? sodium_malloc(size) : nullptr;
    if (bytes == nullptr) throw std::bad_alloc();
    return static_cast<std::byte*>(bytes);
  }

  std::unique_ptr<std::byte, Wipe> bytes_;
  std::size_t size_ = 0;
};

// N secret bytes: a SecretBytes whose length the compiler knows. A moved-from
// Secret may only be destroyed or assigned to.
template <std::size_t N>
class Secret {
 public:
  Secret() : bytes_(N) {}  // all zero, for fill()

  static Secret random() {
    Secret secret;
    randombytes_buf(secret.fill().data(), N);
    return secret;
  }
  static Secret copy_of(std::span<const std::byte, N> bytes) {
    Secret secret;
    std::copy(bytes.begin(), bytes.end(), secret.fill().begin());
    return secret;
  }

  std::span<const std::byte, N> expose() const { return bytes_.expose().template first<N>(); }
  std::span<std::byte, N> fill() { return bytes_.fill().template first<N>(); }

  // Constant time.
  friend bool operator==(const Secret& a, const Secret& b) {
    return sodium_memcmp(a.expose().data(), b.expose().data(), N) == 0;
  }

 private:
  SecretBytes bytes_;
};

}  // namespace ticket
