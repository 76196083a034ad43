// Ed25519 signatures (RFC 8032) by libsodium.
#pragma once

#include "base/secret.hpp"

namespace ticket::crypto {

using SignerPublic = ByteArray<32>;
using SignerSeed = Secret<32>;
using Signature = ByteArray<64>;

SignerPublic signer_public(const SignerSeed& seed);
Signature sign(const SignerSeed& seed, BytesView message);
bool verify(const SignerPublic& signer, BytesView message, const Signature& signature);

}  // namespace ticket::crypto
