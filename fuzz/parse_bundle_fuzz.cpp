// Whatever parses comes back the same, and is never taken for signed by us.
#include "feed/bundle.hpp"
#include "fuzz.hpp"

FUZZ_TARGET(data, size) {
  static const auto signer = ticket::crypto::signer_public(ticket::crypto::SignerSeed::random());
  if (const auto bundle = ticket::feed::parse_bundle(text_of(data, size))) {
    const auto again = ticket::feed::parse_bundle(ticket::feed::write_bundle(*bundle));
    holds(again.has_value() && again->manifest == bundle->manifest &&
          again->secrets == bundle->secrets && again->signature == bundle->signature);
    const auto verified = ticket::feed::verify_bundle(
        *bundle, {"web", signer, {}}, ticket::sys_seconds(ticket::seconds(1'790'000'000)));
    holds(!verified.has_value());
  }
  return 0;
}
