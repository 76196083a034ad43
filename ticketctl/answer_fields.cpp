#include "answer_fields.hpp"

#include "command.hpp"
#include "text.hpp"

namespace ticketctl {

using nlohmann::json;
using ticket::seconds;
using ticket::sys_seconds;

void unlike_keyd(const char* field, const char* wanted) {
  throw CommandError(exit_unreachable, std::string("keyd's answer has no ") + field + " (" +
                                           wanted +
                                           "): are keyd and ticketctl of the same release?");
}

namespace {

// The field, if it is there and `fits` it.
const json& field_of(const json& object, const char* field, bool (json::*fits)() const noexcept,
                     const char* wanted) {
  const auto found = object.is_object() ? object.find(field) : object.end();
  if (!object.is_object() || found == object.end() || !(*found.*fits)()) {
    unlike_keyd(field, wanted);
  }
  return *found;
}

}  // namespace

const json& array_of(const json& object, const char* field) {
  return field_of(object, field, &json::is_array, "a list");
}

std::uint64_t number_of(const json& object, const char* field) {
  return field_of(object, field, &json::is_number_unsigned, "a number").get<std::uint64_t>();
}

bool flag_of(const json& object, const char* field) {
  return field_of(object, field, &json::is_boolean, "true or false").get<bool>();
}

std::string text_of(const json& object, const char* field) {
  return printable(field_of(object, field, &json::is_string, "a text").get<std::string>());
}

// Far beyond any policy, far below an overflow.
sys_seconds time_of(const json& object, const char* field) {
  const auto count = number_of(object, field);
  if (count > 253'402'300'799) unlike_keyd(field, "a time before the year 10000");
  return sys_seconds(seconds(static_cast<long>(count)));
}

}  // namespace ticketctl
