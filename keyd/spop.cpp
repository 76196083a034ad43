#include "spop.hpp"

#include <algorithm>
#include <charconv>

#include "wire/cursor.hpp"

namespace keyd::spop {

using ticket::Bytes;
using ticket::BytesView;
using ticket::Checked;
using ticket::Rejection;
using ticket::wire::Cursor;

namespace {

// HAProxy's own bounds for max-frame-size are 256 bytes and its buffer's size.
constexpr std::uint32_t least_frame_size = 256;
constexpr std::uint8_t set_variable = 1;
constexpr std::uint8_t kind_mask = 0x0f, true_flag = 0x10;

// ---- reading

// Below 240 one byte; else its low four bits, then seven bits a byte (SPOE.txt, 3.1).
// Up to nine bytes: no length or id of HAProxy's needs more.
Checked<std::uint64_t> varint(Cursor& cursor) {
  std::uint64_t value = TRY(cursor.integer<std::uint8_t>());
  if (value < 240) return value;
  for (unsigned shift = 4; shift <= 53; shift += 7) {
    const auto byte = TRY(cursor.integer<std::uint8_t>());
    value += std::uint64_t{byte} << shift;
    if (byte < 128) return value;
  }
  return ticket::reject(Rejection::malformed);
}

Checked<std::string_view> text(Cursor& cursor) {
  return ticket::as_text(TRY(cursor.take(TRY(varint(cursor)))));
}

Checked<Value> value(Cursor& cursor) {
  const auto head = TRY(cursor.integer<std::uint8_t>());
  if ((head & kind_mask) > static_cast<std::uint8_t>(Value::Kind::binary)) {
    return ticket::reject(Rejection::malformed);
  }
  Value value;
  value.kind = static_cast<Value::Kind>(head & kind_mask);
  switch (value.kind) {
    case Value::Kind::null:
      break;
    case Value::Kind::boolean:
      value.number = (head & true_flag) != 0 ? 1 : 0;
      break;
    case Value::Kind::ipv4:
      value.bytes = ticket::as_text(TRY(cursor.take(4)));
      break;
    case Value::Kind::ipv6:
      value.bytes = ticket::as_text(TRY(cursor.take(16)));
      break;
    case Value::Kind::string:
    case Value::Kind::binary:
      value.bytes = TRY(text(cursor));
      break;
    default:
      value.number = TRY(varint(cursor));
  }
  return value;
}

Checked<Field> field(Cursor& cursor) {
  Field field;
  field.name = TRY(text(cursor));
  field.value = TRY(value(cursor));
  return field;
}

const Value* find(const std::vector<Field>& fields, std::string_view name) {
  const auto found = std::ranges::find(fields, name, &Field::name);
  return found == fields.end() ? nullptr : &found->value;
}

// Whether one of "1.0, 2.0" is a version 2.
bool speaks_version_2(std::string_view versions) {
  while (!versions.empty()) {
    const auto comma = versions.find(',');
    auto version = versions.substr(0, comma);
    while (version.starts_with(' ')) version.remove_prefix(1);
    if (version.starts_with("2.")) return true;
    versions.remove_prefix(comma == std::string_view::npos ? versions.size() : comma + 1);
  }
  return false;
}

// ---- writing

class Builder {
 public:
  Builder& byte(std::uint8_t value) {
    bytes_.push_back(std::byte{value});
    return *this;
  }
  Builder& number(std::uint32_t value) {
    for (const int shift : {24, 16, 8, 0}) byte(static_cast<std::uint8_t>(value >> shift));
    return *this;
  }
  Builder& varint(std::uint64_t value) {
    if (value < 240) return byte(static_cast<std::uint8_t>(value));
    byte(static_cast<std::uint8_t>(value | 240));
    value = (value - 240) >> 4;
    while (value >= 128) {
      byte(static_cast<std::uint8_t>(value | 128));
      value = (value - 128) >> 7;
    }
    return byte(static_cast<std::uint8_t>(value));
  }
  Builder& raw(BytesView bytes) {
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
    return *this;
  }
  Builder& text(std::string_view text) { return varint(text.size()).raw(ticket::as_bytes(text)); }
  Builder& value(const Value& value);
  Builder& field(const Field& field) { return text(field.name).value(field.value); }
  Bytes take() { return std::move(bytes_); }

 private:
  Bytes bytes_;
};

Builder& Builder::value(const Value& value) {
  using Kind = Value::Kind;
  const auto kind = static_cast<std::uint8_t>(value.kind);
  if (value.kind == Kind::boolean) return byte(value.number != 0 ? kind | true_flag : kind);
  byte(kind);
  if (value.kind == Kind::null) return *this;
  if (value.kind == Kind::string || value.kind == Kind::binary) return text(value.bytes);
  const bool address = value.kind == Kind::ipv4 || value.kind == Kind::ipv6;
  return address ? raw(ticket::as_bytes(value.bytes)) : varint(value.number);
}

Bytes frame_of(FrameType type, std::uint64_t stream, std::uint64_t id, BytesView payload) {
  return write_frame({static_cast<std::uint8_t>(type), flag_final, stream, id, payload});
}

Value text_value(std::string_view text) { return {Value::Kind::string, 0, text}; }
Value number_value(std::uint32_t number) { return {Value::Kind::uint32, number, {}}; }

}  // namespace

const char* to_text(Status status) {
  switch (status) {
    case Status::normal:
      return "normal";
    case Status::too_big:
      return "the frame is too big";
    case Status::invalid:
      return "not a valid frame";
    case Status::no_version:
      return "no supported-versions";
    case Status::no_frame_size:
      return "no max-frame-size";
    case Status::no_capabilities:
      return "no capabilities";
    case Status::other_version:
      return "another version than 2.0";
    case Status::bad_frame_size:
      return "max-frame-size is too small";
    case Status::fragmented:
      return "fragmented frames are not taken";
  }
  return "unknown";
}

std::optional<std::string_view> Value::text() const {
  const bool has_text = kind == Kind::string || kind == Kind::binary;
  return has_text ? std::optional(bytes) : std::nullopt;
}

Checked<Frame> parse_frame(BytesView bytes) {
  Cursor cursor(bytes);
  Frame frame;
  frame.type = TRY(cursor.integer<std::uint8_t>());
  frame.flags = TRY(cursor.integer<std::uint32_t>());
  frame.stream = TRY(varint(cursor));
  frame.id = TRY(varint(cursor));
  frame.payload = TRY(cursor.take(cursor.remaining()));
  return frame;
}

Checked<std::vector<Field>> parse_fields(BytesView payload) {
  Cursor cursor(payload);
  std::vector<Field> fields;
  while (cursor.remaining() > 0) fields.push_back(TRY(field(cursor)));
  return fields;
}

Checked<std::vector<Message>> parse_messages(BytesView payload) {
  Cursor cursor(payload);
  std::vector<Message> messages;
  while (cursor.remaining() > 0) {
    Message message;
    message.name = TRY(text(cursor));
    const auto count = TRY(cursor.integer<std::uint8_t>());
    for (unsigned i = 0; i < count; ++i) message.arguments.push_back(TRY(field(cursor)));
    messages.push_back(std::move(message));
  }
  return messages;
}

tl::expected<Hello, Status> parse_hello(BytesView payload) {
  const auto fields = parse_fields(payload);
  if (!fields) return tl::unexpected(Status::invalid);
  const auto* versions = find(*fields, "supported-versions");
  if (versions == nullptr || !versions->text()) return tl::unexpected(Status::no_version);
  if (!speaks_version_2(*versions->text())) return tl::unexpected(Status::other_version);
  const auto* size = find(*fields, "max-frame-size");
  if (size == nullptr || size->kind != Value::Kind::uint32) {
    return tl::unexpected(Status::no_frame_size);
  }
  if (size->number < least_frame_size) return tl::unexpected(Status::bad_frame_size);
  if (find(*fields, "capabilities") == nullptr) return tl::unexpected(Status::no_capabilities);
  const auto* check = find(*fields, "healthcheck");
  Hello hello;
  hello.max_frame_size =
      static_cast<std::uint32_t>(std::min<std::uint64_t>(size->number, UINT32_MAX));
  hello.health_check = check != nullptr && check->number != 0;
  return hello;
}

Bytes write_frame(const Frame& frame) {
  Builder head;
  head.byte(frame.type).number(frame.flags).varint(frame.stream).varint(frame.id);
  const auto before = head.take();
  return Builder()
      .number(static_cast<std::uint32_t>(before.size() + frame.payload.size()))
      .raw(before)
      .raw(frame.payload)
      .take();
}

Bytes write_fields(const std::vector<Field>& fields) {
  Builder builder;
  for (const auto& field : fields) builder.field(field);
  return builder.take();
}

Bytes write_messages(const std::vector<Message>& messages) {
  Builder builder;
  for (const auto& message : messages) {
    builder.text(message.name).byte(static_cast<std::uint8_t>(message.arguments.size()));
    for (const auto& argument : message.arguments) builder.field(argument);
  }
  return builder.take();
}

Bytes write_agent_hello(std::uint32_t max_frame_size) {
  return frame_of(FrameType::agent_hello, 0, 0,
                  write_fields({{"version", text_value("2.0")},
                                {"max-frame-size", number_value(max_frame_size)},
                                {"capabilities", text_value("pipelining")}}));
}

Bytes write_agent_disconnect(Status status) {
  return frame_of(FrameType::agent_disconnect, 0, 0,
                  write_fields({{"status-code", number_value(static_cast<std::uint32_t>(status))},
                                {"message", text_value(to_text(status))}}));
}

Bytes write_ack(std::uint64_t stream, std::uint64_t id, const std::vector<SetVariable>& variables) {
  Builder actions;
  for (const auto& variable : variables) {
    actions.byte(set_variable)
        .byte(3)
        .byte(static_cast<std::uint8_t>(variable.scope))
        .text(variable.name)
        .value(text_value(variable.value));
  }
  return frame_of(FrameType::ack, stream, id, actions.take());
}

}  // namespace keyd::spop
