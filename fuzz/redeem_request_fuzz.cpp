// Whatever comes over HTTP, no answer is a 200 while no token passes, and an origin that is
// asked about is one that stands in the request.
#include "fuzz.hpp"
#include "redeem_talk.hpp"

using namespace keyd;

namespace {

struct Desk : TokenDesk {
  explicit Desk(std::string_view all) : request(all) {}
  void redeem(std::optional<std::string_view>, std::string_view origin,
              std::function<void(ticket::redeem::Outcome)> done) override {
    holds(!origin.empty() && request.find(origin) != std::string_view::npos);
    done(ticket::redeem::Outcome::missing);
  }
  std::string challenge(std::string_view) override { return "PrivateToken challenge=\"AA==\""; }
  void claim(const ticket::wire::Claim&, std::function<void(ticket::replay::Verdict)>) override {}
  std::string_view request;
};

}  // namespace

FUZZ_TARGET(data, size) {
  Desk desk(text_of(data, size));
  const auto talk = std::make_shared<RedeemTalk>(desk);
  talk->take(bytes_of(data, size));
  const auto answer = talk->take_output();
  holds(ticket::as_text(answer).find(" 200 OK") == std::string_view::npos);
  return 0;
}
