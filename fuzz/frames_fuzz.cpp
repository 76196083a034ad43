// Frames come out the same however their bytes arrive, and never above the limit;
// what they hold is a message or an error.
#include "fuzz.hpp"
#include "messages.hpp"

namespace {

constexpr std::size_t limit = 512;

std::vector<std::string> frames_of(std::string_view text, std::size_t step) {
  std::vector<std::string> frames;
  keyd::FrameDecoder decoder(limit);
  try {
    for (std::size_t at = 0; at < text.size(); at += step) {
      decoder.feed(text.substr(at, step));
      while (auto frame = decoder.next()) frames.push_back(std::move(*frame));
    }
  } catch (const keyd::ChannelError&) {
    frames.emplace_back();
  }
  return frames;
}

}  // namespace

FUZZ_TARGET(data, size) {
  const auto text = text_of(data, size);
  const auto whole = frames_of(text, size + 1);
  holds(whole == frames_of(text, 1) && whole == frames_of(text, 7));
  for (const auto& frame : whole) {
    holds(frame.size() <= limit);
    try {
      static_cast<void>(keyd::parse_to_keeper(frame));
    } catch (const keyd::ChannelError&) {
    }
    try {
      static_cast<void>(keyd::parse_to_front(frame));
    } catch (const keyd::ChannelError&) {
    }
  }
  return 0;
}
