// What is said to Redis and what it answers: hiredis writes and reads the bytes. No
// socket.
#pragma once

#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"

struct redisReader;

namespace ticket::replay {

// One answer, of the few shapes that we ask for.
struct RedisReply {
  enum class Kind { status, error, integer, text, nil, list };
  Kind kind = Kind::nil;
  long long number = 0;
  std::string text;               // of a status, an error or a text
  std::vector<std::string> list;  // texts alone
};

// Answers, as their bytes arrive. Bounded: what is longer than max_reply bytes, or nested,
// or a list of more than max_list, is no answer.
class RedisReader {
 public:
  static constexpr std::size_t max_reply = 64 << 10;
  static constexpr std::size_t max_list = 64;

  RedisReader();
  RedisReader(const RedisReader&) = delete;
  RedisReader& operator=(const RedisReader&) = delete;

  void feed(BytesView bytes);
  // The next whole answer, which lives until the next call; nullptr: none yet, or broken().
  const RedisReply* next();
  // What came is no answer. So it stays: nobody knows where the next one would begin.
  bool broken() const { return broken_; }

 private:
  struct Free {
    void operator()(redisReader* reader) const noexcept;
  };

  RedisReply reply_;
  std::unique_ptr<redisReader, Free> reader_;
  bool broken_ = false;
};

// Adds a command to `out`. Throws std::bad_alloc.
void append_command(std::string& out, std::initializer_list<std::string_view> words);

// What Redis says, for a log: its first 200 bytes, on one line.
std::string quoted(std::string_view text);

}  // namespace ticket::replay
