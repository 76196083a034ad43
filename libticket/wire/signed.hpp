// The exact bytes that signatures cover; each begins with its own prefix.
#pragma once

#include "base/bytes.hpp"
#include "base/clock.hpp"
#include "wire/layout.hpp"

namespace ticket::wire {

// Hashes are SHA-256 of the manifest's JSON and of the sealed secrets.
Bytes bundle_message(const ByteArray<32>& manifest_hash, const ByteArray<32>& secrets_hash);

// authority_hash: SHA-256 of the authority's Ed25519 public key, so that an
// enrolment made for one authority says nothing to another.
Bytes enrol_message(const ByteArray<32>& authority_hash, std::string_view pool,
                    const ByteArray<32>& sealing_public, sys_seconds time);

}  // namespace ticket::wire
