// Whether a client may have an issuer's tokens, and whose budget pays for them. No I/O.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "crypto/digest.hpp"
#include "messages.hpp"

namespace keyd {

// What a client has shown of itself.
struct Credentials {
  std::string certificate;    // its tbs_hash(); empty: it showed none
  std::string distrust;       // why no CA of the issuer vouches for it; empty: one does
  std::string_view bearer{};  // its secret; empty: none
  bool other_scheme = false;  // an Authorization that is no bearer's
};

// By certificate, by bearer secret, or open, whichever of them the issuer has, in that
// order. Immutable.
class Attestation {
 public:
  // Throws std::runtime_error for a setup that no keeper writes.
  explicit Attestation(const IssuerSetup& setup);

  // "certificate sha256:...", "bearer NAME" or "open": who is counted. Else why not, as
  // the client is told. Who shows something that does not hold is not let in as open.
  tl::expected<std::string, std::string> client(const Credentials& shown) const;

  // The value of WWW-Authenticate in a 401.
  const std::string& challenge() const { return challenge_; }
  bool wants_certificate() const { return certificate_; }

 private:
  struct Secret {
    std::string name;
    ticket::crypto::Sha256 hash;
  };
  // In the same time for every secret: neither how far a hash agrees nor whose it is
  // shows.
  const Secret* find(std::string_view bearer) const;
  std::string needs() const;

  bool certificate_ = false, bearer_ = false, open_ = false;
  std::vector<Secret> secrets_;
  std::string challenge_;
};

}  // namespace keyd
