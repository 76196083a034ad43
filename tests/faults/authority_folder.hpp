// A real keyd on the folder that `ticketctl init` makes, and a look into its
// sealed state from outside.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "state.hpp"
#include "support/process.hpp"

namespace faults {

using namespace std::chrono_literals;

// As ticketctl init takes them.
struct Times {
  std::string rotate_every = "1s", lifetime = "10s", publish_ahead = "3s";
};

class AuthorityFolder {
 public:
  explicit AuthorityFolder(const Times& times = {});

  std::filesystem::path path() const { return folder_ / "authority"; }
  std::filesystem::path state_file() const { return path() / "state/keyd.state"; }
  std::filesystem::path config() const { return path() / "keyd.toml"; }
  // The folder of a new member's agent, its ring file in it.
  std::filesystem::path add_member(const std::string& name) const;

  // To start keyd with. Waits until nobody listens: the front of a keyd that was killed is
  // told to end with it, but has the port a moment longer.
  std::vector<std::string> command() const;
  support::Process start() const { return support::Process(command()); }
  // What stands in the state; nullopt when there is none yet. Throws when it
  // does not open.
  std::optional<keyd::KeeperState> state() const;
  support::Outcome ticketctl(std::vector<std::string> arguments) const;
  void replace_in_config(const std::string& from, const std::string& to) const;

 private:
  support::TempFolder folder_;
  std::uint16_t port_ = support::unused_port();
};

bool says(const support::Process& process, const std::string& text,
          support::Milliseconds patience = 20s);

}  // namespace faults
