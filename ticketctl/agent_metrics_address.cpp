#include "agent_metrics_address.hpp"

#include <toml++/toml.h>

#include "command.hpp"

namespace ticketctl {

namespace fs = std::filesystem;

namespace {

constexpr const char* way_out = "; name the agents' status listeners: ticketctl top HOST:PORT...";

Endpoint address_in(const fs::path& file) {
  std::optional<std::string> text;
  try {
    text = toml::parse_file(file.string())["agent"]["metrics"].value<std::string>();
  } catch (const toml::parse_error& error) {
    throw bad_input(file.string() + " cannot be read: " + std::string(error.description()) +
                    way_out);
  }
  if (!text) {
    throw bad_input(file.string() +
                    " has no `metrics` in [agent], so the agent tells none (docs/metrics.md)" +
                    way_out);
  }
  auto address = parse_endpoint(*text);
  if (!address) {
    throw bad_input(file.string() + ": metrics: " + *text + " is no HOST:PORT" + way_out);
  }
  // it listens everywhere, also here
  if (is_wildcard(address->host)) address->host = address->host == "::" ? "::1" : "127.0.0.1";
  return *address;
}

}  // namespace

Endpoint agent_metrics_address(const std::vector<fs::path>& files) {
  std::string tried;
  for (const auto& file : files) {
    std::error_code error;
    if (fs::exists(file, error) || error == std::errc::permission_denied) return address_in(file);
    tried += (tried.empty() ? "there is no " : " and no ") + file.string();
  }
  throw bad_input(tried + way_out);
}

}  // namespace ticketctl
