#include "enrol_request.hpp"

#include <nlohmann/json.hpp>
#include <stdexcept>

#include "atomic_file.hpp"
#include "crypto/digest.hpp"
#include "key_file.hpp"
#include "wire/signed.hpp"

namespace keyd {
namespace {

using ticket::crypto::Role;
using ticket::crypto::RoleKind;

constexpr std::size_t size_limit = 256 << 10;  // of a PEM file

[[noreturn]] void fail(const std::filesystem::path& file, const std::string& why) {
  throw std::runtime_error(file.string() + ": " + why);
}

// The name in a certificate's role; empty when it has none, for then keyd's
// rules say who it is.
std::string member_name(X509* leaf, const std::filesystem::path& file, const std::string& pool) {
  const auto role = ticket::crypto::role_of(leaf);
  if (!role) fail(file, "has two roles, or one that does not parse");
  if (role->kind == RoleKind::none) return {};
  if (role->kind == RoleKind::member && role->pool == pool) return role->name;
  fail(file,
       "is for " + ticket::crypto::role_uri(*role) + "; needed is ticket:member:" + pool + ":NAME");
}

}  // namespace

Identity load_identity(const std::filesystem::path& certificate, const std::filesystem::path& key,
                       const std::string& pool) {
  auto chain = read_file(certificate, size_limit);
  if (!chain) fail(certificate, "no such file");
  const auto parsed = ticket::crypto::parse_chain(*chain);
  if (!parsed) fail(certificate, "no PEM certificates, or more than 8");
  X509* leaf = parsed->front().get();

  const auto pem = read_secret_file(key, size_limit);
  auto private_key = ticket::crypto::parse_private_key(ticket::as_text(pem.expose()));
  if (!private_key) fail(key, "no PEM private key, or one with a passphrase");
  if (X509_check_private_key(leaf, private_key.get()) != 1) {
    fail(key, "not the key of " + certificate.string());
  }
  auto member = member_name(leaf, certificate, pool);
  return Identity{*std::move(chain), std::move(private_key), std::move(member)};
}

std::string enrolment(const Identity& identity, const ticket::crypto::SignerPublic& authority,
                      const std::string& pool, const ticket::crypto::BoxPublic& sealing_key,
                      ticket::sys_seconds time) {
  const auto message =
      ticket::wire::enrol_message(ticket::crypto::sha256(authority), pool, sealing_key, time);
  const auto signature = ticket::crypto::sign_with(identity.key.get(), message);
  return nlohmann::json{{"chain", identity.chain},
                        {"sealing_key", ticket::base64url(sealing_key)},
                        {"time", time.time_since_epoch().count()},
                        {"signature", ticket::base64url(signature)}}
      .dump();
}

}  // namespace keyd
