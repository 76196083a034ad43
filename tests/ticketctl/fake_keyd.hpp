// A Unix socket that takes one request and answers with bytes that the test
// chose, right or wrong.
#pragma once

#include <filesystem>
#include <string>
#include <thread>

namespace test {

class FakeKeyd {
 public:
  // `answer`: bytes as they go out; then the connection closes.
  FakeKeyd(const std::filesystem::path& socket, std::string answer);
  ~FakeKeyd();
  FakeKeyd(const FakeKeyd&) = delete;

  // What came in, once the connection has ended.
  std::string request();

 private:
  int listener_;
  std::string answer_, request_;
  std::thread thread_;
};

// u32 big-endian length, then the text.
std::string framed(const std::string& text);

}  // namespace test
