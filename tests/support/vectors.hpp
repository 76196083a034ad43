// Published test vectors as JSON, which are not part of this repository: from
// $TICKET_VECTORS, or ../shared/vectors beside the source tree.
#pragma once

#include <doctest/doctest.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/bytes.hpp"
#include "support/process.hpp"

namespace support {

// An empty array, and a message, where that file is not to be had: the figures of the
// RFCs' appendices stand in the tests themselves.
inline nlohmann::json vectors(const std::string& name) {
  const char* set = std::getenv("TICKET_VECTORS");
  const std::filesystem::path folder = set != nullptr ? set : source_root() / "../shared/vectors";
  std::ifstream file(folder / name);
  if (!file) {
    MESSAGE("no " << name << ": set TICKET_VECTORS to the folder of the vectors");
    return nlohmann::json::array();
  }
  return nlohmann::json::parse(file);
}

// Hex, with or without 0x.
inline ticket::Bytes unhex(std::string_view text) {
  if (text.starts_with("0x")) text.remove_prefix(2);
  auto bytes = ticket::from_hex(text);
  REQUIRE(bytes.has_value());
  return *bytes;
}

inline ticket::Bytes unhex(const nlohmann::json& object, const char* name) {
  return unhex(object.at(name).get<std::string>());
}

}  // namespace support
