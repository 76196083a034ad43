// A desk that answers as it is told, at once or when the test says so.
#pragma once

#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "token_desk.hpp"

namespace test {

using ticket::redeem::Outcome;
using ticket::replay::Verdict;

class FakeDesk : public keyd::TokenDesk {
 public:
  struct Question {
    std::optional<std::string> authorization;
    std::string origin;
  };

  bool at_once = true;
  Outcome outcome = Outcome::ok;
  Verdict verdict = Verdict::fresh;
  std::string challenged = "PrivateToken challenge=\"AA==\"";
  std::vector<Question> asked;
  std::vector<ticket::wire::Claim> claimed;
  std::deque<std::function<void()>> waiting;  // answers that were not given yet

  void redeem(std::optional<std::string_view> authorization, std::string_view origin,
              std::function<void(Outcome)> done) override {
    asked.push_back({authorization ? std::optional<std::string>(*authorization) : std::nullopt,
                     std::string(origin)});
    answer([this, done = std::move(done)] { done(outcome); });
  }
  std::string challenge(std::string_view) override { return challenged; }
  void claim(const ticket::wire::Claim& claim, std::function<void(Verdict)> done) override {
    claimed.push_back(claim);
    answer([this, done = std::move(done)] { done(verdict); });
  }

  void answer_first() {
    auto next = std::move(waiting.front());
    waiting.pop_front();
    next();
  }
  void answer_last() {
    auto next = std::move(waiting.back());
    waiting.pop_back();
    next();
  }

 private:
  void answer(std::function<void()> give) {
    if (at_once) return give();
    waiting.push_back(std::move(give));
  }
};

}  // namespace test
