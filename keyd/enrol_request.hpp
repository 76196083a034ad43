// Who this member is: the certificate with which it connects and enrols.
#pragma once

#include <filesystem>
#include <string>

#include "crypto/certificate.hpp"
#include "crypto/sealing.hpp"
#include "crypto/signature.hpp"

namespace keyd {

struct Identity {
  std::string chain;               // PEM, leaf first
  ticket::crypto::PrivateKey key;  // of the leaf
  std::string member;              // its name; empty when keyd knows it by a rule
};

// Throws std::runtime_error naming the file: it does not parse, the key is
// another certificate's, other users can read it, the role is another one or of
// another pool.
Identity load_identity(const std::filesystem::path& certificate, const std::filesystem::path& key,
                       const std::string& pool);

// The body of `PUT /v1/pools/{pool}/members/self` (docs/formats.md): asks keyd
// to seal the pool's content key to `sealing_key` from now on. `time` must be
// later than in any enrolment before.
std::string enrolment(const Identity& identity, const ticket::crypto::SignerPublic& authority,
                      const std::string& pool, const ticket::crypto::BoxPublic& sealing_key,
                      ticket::sys_seconds time);

}  // namespace keyd
