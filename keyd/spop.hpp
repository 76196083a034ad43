// HAProxy's Stream Processing Offload Protocol 2.0 as bytes (HAProxy's doc/SPOE.txt,
// section 3). Pure: no socket, no state. Integers of the frame's head are big-endian.
//
//   length 4 | type 1 | flags 4 | stream id varint | frame id varint | payload
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "base/checked.hpp"

namespace keyd::spop {

enum class FrameType : std::uint8_t {
  haproxy_hello = 1,
  haproxy_disconnect = 2,
  notify = 3,
  agent_hello = 101,
  agent_disconnect = 102,
  ack = 103,
};
constexpr std::uint32_t flag_final = 1;
constexpr std::uint32_t flag_abort = 2;

// Why one side says farewell.
enum class Status : std::uint32_t {
  normal = 0,
  too_big = 3,
  invalid = 4,
  no_version = 5,
  no_frame_size = 6,
  no_capabilities = 7,
  other_version = 8,
  bad_frame_size = 9,
  fragmented = 10,
};
const char* to_text(Status status);

// Views into what was parsed, throughout.
struct Frame {  // without its length
  std::uint8_t type = 0;
  std::uint32_t flags = 0;
  std::uint64_t stream = 0, id = 0;
  ticket::BytesView payload;
};

struct Value {
  enum class Kind : std::uint8_t {
    null,
    boolean,
    int32,
    uint32,
    int64,
    uint64,
    ipv4,
    ipv6,
    string,
    binary
  };
  Kind kind = Kind::null;
  std::uint64_t number = 0;  // of a boolean and of integers, as it was encoded
  std::string_view bytes;    // of the others

  // A text that is one; nullopt for other kinds.
  std::optional<std::string_view> text() const;
  bool operator==(const Value&) const = default;
};

struct Field {
  std::string_view name;
  Value value;
  bool operator==(const Field&) const = default;
};

struct Message {
  std::string_view name;
  std::vector<Field> arguments;
  bool operator==(const Message&) const = default;
};

// What HAProxy says first.
struct Hello {
  std::uint32_t max_frame_size = 0;
  bool health_check = false;  // it wants our hello, and nothing else
};

// Reject with malformed.
[[nodiscard]] ticket::Checked<Frame> parse_frame(ticket::BytesView bytes);
[[nodiscard]] ticket::Checked<std::vector<Field>> parse_fields(ticket::BytesView payload);
[[nodiscard]] ticket::Checked<std::vector<Message>> parse_messages(ticket::BytesView payload);
// The status to part with when HAProxy's hello is not for us.
[[nodiscard]] tl::expected<Hello, Status> parse_hello(ticket::BytesView payload);

// Where a variable lives in HAProxy.
enum class Scope : std::uint8_t { process = 0, session = 1, transaction = 2 };
struct SetVariable {
  Scope scope = Scope::transaction;
  std::string_view name, value;
};

// Whole frames, with their lengths.
ticket::Bytes write_agent_hello(std::uint32_t max_frame_size);
ticket::Bytes write_agent_disconnect(Status status);
ticket::Bytes write_ack(std::uint64_t stream, std::uint64_t id,
                        const std::vector<SetVariable>& variables);
// Of HAProxy's side, for tests and fuzzers.
ticket::Bytes write_fields(const std::vector<Field>& fields);
ticket::Bytes write_messages(const std::vector<Message>& messages);
ticket::Bytes write_frame(const Frame& frame);

}  // namespace keyd::spop
