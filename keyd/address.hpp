// Of a listener or a server.
#pragma once

#include <string>

namespace keyd {

struct Address {
  std::string host;
  std::string port;

  bool operator==(const Address&) const = default;
};

}  // namespace keyd
