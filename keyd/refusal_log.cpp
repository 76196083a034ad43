#include "refusal_log.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace keyd {

using ticket::sys_seconds;

namespace {

constexpr std::chrono::minutes window{1};

// The address with its first `kept` bytes alone.
std::string network(int family, const unsigned char* bytes, std::size_t kept) {
  std::array<unsigned char, 16> masked{};
  std::copy_n(bytes, kept, masked.begin());
  char text[INET6_ADDRSTRLEN];
  ::inet_ntop(family, masked.data(), text, sizeof text);
  return std::string(text) + "/" + std::to_string(8 * kept);
}

}  // namespace

std::string address_prefix(const std::string& address) {
  const auto host = address.substr(0, address.find(' '));
  std::array<unsigned char, 16> bytes{};
  if (::inet_pton(AF_INET, host.c_str(), bytes.data()) == 1) {
    return network(AF_INET, bytes.data(), 3);
  }
  if (::inet_pton(AF_INET6, host.c_str(), bytes.data()) != 1) return address;
  constexpr unsigned char mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  if (std::memcmp(bytes.data(), mapped, sizeof mapped) == 0) {
    return network(AF_INET, bytes.data() + 12, 3);
  }
  return network(AF_INET6, bytes.data(), 8);
}

// What was counted stays: its sum is due a minute from now.
void RefusalLog::Minute::keep_to(sys_seconds now) {
  if (since <= now) return;
  since = now;
  told = 0;
}

bool RefusalLog::tell(const std::string& reason, const std::string& address, sys_seconds now) {
  Key key{reason, address_prefix(address)};
  if (minutes_.size() >= most_known && !minutes_.contains(key)) key = {reason, elsewhere};
  auto& minute = minutes_.try_emplace(std::move(key), Minute{now}).first->second;
  minute.keep_to(now);
  if (minute.told < told_each) {
    ++minute.told;
    return true;
  }
  ++minute.untold;
  return false;
}

std::vector<RefusalLog::Sum> RefusalLog::due(sys_seconds now) {
  std::vector<Sum> sums;
  for (auto next = minutes_.begin(); next != minutes_.end();) {
    const auto current = next++;
    auto& [key, minute] = *current;
    minute.keep_to(now);
    if (now < minute.since + window) continue;
    if (minute.untold == 0) {
      minutes_.erase(current);
      continue;
    }
    sums.push_back({key.first, key.second, minute.untold});
    minute = {now, told_each, 0};  // it goes on: sums will do
  }
  return sums;
}

}  // namespace keyd
