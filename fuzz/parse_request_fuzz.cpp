// A request that is taken keeps within its bounds; an enrolment's body too.
#include "api.hpp"
#include "fuzz.hpp"

FUZZ_TARGET(data, size) {
  const auto text = text_of(data, size);
  for (const char* method : {"GET", "PUT"}) {
    if (const auto request = keyd::api::parse_request(method, text)) {
      const auto* bundle = std::get_if<keyd::api::BundleRequest>(&*request);
      holds(bundle == nullptr || bundle->wait <= keyd::api::longest_wait);
    }
  }
  if (const auto enrolment = keyd::api::parse_enrolment(text))
    holds(enrolment->chain.size() <= size);
  return 0;
}
