// A chain that parses has a leaf with at most one role, of names that are names.
#include "crypto/certificate.hpp"
#include "fuzz.hpp"

FUZZ_TARGET(data, size) {
  const auto chain = ticket::crypto::parse_chain(text_of(data, size));
  if (!chain) return 0;
  holds(!chain->empty() && chain->size() <= 8);
  const auto role = ticket::crypto::role_of(chain->front().get());
  if (role && role->kind == ticket::crypto::RoleKind::member) {
    holds(ticket::crypto::valid_name(role->pool) && ticket::crypto::valid_name(role->name));
  }
  return 0;
}
