#include "crypto/voprf.hpp"

#include <sodium.h>

#include <algorithm>
#include <cstring>
#include <initializer_list>
#include <stdexcept>

namespace ticket::crypto::voprf {

namespace {

using PublicScalar = ByteArray<32>;
using Hash = ByteArray<crypto_hash_sha512_BYTES>;

static_assert(crypto_core_ristretto255_BYTES == element_size);
static_assert(crypto_core_ristretto255_SCALARBYTES == 32);

// "OPRFV1-" | mode | "-" | identifier; mode 1 is the verifiable one (section 3.1).
constexpr std::string_view context_string{"OPRFV1-\x01-ristretto255-SHA512"};

std::string tag(std::string_view name) { return std::string(name) + std::string(context_string); }

ByteArray<2> two_bytes(std::size_t value) {
  return {static_cast<std::byte>(value >> 8), static_cast<std::byte>(value)};
}

// SHA-512 over parts; those that RFC 9497 wants with their length before them go in by
// `field`.
class Hashing {
 public:
  Hashing() { crypto_hash_sha512_init(&state_); }
  ~Hashing() { sodium_memzero(&state_, sizeof state_); }
  Hashing(const Hashing&) = delete;

  Hashing& add(BytesView bytes) {
    crypto_hash_sha512_update(&state_, raw(bytes), bytes.size());
    return *this;
  }
  Hashing& field(BytesView bytes) { return add(two_bytes(bytes.size())).add(bytes); }
  Hash done() {
    Hash hash;
    crypto_hash_sha512_final(&state_, raw(hash));
    return hash;
  }

 private:
  crypto_hash_sha512_state state_;
};

// expand_message_xmd with SHA-512 for 64 bytes, which are one block: RFC 9380, 5.3.1.
//   b_0 = H(zeros 128 | message | 0 64 | 0 | tag | length of tag)
//   b_1 = H(b_0 | 1 | tag | length of tag)
Hash expand(std::initializer_list<BytesView> message, std::string_view tag) {
  constexpr ByteArray<128> zeros{};
  const ByteArray<3> length_and_zero{std::byte{0}, std::byte{64}, std::byte{0}};
  const ByteArray<1> one{std::byte{1}};
  const ByteArray<1> tag_length{static_cast<std::byte>(tag.size())};
  Hashing first, second;
  first.add(zeros);
  for (const auto part : message) first.add(part);
  auto b_0 = first.add(length_and_zero).add(as_bytes(tag)).add(tag_length).done();
  const auto b_1 = second.add(b_0).add(one).add(as_bytes(tag)).add(tag_length).done();
  sodium_memzero(b_0.data(), b_0.size());  // where a key is derived it says as much as b_1
  return b_1;
}

PublicScalar hash_to_scalar(std::initializer_list<BytesView> message, std::string_view tag) {
  auto uniform = expand(message, tag);
  PublicScalar scalar;
  crypto_core_ristretto255_scalar_reduce(raw(scalar), raw(uniform));
  sodium_memzero(uniform.data(), uniform.size());
  return scalar;
}

bool is_identity(BytesView element) { return all_zero(element); }

Checked<Element> hash_to_group(BytesView input) {
  static const auto group_tag = tag("HashToGroup-");
  const auto uniform = expand({input}, group_tag);
  Element element;
  crypto_core_ristretto255_from_hash(raw(element), raw(uniform));
  if (is_identity(element)) return reject(Rejection::malformed);
  return element;
}

// scalar * element; both are valid, so that the result is not the identity.
Element multiply(BytesView scalar, BytesView element) {
  Element product;
  if (crypto_scalarmult_ristretto255(raw(product), raw(scalar), raw(element)) != 0) {
    throw std::runtime_error("libsodium failed to multiply a valid element");
  }
  return product;
}

// The same for what a proof says, where a scalar may be zero: false for the identity.
bool multiply(BytesView scalar, BytesView element, Element& out) {
  return crypto_scalarmult_ristretto255(raw(out), raw(scalar), raw(element)) == 0;
}

Element add(const Element& a, const Element& b) {
  Element sum;
  crypto_core_ristretto255_add(raw(sum), raw(a), raw(b));
  return sum;
}

// The sums of RFC 9497, section 2.2.1: M over `c`, and Z over `d` unless it is the
// prover who asks, who has the key and computes it from M.
struct Composites {
  Element m{}, z{};
};

Composites composites(const Element& key, const std::vector<BytesView>& c,
                      const std::vector<BytesView>& d, bool both) {
  static const auto seed_tag = tag("Seed-");
  static const auto scalar_tag = tag("HashToScalar-");
  const auto seed = Hashing().field(key).field(as_bytes(seed_tag)).done();
  Composites sums;  // zeros: the identity
  for (std::size_t i = 0; i < c.size(); ++i) {
    const auto factor =
        hash_to_scalar({two_bytes(seed.size()), seed, two_bytes(i), two_bytes(c[i].size()), c[i],
                        two_bytes(d[i].size()), d[i], as_bytes("Composite")},
                       scalar_tag);
    sums.m = add(sums.m, multiply(factor, c[i]));
    if (both) sums.z = add(sums.z, multiply(factor, d[i]));
  }
  return sums;
}

// The challenge of the proof, c (sections 2.2.1 and 2.2.2).
PublicScalar challenge(const Element& key, const Composites& sums, const Element& t2,
                       const Element& t3) {
  static const auto scalar_tag = tag("HashToScalar-");
  const auto size = two_bytes(element_size);
  return hash_to_scalar(
      {size, key, size, sums.m, size, sums.z, size, t2, size, t3, as_bytes("Challenge")},
      scalar_tag);
}

bool all_valid(const std::vector<BytesView>& elements) {
  return !elements.empty() && elements.size() <= 0xffff &&
         std::ranges::all_of(elements, valid_element);
}

Output finalize(BytesView input, const Element& element) {
  return Hashing().field(input).field(element).add(as_bytes("Finalize")).done();
}

}  // namespace

bool valid_element(BytesView bytes) {
  // libsodium passes over bit 255, which RFC 9496 (section 4.3.1) wants clear
  return bytes.size() == element_size && (bytes[31] & std::byte{0x80}) == std::byte{0} &&
         !is_identity(bytes) && crypto_core_ristretto255_is_valid_point(raw(bytes)) == 1;
}

bool valid_scalar(BytesView bytes) {
  if (bytes.size() != 32 || all_zero(bytes)) return false;
  // reduced, it is itself only if it was below the order
  Secret<64> wide;
  Secret<32> reduced;
  std::ranges::copy(bytes, wide.fill().begin());
  crypto_core_ristretto255_scalar_reduce(raw(reduced.fill()), raw(wide.expose()));
  return sodium_memcmp(raw(reduced.expose()), raw(bytes), 32) == 0;
}

Scalar random_scalar() {
  Scalar scalar;
  crypto_core_ristretto255_scalar_random(raw(scalar.fill()));
  return scalar;
}

Element public_key(const Scalar& key) {
  Element element;
  if (crypto_scalarmult_ristretto255_base(raw(element), raw(key.expose())) != 0) {
    throw std::invalid_argument("a ristretto255 key of zero");
  }
  return element;
}

Checked<Scalar> derive_key(BytesView seed, BytesView info) {
  if (info.size() > 0xffff) return reject(Rejection::bad_key);
  for (unsigned counter = 0; counter < 256; ++counter) {
    const ByteArray<1> count{static_cast<std::byte>(counter)};
    auto bytes = hash_to_scalar({seed, two_bytes(info.size()), info, count}, tag("DeriveKeyPair"));
    auto scalar = Scalar::copy_of(bytes);
    sodium_memzero(bytes.data(), bytes.size());
    if (!all_zero(scalar.expose())) return scalar;
  }
  return reject(Rejection::bad_key);
}

Checked<Element> blind(BytesView input, const Scalar& blind) {
  return multiply(blind.expose(), TRY(hash_to_group(input)));
}

Checked<Evaluation> evaluate_blinded(const Scalar& key, const Element& key_public,
                                     const std::vector<BytesView>& blinded) {
  return evaluate_blinded(key, key_public, blinded, random_scalar());
}

Checked<Evaluation> evaluate_blinded(const Scalar& key, const Element& key_public,
                                     const std::vector<BytesView>& blinded, const Scalar& random) {
  if (!all_valid(blinded)) return reject(Rejection::malformed);
  Evaluation evaluation;
  for (const auto element : blinded) {
    evaluation.elements.push_back(multiply(key.expose(), element));
  }
  const std::vector<BytesView> evaluated(evaluation.elements.begin(), evaluation.elements.end());
  const auto sums = composites(key_public, blinded, evaluated, false);
  evaluation.proof = TRY(prove(key, key_public, sums.m, random));
  return evaluation;
}

Checked<Proof> prove(const Scalar& key, const Element& key_public, const Element& sum,
                     const Scalar& random) {
  // who blinds can work towards it: the factors of M are known after one evaluation
  if (!valid_element(sum)) return reject(Rejection::malformed);
  const Composites sums{sum, multiply(key.expose(), sum)};
  const auto t2 = public_key(random), t3 = multiply(random.expose(), sum);
  const auto c = challenge(key_public, sums, t2, t3);

  // s = r - c * k
  Proof proof;
  Scalar product, s;
  crypto_core_ristretto255_scalar_mul(raw(product.fill()), raw(c), raw(key.expose()));
  crypto_core_ristretto255_scalar_sub(raw(s.fill()), raw(random.expose()), raw(product.expose()));
  std::ranges::copy(c, proof.begin());
  std::ranges::copy(s.expose(), proof.begin() + 32);
  return proof;
}

bool verify_proof(const Element& key_public, const std::vector<BytesView>& blinded,
                  const std::vector<BytesView>& evaluated, BytesView proof) {
  if (proof.size() != proof_size || !valid_element(key_public) || !all_valid(blinded) ||
      !all_valid(evaluated) || blinded.size() != evaluated.size()) {
    return false;
  }
  const auto c = proof.first(32), s = proof.last(32);
  if (!valid_scalar(c) || !valid_scalar(s)) return false;
  const auto sums = composites(key_public, blinded, evaluated, true);
  if (is_identity(sums.m) || is_identity(sums.z)) return false;

  Element s_g, c_b, s_m, c_z;
  if (crypto_scalarmult_ristretto255_base(raw(s_g), raw(s)) != 0 || !multiply(c, key_public, c_b) ||
      !multiply(s, sums.m, s_m) || !multiply(c, sums.z, c_z)) {
    return false;
  }
  const auto expected = challenge(key_public, sums, add(s_g, c_b), add(s_m, c_z));
  return std::ranges::equal(expected, c);
}

Checked<Output> unblind(BytesView input, const Scalar& blind, BytesView evaluated) {
  if (!valid_element(evaluated)) return reject(Rejection::malformed);
  Scalar inverse;
  if (crypto_core_ristretto255_scalar_invert(raw(inverse.fill()), raw(blind.expose())) != 0) {
    return reject(Rejection::malformed);
  }
  return finalize(input, multiply(inverse.expose(), evaluated));
}

Checked<Output> evaluate(const Scalar& key, BytesView input) {
  return finalize(input, multiply(key.expose(), TRY(hash_to_group(input))));
}

}  // namespace ticket::crypto::voprf
