// Whatever Redis answers: the answers are the same however their bytes arrive, each claim
// gets one verdict, and no more are fresh than Redis said.
#include <string>

#include "fuzz.hpp"
#include "replay/redis_claims.hpp"

namespace {

using namespace ticket::replay;

std::vector<std::string> read(std::string_view bytes, std::size_t step) {
  RedisReader reader;
  std::vector<std::string> all;
  for (std::size_t at = 0; at < bytes.size() && !reader.broken(); at += step) {
    reader.feed(ticket::as_bytes(bytes.substr(at, step)));
    while (const auto* reply = reader.next()) {
      holds(reply->text.size() <= RedisReader::max_reply);
      holds(reply->list.size() <= RedisReader::max_list);
      auto text = std::to_string(static_cast<int>(reply->kind)) + reply->text;
      if (reply->kind == RedisReply::Kind::integer) text += std::to_string(reply->number);
      for (const auto& element : reply->list) text += "," + element;
      all.push_back(std::move(text));
    }
  }
  return all;
}

std::string greeting() {
  const std::string id(40, 'a');
  const auto text = [](const std::string& value) {
    return "$" + std::to_string(value.size()) + "\r\n" + value + "\r\n";
  };
  return text("run_id:" + id) + text("role:master\r\nmaster_replid:" + id) + "*2\r\n" +
         text("maxmemory-policy") + text("noeviction") + "*0\r\n*0\r\n*0\r\n" + text(id);
}

}  // namespace

FUZZ_TARGET(data, size) {
  const auto text = text_of(data, size);
  const auto whole = read(text, size + 1);
  holds(whole == read(text, 1) && whole == read(text, 7));

  static const auto hello = greeting();
  RedisClaims claims;
  const Instant now{};
  claims.connected(now);
  claims.received(ticket::as_bytes(hello), now);
  holds(claims.takes_claims());
  constexpr int asked = 8;
  int answers = 0, fresh = 0, said = 0;
  for (int i = 0; i < asked; ++i) {
    claims.claim({"web", {}, {}, 100}, {}, {}, now, [&](Verdict verdict, Doubt doubt) {
      ++answers;
      fresh += verdict == Verdict::fresh ? 1 : 0;
      holds((verdict == Verdict::unknown) == (doubt != Doubt::none));
    });
  }
  claims.received(bytes_of(data, size), now);
  claims.disconnected("over");
  for (const auto& reply : whole) said += reply == "20" ? 1 : 0;  // an integer, 0
  holds(answers == asked && fresh <= said);
  return 0;
}
