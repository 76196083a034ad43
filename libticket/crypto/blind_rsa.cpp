#include "crypto/blind_rsa.hpp"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include <algorithm>
#include <climits>
#include <stdexcept>

#include "crypto/lender.hpp"
#include "crypto/quiet_errors.hpp"

namespace ticket::crypto {

namespace {

struct Free {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  void operator()(EVP_PKEY_CTX* context) const { EVP_PKEY_CTX_free(context); }
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
  void operator()(BIGNUM* number) const { BN_clear_free(number); }
  void operator()(BN_CTX* context) const { BN_CTX_free(context); }
  void operator()(OSSL_PARAM_BLD* builder) const { OSSL_PARAM_BLD_free(builder); }
  void operator()(OSSL_PARAM* parameters) const { OSSL_PARAM_free(parameters); }
};
template <class T>
using Owned = std::unique_ptr<T, Free>;

constexpr std::size_t hash_size = 48;  // SHA-384
using Sha384 = ByteArray<hash_size>;

[[noreturn]] void failed(const char* what) {
  throw std::runtime_error(std::string("OpenSSL failed: ") + what);
}

template <class T>
Owned<T> owned(T* made) {
  if (made == nullptr) throw std::bad_alloc();
  return Owned<T>(made);
}

// Fetched once: an implicit fetch costs more than a block.
const EVP_MD* sha384() {
  static const EVP_MD* const digest = EVP_MD_fetch(nullptr, "SHA384", nullptr);
  if (digest == nullptr) failed("there is no SHA-384");
  return digest;
}

bool hash(EVP_MD_CTX* context, std::initializer_list<BytesView> parts, Sha384& out) {
  bool done = EVP_DigestInit_ex2(context, sha384(), nullptr) == 1;
  for (const auto part : parts) {
    done = done && EVP_DigestUpdate(context, part.data(), part.size()) == 1;
  }
  return done && EVP_DigestFinal_ex(context, raw(out), nullptr) == 1;
}

Sha384 hash(std::initializer_list<BytesView> parts) {
  const auto context = owned(EVP_MD_CTX_new());
  Sha384 out;
  if (!hash(context.get(), parts, out)) failed("SHA-384");
  return out;
}

// RFC 8017, appendix B.2.1, xored onto `block`.
void xor_mgf1(BytesView seed, std::span<std::byte> block) {
  for (std::size_t at = 0; at < block.size(); at += hash_size) {
    const auto counter = at / hash_size;  // below 256: a block is at most 1 KiB
    const ByteArray<4> number{std::byte{0}, std::byte{0}, std::byte{0},
                              static_cast<std::byte>(counter)};
    const auto mask = hash({seed, number});
    const auto size = std::min(hash_size, block.size() - at);
    for (std::size_t i = 0; i < size; ++i) block[at + i] ^= mask[i];
  }
}

// EMSA-PSS-ENCODE of RFC 8017, section 9.1.1, for a modulus of a multiple of 8 bits:
//
//   DB: zeros | 01 | salt 48, masked by MGF1(H)   |   H 48   |   bc
//
// H = SHA-384(zeros 8 | SHA-384(message) | salt); the first bit is cleared.
Bytes emsa_pss_encode(BytesView message, BytesView salt, std::size_t size) {
  const ByteArray<8> zeros{};
  const auto h = hash({zeros, hash({message}), salt});

  Bytes encoded(size);
  const auto db = std::span(encoded).first(size - hash_size - 1);
  db[db.size() - salt.size() - 1] = std::byte{1};
  std::ranges::copy(salt, db.end() - static_cast<std::ptrdiff_t>(salt.size()));
  xor_mgf1(h, db);
  db[0] &= std::byte{0x7f};
  std::ranges::copy(h, encoded.begin() + static_cast<std::ptrdiff_t>(db.size()));
  encoded.back() = std::byte{0xbc};
  return encoded;
}

Owned<BIGNUM> number(BytesView bytes) {
  return owned(BN_bin2bn(raw(bytes), static_cast<int>(bytes.size()), nullptr));
}

void write(const BIGNUM* number, std::span<std::byte> out) {
  if (BN_bn2binpad(number, raw(out), static_cast<int>(out.size())) < 0) failed("BN_bn2binpad");
}

bool fit(std::size_t bits) { return bits >= 2048 && bits <= 8192 && bits % 8 == 0; }

Owned<EVP_PKEY_CTX> context_of(EVP_PKEY* key) {
  return owned(EVP_PKEY_CTX_new_from_pkey(nullptr, key, nullptr));
}

// Raw RSA: the only way to sign what was encoded elsewhere.
Owned<EVP_PKEY_CTX> raw_context(EVP_PKEY* key, int (*init)(EVP_PKEY_CTX*)) {
  auto context = context_of(key);
  if (init(context.get()) != 1 ||
      EVP_PKEY_CTX_set_rsa_padding(context.get(), RSA_NO_PADDING) != 1) {
    failed("RSA without padding");
  }
  return context;
}

Owned<EVP_PKEY_CTX> pss_context(EVP_PKEY* key) {
  auto context = context_of(key);
  // a fixed salt length: RSA_PSS_SALTLEN_AUTO would take signatures without a salt
  if (EVP_PKEY_verify_init(context.get()) != 1 ||
      EVP_PKEY_CTX_set_rsa_padding(context.get(), RSA_PKCS1_PSS_PADDING) != 1 ||
      EVP_PKEY_CTX_set_signature_md(context.get(), sha384()) != 1 ||
      EVP_PKEY_CTX_set_rsa_mgf1_md(context.get(), sha384()) != 1 ||
      EVP_PKEY_CTX_set_rsa_pss_saltlen(context.get(), blind_rsa_salt_size) != 1) {
    failed("RSASSA-PSS");
  }
  return context;
}

Owned<EVP_PKEY> public_key(const BIGNUM* n, const BIGNUM* e) {
  const auto builder = owned(OSSL_PARAM_BLD_new());
  if (OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, n) != 1 ||
      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, e) != 1) {
    failed("an RSA key's parameters");
  }
  const auto parameters = owned(OSSL_PARAM_BLD_to_param(builder.get()));
  const auto context = owned(EVP_PKEY_CTX_new_from_name(nullptr, "RSA", nullptr));
  EVP_PKEY* key = nullptr;
  if (EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, parameters.get()) != 1) {
    failed("an RSA key of its numbers");
  }
  return owned(key);
}

Bytes number_of(EVP_PKEY* key, const char* name) {
  BIGNUM* value = nullptr;
  if (EVP_PKEY_get_bn_param(key, name, &value) != 1) failed(name);
  const Owned<BIGNUM> number(value);
  Bytes bytes(static_cast<std::size_t>(BN_num_bytes(value)));
  write(value, bytes);
  return bytes;
}

}  // namespace

struct BlindRsaPublic::Ready {
  struct Contexts {
    Owned<EVP_PKEY_CTX> verifying;
    Owned<EVP_MD_CTX> hashing;
  };

  Contexts make() const { return {pss_context(key.get()), owned(EVP_MD_CTX_new())}; }

  Owned<EVP_PKEY> key;
  Lender<Contexts> lender;
};

BlindRsaPublic::BlindRsaPublic(Bytes modulus, Bytes exponent, EVP_PKEY* key)
    : modulus_(std::move(modulus)),
      exponent_(std::move(exponent)),
      ready_(std::make_unique<Ready>()) {
  ready_->key.reset(key);
}
BlindRsaPublic::BlindRsaPublic(BlindRsaPublic&&) noexcept = default;
BlindRsaPublic& BlindRsaPublic::operator=(BlindRsaPublic&&) noexcept = default;
BlindRsaPublic::~BlindRsaPublic() = default;

Checked<BlindRsaPublic> BlindRsaPublic::load(BytesView modulus, BytesView exponent) {
  if (modulus.size() > 1024 || exponent.size() > 8) return reject(Rejection::bad_key);
  const QuietErrors quiet;
  const auto n = number(modulus), e = number(exponent);
  if (!fit(static_cast<std::size_t>(BN_num_bits(n.get()))) || BN_is_odd(n.get()) == 0 ||
      BN_is_odd(e.get()) == 0 || BN_is_one(e.get()) == 1) {
    return reject(Rejection::bad_key);
  }
  auto key = public_key(n.get(), e.get());
  auto n_bytes = number_of(key.get(), OSSL_PKEY_PARAM_RSA_N);
  auto e_bytes = number_of(key.get(), OSSL_PKEY_PARAM_RSA_E);
  return BlindRsaPublic(std::move(n_bytes), std::move(e_bytes), key.release());
}

bool BlindRsaPublic::verify(BytesView message, BytesView signature) const {
  // RFC 8017, section 8.1.2, step 1: OpenSSL takes shorter ones, without leading zeros
  if (signature.size() != modulus_.size()) return false;
  const QuietErrors quiet;
  const auto contexts = ready_->lender.borrow([&] { return ready_->make(); });
  Sha384 digest;
  return hash(contexts->hashing.get(), {message}, digest) &&
         EVP_PKEY_verify(contexts->verifying.get(), raw(signature), signature.size(), raw(digest),
                         digest.size()) == 1;
}

Checked<BlindedMessage> BlindRsaPublic::blind(BytesView message) const {
  ByteArray<blind_rsa_salt_size> salt;
  randombytes_buf(salt.data(), salt.size());
  // uniform in [1, n): RFC 9474, section 4.2, steps 6 and 7
  const auto n = number(modulus_), factor = owned(BN_new());
  do {
    if (BN_priv_rand_range(factor.get(), n.get()) != 1) failed("random numbers");
  } while (BN_is_zero(factor.get()) == 1);
  SecretBytes bytes(modulus_.size());
  write(factor.get(), bytes.fill());
  return blind(message, salt, bytes.expose());
}

Checked<BlindedMessage> BlindRsaPublic::blind(BytesView message, BytesView salt,
                                              BytesView factor) const {
  if (salt.size() != blind_rsa_salt_size || factor.size() > modulus_.size()) {
    return reject(Rejection::malformed);
  }
  const QuietErrors quiet;
  const auto context = owned(BN_CTX_new());
  const auto n = number(modulus_), e = number(exponent_), r = number(factor);
  const auto m = number(emsa_pss_encode(message, salt, modulus_.size()));
  BN_set_flags(r.get(), BN_FLG_CONSTTIME);

  const auto shared = owned(BN_new()), x = owned(BN_new()), z = owned(BN_new());
  if (BN_gcd(shared.get(), m.get(), n.get(), context.get()) != 1) failed("BN_gcd");
  if (BN_is_one(shared.get()) == 0) return reject(Rejection::bad_key);
  const Owned<BIGNUM> inverse(BN_mod_inverse(nullptr, r.get(), n.get(), context.get()));
  if (!inverse) return reject(Rejection::bad_key);

  // z = m * r^e mod n
  if (BN_mod_exp(x.get(), r.get(), e.get(), n.get(), context.get()) != 1 ||
      BN_mod_mul(z.get(), m.get(), x.get(), n.get(), context.get()) != 1) {
    failed("blinding");
  }
  BlindedMessage out{Bytes(modulus_.size()), SecretBytes(modulus_.size())};
  write(z.get(), out.blinded);
  write(inverse.get(), out.inverse.fill());
  return out;
}

Checked<Bytes> BlindRsaPublic::finalize(BytesView message, const SecretBytes& inverse,
                                        BytesView blind_signature) const {
  if (blind_signature.size() != modulus_.size()) return reject(Rejection::malformed);
  const auto context = owned(BN_CTX_new());
  const auto n = number(modulus_), z = number(blind_signature), r = number(inverse.expose());
  const auto s = owned(BN_new());
  if (BN_mod_mul(s.get(), z.get(), r.get(), n.get(), context.get()) != 1) failed("unblinding");
  Bytes signature(modulus_.size());
  write(s.get(), signature);
  if (!verify(message, signature)) return reject(Rejection::forged);
  return signature;
}

struct BlindRsaPrivate::Ready {
  struct Contexts {
    Owned<EVP_PKEY_CTX> signing, recovering;
  };

  Contexts make() const {
    return {raw_context(key.get(), EVP_PKEY_sign_init),
            raw_context(key.get(), EVP_PKEY_verify_recover_init)};
  }

  Owned<EVP_PKEY> key;
  Lender<Contexts> lender;
};

BlindRsaPrivate::BlindRsaPrivate(BlindRsaPublic half, EVP_PKEY* key)
    : public_(std::move(half)), ready_(std::make_unique<Ready>()) {
  ready_->key.reset(key);
}
BlindRsaPrivate::BlindRsaPrivate(BlindRsaPrivate&&) noexcept = default;
BlindRsaPrivate& BlindRsaPrivate::operator=(BlindRsaPrivate&&) noexcept = default;
BlindRsaPrivate::~BlindRsaPrivate() = default;

BlindRsaPrivate BlindRsaPrivate::generate(unsigned bits) {
  auto key = take(EVP_RSA_gen(bits));
  if (!key) failed("to generate an RSA key");
  return std::move(*key);
}

Checked<BlindRsaPrivate> BlindRsaPrivate::parse(BytesView der) {
  if (der.size() > 16384) return reject(Rejection::malformed);
  const QuietErrors quiet;
  const auto* at = raw(der);
  Owned<EVP_PKEY> key(d2i_AutoPrivateKey(nullptr, &at, static_cast<long>(der.size())));
  if (!key || at != raw(der) + der.size()) return reject(Rejection::malformed);
  const auto context = context_of(key.get());
  // rsassaPss keys refuse to work without padding: RFC 9578, section 8.2.2 has no other use
  if (EVP_PKEY_is_a(key.get(), "RSA") != 1 || EVP_PKEY_private_check(context.get()) != 1) {
    return reject(Rejection::bad_key);
  }
  return take(key.release());
}

Checked<BlindRsaPrivate> BlindRsaPrivate::take(EVP_PKEY* made) {
  auto key = owned(made);
  auto half = TRY(BlindRsaPublic::load(number_of(key.get(), OSSL_PKEY_PARAM_RSA_N),
                                       number_of(key.get(), OSSL_PKEY_PARAM_RSA_E)));
  return BlindRsaPrivate(std::move(half), key.release());
}

SecretBytes BlindRsaPrivate::der() const {
  unsigned char* made = nullptr;
  const int size = i2d_PrivateKey(ready_->key.get(), &made);
  if (size <= 0) failed("to write an RSA key");
  const auto length = static_cast<std::size_t>(size);
  auto secret = SecretBytes::copy_of(std::as_bytes(std::span(made, length)));
  OPENSSL_clear_free(made, length);
  return secret;
}

Checked<Bytes> BlindRsaPrivate::blind_sign(BytesView blinded) const {
  const auto size = public_.modulus().size();
  if (blinded.size() != size) return reject(Rejection::malformed);
  if (!std::ranges::lexicographical_compare(blinded, public_.modulus())) {
    return reject(Rejection::malformed);
  }
  const QuietErrors quiet;
  const auto contexts = ready_->lender.borrow([&] { return ready_->make(); });
  Bytes signature(size), recovered(size);
  std::size_t length = size;
  if (EVP_PKEY_sign(contexts->signing.get(), raw(signature), &length, raw(blinded), size) != 1 ||
      length != size) {
    failed("the RSA private operation");
  }
  // a fault in it would give the key away (RFC 9474, section 4.3, step 5)
  if (EVP_PKEY_verify_recover(contexts->recovering.get(), raw(recovered), &length, raw(signature),
                              size) != 1 ||
      !std::ranges::equal(recovered, blinded)) {
    failed("a signature of its own does not verify");
  }
  return signature;
}

}  // namespace ticket::crypto
