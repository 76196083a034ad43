// Frames come out the same however their bytes arrive, and never above the limit;
// what they hold is an error, or a message that is written as it is read.
#include "fuzz.hpp"
#include "messages.hpp"

namespace {

constexpr std::size_t limit = 1024;

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

void read_message(std::string_view text, auto parse) {
  try {
    const auto written = keyd::write_message(parse(text));
    holds(keyd::write_message(parse(written)) == written);
  } catch (const keyd::ChannelError&) {
  }
}

}  // namespace

FUZZ_TARGET(data, size) {
  const auto text = text_of(data, size);
  const auto whole = frames_of(text, size + 1);
  holds(whole == frames_of(text, 1) && whole == frames_of(text, 7));
  for (const auto& frame : whole) {
    holds(frame.size() <= limit);
    read_message(frame, keyd::parse_to_keeper);
    read_message(frame, keyd::parse_to_front);
  }
  return 0;
}
