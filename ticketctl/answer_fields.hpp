// The fields of keyd's answers. Each throws CommandError (unreachable) naming the field
// that is missing or of another kind.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "base/clock.hpp"

namespace ticketctl {

[[noreturn]] void unlike_keyd(const char* field, const char* wanted);

const nlohmann::json& array_of(const nlohmann::json& object, const char* field);
std::uint64_t number_of(const nlohmann::json& object, const char* field);
bool flag_of(const nlohmann::json& object, const char* field);
// Without what could steer a terminal.
std::string text_of(const nlohmann::json& object, const char* field);
// Unix seconds, before the year 10000.
ticket::sys_seconds time_of(const nlohmann::json& object, const char* field);

}  // namespace ticketctl
