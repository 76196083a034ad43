// A front's upstream that issues: a real Issuer where the keeper would be, at once or
// when the test says so.
#pragma once

#include <deque>

#include "token/directory.hpp"
#include "token/issuer.hpp"
#include "upstream.hpp"

namespace test {

class FakeKeeper : public keyd::Upstream {
 public:
  explicit FakeKeeper(ticket::token::TokenTypes types = ticket::token::TokenTypes(0x0005))
      : issuer_(types) {}

  const keyd::ShelfPool* pool(const std::string&) const override { return nullptr; }
  void enrol(keyd::Enrol, std::function<void(const keyd::Enrolled&)>) override {}
  void seen(keyd::SeenList) override {}
  const keyd::ShelfDirectory* directory(const std::string& pool) const override {
    const auto found = directories.find(pool);
    return found == directories.end() ? nullptr : &found->second;
  }
  void issue(keyd::Issue request, std::function<void(const keyd::Issued&)> done) override {
    asked.push_back(request);
    waiting.push_back([this, request, done] { done(answer(request)); });
    if (!slow) answer_next();
  }
  void sentinel_made(keyd::SentinelMade answer) override { sentinels.push_back(answer); }
  void record_lost(keyd::RecordLost) override {}

  void answer_next() {
    const auto next = std::move(waiting.front());
    waiting.pop_front();
    next();
  }
  // A key of that type, published from now on.
  const ticket::token::TokenKey& add(ticket::token::TokenType type, const std::string& pool,
                                     ticket::sys_seconds changes_at) {
    REQUIRE(issuer_.add(ticket::token::IssuerKey::generate(type)).has_value());
    const auto& key = issuer_.keys().back().public_key();
    const auto code =
        static_cast<std::uint16_t>(type == ticket::token::TokenType::blind_rsa ? 0x0002 : 0x0005);
    keys_.push_back({code, key.bytes, std::nullopt});
    const auto body = ticket::token::write_directory({std::string("/token-request"), keys_});
    directories[pool] = {std::make_shared<const std::string>(body), "\"tag\"", changes_at};
    return key;
  }

  std::map<std::string, keyd::ShelfDirectory> directories;
  std::vector<keyd::Issue> asked;
  std::deque<std::function<void()>> waiting;
  std::vector<keyd::SentinelMade> sentinels;
  bool slow = false;
  std::optional<keyd::Issued> instead;  // of what the issuer answers

 private:
  keyd::Issued answer(const keyd::Issue& request) const {
    if (instead) return *instead;
    const auto body = ticket::from_base64url(request.request);
    const auto form = request.batch ? ticket::token::Form::batch : ticket::token::Form::single;
    const auto response = issuer_.answer(*body, form);
    if (!response) return {request.id, 422, "", "no such key"};
    return {request.id, 200, ticket::base64url(*response), ""};
  }

  ticket::token::Issuer issuer_;
  std::vector<ticket::token::DirectoryKey> keys_;
};

}  // namespace test
