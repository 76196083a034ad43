#include "spop_talk.hpp"

#include <algorithm>

#include "wire/cursor.hpp"

namespace keyd {

using spop::FrameType;
using spop::Status;
using ticket::BytesView;
using ticket::redeem::Outcome;

namespace {

constexpr std::size_t length_size = 4;
constexpr std::string_view message_name = "ticket-token";

std::optional<std::string_view> argument(const spop::Message& message, std::string_view name) {
  const auto found = std::ranges::find(message.arguments, name, &spop::Field::name);
  return found == message.arguments.end() ? std::nullopt : found->value.text();
}

// Whom a challenge helps.
bool is_asked_again(Outcome outcome) {
  return outcome != Outcome::ok && outcome != Outcome::unknown;
}

}  // namespace

std::size_t SpopTalk::handle(BytesView bytes) {
  if (bytes.size() < length_size) return 0;
  const auto length = *ticket::wire::Cursor(bytes).integer<std::uint32_t>();
  if (length > (frame_size_ == 0 ? most_frame_size : frame_size_)) {
    part(Status::too_big);
    return bytes.size();
  }
  if (bytes.size() < length_size + length) return 0;
  const auto parsed = spop::parse_frame(bytes.subspan(length_size, length));
  if (parsed) {
    frame(*parsed);
  } else {
    part(Status::invalid);
  }
  return length_size + length;
}

void SpopTalk::frame(const spop::Frame& frame) {
  const auto type = static_cast<FrameType>(frame.type);
  if (type == FrameType::haproxy_disconnect) return part(Status::normal);
  if ((frame.flags & spop::flag_final) == 0) return part(Status::fragmented);
  if (type == FrameType::haproxy_hello && frame_size_ == 0) return greet(frame);
  if (type == FrameType::notify && frame_size_ != 0) return notified(frame);
  part(Status::invalid);
}

void SpopTalk::greet(const spop::Frame& hello) {
  const auto asked = spop::parse_hello(hello.payload);
  if (!asked) return part(asked.error());
  frame_size_ = std::min(asked->max_frame_size, most_frame_size);
  say(spop::write_agent_hello(frame_size_));
  if (asked->health_check) end();
}

// One token a frame: with two messages of one frame it would not be clear whose status it
// is, so that is refused.
void SpopTalk::notified(const spop::Frame& notify) {
  const auto messages = spop::parse_messages(notify.payload);
  if (!messages) return part(Status::invalid);
  const auto of_ours = std::ranges::count(*messages, message_name, &spop::Message::name);
  if (of_ours != 1) {
    // the status that HAProxy then has, none, lets nobody in
    return say(spop::write_ack(notify.stream, notify.id, {}));
  }
  const auto message = std::ranges::find(*messages, message_name, &spop::Message::name);
  Question question{notify.stream, notify.id,
                    std::string(argument(*message, "origin").value_or(""))};
  begun();
  const auto origin = question.origin;
  desk_.redeem(argument(*message, "header"), origin,
               [weak = weak_from_this(), question = std::move(question)](Outcome outcome) {
                 const auto self = weak.lock();
                 if (self) static_cast<SpopTalk&>(*self).tell(question, outcome);
               });
}

void SpopTalk::tell(const Question& question, Outcome outcome) {
  std::vector<spop::SetVariable> variables{
      {spop::Scope::transaction, "status", ticket::redeem::to_text(outcome)}};
  const auto challenge = is_asked_again(outcome) ? desk_.challenge(question.origin) : std::string();
  if (!challenge.empty()) {
    variables.push_back({spop::Scope::transaction, "challenge", challenge});
  }
  auto ack = spop::write_ack(question.stream, question.id, variables);
  if (ack.size() > length_size + frame_size_) {  // many origins: the status at least
    variables.pop_back();
    ack = spop::write_ack(question.stream, question.id, variables);
  }
  say(ack);
  answered();
}

void SpopTalk::part(Status status) {
  say(spop::write_agent_disconnect(status));
  end();
}

}  // namespace keyd
