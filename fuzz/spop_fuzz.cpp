// What HAProxy sends parses to what is written again as it was parsed, and a talk that is
// given anything, in two pieces, asks and answers in bounds.
#include "fuzz.hpp"
#include "spop.hpp"
#include "spop_talk.hpp"

using namespace keyd;

namespace {

struct Desk : TokenDesk {
  void redeem(std::optional<std::string_view>, std::string_view,
              std::function<void(ticket::redeem::Outcome)> done) override {
    done(ticket::redeem::Outcome::missing);
  }
  std::string challenge(std::string_view origin) override { return std::string(origin); }
  void claim(const ticket::wire::Claim&, std::function<void(ticket::replay::Verdict)>) override {}
};

}  // namespace

FUZZ_TARGET(data, size) {
  const auto bytes = bytes_of(data, size);
  if (const auto fields = spop::parse_fields(bytes)) {
    const auto again = spop::write_fields(*fields);
    holds(spop::parse_fields(again) == fields);
  }
  if (const auto messages = spop::parse_messages(bytes)) {
    const auto again = spop::write_messages(*messages);
    holds(spop::parse_messages(again) == messages);
  }
  Desk desk;
  const auto talk = std::make_shared<SpopTalk>(desk);
  talk->take(bytes.first(size / 2));
  talk->take(bytes.subspan(size / 2));
  // each answer repeats a question's origin at most, beside some bytes
  holds(talk->take_output().size() <= 256 + 64 * size);
  return 0;
}
