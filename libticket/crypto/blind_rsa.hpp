// Blind RSA signatures, RSABSSA-SHA384-PSS-Deterministic (RFC 9474, section 5): the
// signer does not see what it signs, nor can it find out afterwards.
//
//   client                                   issuer               redeemer
//   blind(message) ── blinded ──────────────► blind_sign
//   finalize ◄────────────── blind signature ─┘
//      └── message, signature ──────────────────────────────────► verify
#pragma once

#include <openssl/evp.h>

#include <memory>

#include "base/checked.hpp"
#include "base/secret.hpp"

namespace ticket::crypto {

constexpr std::size_t blind_rsa_salt_size = 48;  // of the hash: RFC 9474, section 5

// What a client sends, and what it must keep to itself until the answer comes.
struct BlindedMessage {
  Bytes blinded;        // as long as the modulus
  SecretBytes inverse;  // of the blinding factor: links the request to the token
};

// An issuer's public key, made ready: contexts are kept and lent to threads, since
// OpenSSL spends half as much as the RSA operation on making them. Shared between
// threads.
class BlindRsaPublic {
 public:
  // Big-endian, the modulus a multiple of 8 bits from 2048 to 8192. Rejects with
  // bad_key: another size, even numbers, an exponent below 3.
  [[nodiscard]] static Checked<BlindRsaPublic> load(BytesView modulus, BytesView exponent);
  BlindRsaPublic(BlindRsaPublic&&) noexcept;
  BlindRsaPublic& operator=(BlindRsaPublic&&) noexcept;
  ~BlindRsaPublic();

  // Big-endian, without leading zeros.
  const Bytes& modulus() const { return modulus_; }
  const Bytes& exponent() const { return exponent_; }

  // RSASSA-PSS with SHA-384 and a salt of exactly 48 bytes (RFC 8017, section 8.1.2).
  bool verify(BytesView message, BytesView signature) const;

  // RFC 9474, section 4.2, with a new salt and factor each time. Rejects with bad_key
  // when the message shares a factor with the modulus.
  [[nodiscard]] Checked<BlindedMessage> blind(BytesView message) const;
  // The same with a salt of 48 bytes and a factor of the modulus' size that the caller
  // drew: for the RFC's test vectors. bad_key also for a factor that has no inverse.
  [[nodiscard]] Checked<BlindedMessage> blind(BytesView message, BytesView salt,
                                              BytesView factor) const;
  // RFC 9474, section 4.4: the signature. Rejects with malformed (its size) or forged.
  [[nodiscard]] Checked<Bytes> finalize(BytesView message, const SecretBytes& inverse,
                                        BytesView blind_signature) const;

 private:
  friend class BlindRsaPrivate;
  struct Ready;
  BlindRsaPublic(Bytes modulus, Bytes exponent, EVP_PKEY* key);

  Bytes modulus_, exponent_;
  std::unique_ptr<Ready> ready_;
};

// An issuer's private key. Its numbers live in OpenSSL's heap, which is wiped when the
// key goes. Shared between threads.
class BlindRsaPrivate {
 public:
  // 0.3 to 0.6 s for 2048 bits: off the loop.
  static BlindRsaPrivate generate(unsigned bits = 2048);
  // DER of PKCS #1 or #8. Rejects with malformed or, for what is not a plain RSA key
  // of a fit size, bad_key.
  [[nodiscard]] static Checked<BlindRsaPrivate> parse(BytesView der);
  SecretBytes der() const;  // PKCS #1

  BlindRsaPrivate(BlindRsaPrivate&&) noexcept;
  BlindRsaPrivate& operator=(BlindRsaPrivate&&) noexcept;
  ~BlindRsaPrivate();

  const BlindRsaPublic& public_key() const { return public_; }

  // RFC 9474, section 4.3, with its check of the result. Rejects with malformed what is
  // not of the modulus' size or not below it.
  [[nodiscard]] Checked<Bytes> blind_sign(BytesView blinded) const;

 private:
  struct Ready;
  BlindRsaPrivate(BlindRsaPublic half, EVP_PKEY* key);
  [[nodiscard]] static Checked<BlindRsaPrivate> take(EVP_PKEY* key);

  BlindRsaPublic public_;
  std::unique_ptr<Ready> ready_;
};

}  // namespace ticket::crypto
