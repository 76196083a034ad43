#include "attestation.hpp"

#include <sodium.h>

#include <algorithm>
#include <stdexcept>

namespace keyd {

using namespace ticket;

Attestation::Attestation(const IssuerSetup& setup) {
  const auto has = [&](const char* kind) { return std::ranges::count(setup.attest, kind) > 0; };
  certificate_ = has("certificate");
  bearer_ = has("bearer");
  open_ = has("open");
  for (const auto& secret : setup.secrets) {
    const auto hash = from_hex(secret.sha256);
    if (!hash || hash->size() != sizeof(crypto::Sha256)) {
      throw std::runtime_error("the hash of the secret of " + secret.name + " is none");
    }
    secrets_.push_back({secret.name, {}});
    std::ranges::copy(*hash, secrets_.back().hash.begin());
  }
  // RFC 9110, section 11.6.1, wants a challenge in each 401; certificates have no scheme
  // of their own, and clients pass over those that they do not know.
  const auto* scheme = bearer_ ? "Bearer" : "Client-Certificate";
  challenge_ = std::string(scheme) + " realm=\"" + setup.pool + "\"";
}

tl::expected<std::string, std::string> Attestation::client(const Credentials& shown) const {
  const bool has_certificate = !shown.certificate.empty();
  if (certificate_ && has_certificate && shown.distrust.empty()) {
    return "certificate " + shown.certificate;
  }
  if (bearer_ && !shown.bearer.empty()) {
    if (const auto* secret = find(shown.bearer)) return "bearer " + secret->name;
    return tl::unexpected<std::string>("nobody has this secret");
  }
  if (certificate_ && has_certificate) {
    return tl::unexpected("the client certificate is not accepted: " + shown.distrust);
  }
  if (open_ && shown.bearer.empty() && !shown.other_scheme) return std::string("open");
  return tl::unexpected(needs());
}

const Attestation::Secret* Attestation::find(std::string_view bearer) const {
  const auto hash = crypto::sha256(as_bytes(bearer));
  const Secret* found = nullptr;
  for (const auto& secret : secrets_) {
    if (sodium_memcmp(secret.hash.data(), hash.data(), hash.size()) == 0) found = &secret;
  }
  return found;
}

std::string Attestation::needs() const {
  if (certificate_ && bearer_) return "a client certificate or a bearer secret is needed";
  if (certificate_) return "a client certificate is needed";
  if (bearer_) return "a bearer secret is needed";
  return "here nothing is shown: leave Authorization out";
}

}  // namespace keyd
