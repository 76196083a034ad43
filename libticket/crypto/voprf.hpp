// A verifiable oblivious pseudorandom function: VOPRF of RFC 9497 with
// ristretto255-SHA512 (section 4.1). The issuer computes a function of an input that it
// does not see, and proves that it used its published key; whoever holds that key can
// compute the same later from the input alone.
//
// libsodium does the group; expand_message_xmd (RFC 9380, section 5.3.1) and the proofs
// are by hand. Everything here throws std::runtime_error only if libsodium fails.
#pragma once

#include <vector>

#include "base/checked.hpp"
#include "base/secret.hpp"

namespace ticket::crypto::voprf {

constexpr std::size_t element_size = 32;
constexpr std::size_t proof_size = 64;  // two scalars: c | s
constexpr std::size_t output_size = 64;

using Element = ByteArray<element_size>;
using Scalar = Secret<32>;
using Proof = ByteArray<proof_size>;
using Output = ByteArray<output_size>;

// A canonical encoding of an element that is not the identity. (libsodium's own check lets
// the identity pass, and a set highest bit.)
bool valid_element(BytesView bytes);
// A canonical encoding (below the group's order), and not zero.
bool valid_scalar(BytesView bytes);

Scalar random_scalar();
Element public_key(const Scalar& key);
// DeriveKeyPair, RFC 9497, section 3.2.1. Rejects with bad_key when no counter gives one.
[[nodiscard]] Checked<Scalar> derive_key(BytesView seed, BytesView info);

// Section 3.3.2. Rejects with malformed an input that hashes to the identity.
[[nodiscard]] Checked<Element> blind(BytesView input, const Scalar& blind);

struct Evaluation {
  std::vector<Element> elements;
  Proof proof;  // that one key was used for all of them
};
// BlindEvaluate for 1 to 65535 blinded elements at once, each of 32 bytes. Rejects with
// malformed what is not valid_element(), and elements whose weighed sum is the identity,
// of which nothing can be proved. `random` is the proof's, never used twice.
[[nodiscard]] Checked<Evaluation> evaluate_blinded(const Scalar& key, const Element& key_public,
                                                   const std::vector<BytesView>& blinded);
[[nodiscard]] Checked<Evaluation> evaluate_blinded(const Scalar& key, const Element& key_public,
                                                   const std::vector<BytesView>& blinded,
                                                   const Scalar& random);

// GenerateProof (section 2.2.1) from the weighed sum of the blinded elements on, which is
// M there. Rejects with malformed a sum that is not valid_element().
[[nodiscard]] Checked<Proof> prove(const Scalar& key, const Element& key_public, const Element& sum,
                                   const Scalar& random);

// Finalize's first half: whether the evaluations of these are by that key. False also
// for elements and scalars that are not valid, and for lists of different lengths.
bool verify_proof(const Element& key_public, const std::vector<BytesView>& blinded,
                  const std::vector<BytesView>& evaluated, BytesView proof);
// Finalize's second half. Rejects with malformed what is not valid_element().
[[nodiscard]] Checked<Output> unblind(BytesView input, const Scalar& blind, BytesView evaluated);

// Evaluate: the same output by the key's holder. Rejects with malformed an input that
// hashes to the identity.
[[nodiscard]] Checked<Output> evaluate(const Scalar& key, BytesView input);

}  // namespace ticket::crypto::voprf
