// keyd: one binary, several roles. The table is the documentation.
//
// Exit status: 0 done or stopped by a signal, 1 it cannot go on, 2 wrong usage
// or a wrong configuration.
#include <algorithm>
#include <array>
#include <cstdio>
#include <cxxopts.hpp>
#include <optional>
#include <string_view>

#include "agent.hpp"
#include "config.hpp"
#include "front.hpp"
#include "keeper.hpp"
#include "version.hpp"

namespace {

constexpr int usage_error = 2;

struct Role {
  std::string_view name;
  int (*run)(int argc, const char* const* argv);
  const char* summary;
  const char* example;
};

int run_authority(int argc, const char* const* argv);
int run_agent(int argc, const char* const* argv);
int check_config(int argc, const char* const* argv);
int run_front(int argc, const char* const* argv);

constexpr std::array<Role, 4> roles{{
    {"authority", run_authority, "Make the secrets of the pools, and give them to their members",
     "keyd authority --config /etc/ticket/keyd.toml"},
    {"agent", run_agent, "Fetch a server's secrets, and keep its ring files",
     "keyd agent --config /etc/ticket/agent.toml"},
    {"check-config", check_config, "Say which kind of file it is, and whether it is right",
     "keyd check-config /etc/ticket/keyd.toml"},
    {"front", run_front, nullptr, nullptr},  // started by the authority, not by people
}};

constexpr const char* exit_status_text =
    "\nExit status: 0 done or stopped by a signal, 1 it cannot go on, 2 wrong usage or a wrong\n"
    "configuration.\n";

void print_roles(std::FILE* out) {
  std::fputs("keyd makes the secrets of server pools and moves them to the servers.\n\nRoles:\n",
             out);
  for (const auto& role : roles) {
    if (role.summary == nullptr) continue;
    std::fprintf(out, "  %-14s%s\n  %-14s  %s\n", role.name.data(), role.summary, "", role.example);
  }
  std::fputs("\n  keyd ROLE --help tells its options; keyd --version the version.\n", out);
  std::fputs(exit_status_text, out);
}

cxxopts::Options options_of(std::string_view name) {
  const auto* role = std::find_if(roles.begin(), roles.end(),
                                  [name](const Role& known) { return known.name == name; });
  cxxopts::Options options("keyd " + std::string(name),
                           role->summary == nullptr ? "" : role->summary);
  options.add_options()("h,help", "Print this");
  return options;
}

// The parsed options, or nothing when help was asked for and given.
std::optional<cxxopts::ParseResult> parse(cxxopts::Options& options, std::string_view name,
                                          int argc, const char* const* argv) {
  auto parsed = options.parse(argc, argv);
  if (!parsed.unmatched().empty()) {
    throw std::invalid_argument("'" + parsed.unmatched().front() + "' is one argument too many");
  }
  if (parsed.count("help") == 0) return parsed;
  std::fputs(options.help().c_str(), stdout);
  for (const auto& role : roles) {
    if (role.name == name && role.example != nullptr) {
      std::printf("\nExample:\n  %s\n%s", role.example, exit_status_text);
    }
  }
  return std::nullopt;
}

std::filesystem::path config_file(const cxxopts::ParseResult& parsed) {
  if (parsed.count("config") == 0) throw std::invalid_argument("--config FILE is missing");
  return parsed["config"].as<std::string>();
}

int run_authority(int argc, const char* const* argv) {
  auto options = options_of("authority");
  options.add_options()("config", "Its configuration", cxxopts::value<std::string>(), "FILE")(
      "port-file", "Write the port of the first listener there, once it listens",
      cxxopts::value<std::string>()->default_value(""), "FILE");
  const auto parsed = parse(options, "authority", argc, argv);
  if (!parsed) return 0;
  return keyd::run_authority(config_file(*parsed), (*parsed)["port-file"].as<std::string>());
}

int run_agent(int argc, const char* const* argv) {
  auto options = options_of("agent");
  options.add_options()("config", "Its configuration", cxxopts::value<std::string>(), "FILE");
  const auto parsed = parse(options, "agent", argc, argv);
  if (!parsed) return 0;
  return keyd::run_agent(config_file(*parsed));
}

int check_config(int argc, const char* const* argv) {
  auto options = options_of("check-config");
  options.add_options()("file", "An authority's or an agent's", cxxopts::value<std::string>());
  options.parse_positional("file");
  options.positional_help("FILE");
  const auto parsed = parse(options, "check-config", argc, argv);
  if (!parsed) return 0;
  if (parsed->count("file") == 0) throw std::invalid_argument("FILE is missing");
  const std::filesystem::path file = (*parsed)["file"].as<std::string>();
  const bool authority = keyd::detect(file) == keyd::ConfigKind::authority;
  std::size_t pools = 0;
  std::vector<std::string> notes;
  if (authority) {
    const auto config = keyd::read_authority_config(file);
    pools = config.pools.size();
    notes = keyd::notes(config);
  } else {
    const auto config = keyd::read_agent_config(file);
    pools = config.pools.size();
    notes = keyd::notes(config, ticket::SystemClock().now());
  }
  std::printf("%s: ok, an %s's configuration with %zu %s\n", file.c_str(),
              authority ? "authority" : "agent", pools, pools == 1 ? "pool" : "pools");
  for (const auto& note : notes) std::printf("note: %s\n", note.c_str());
  return 0;
}

int run_front(int argc, const char* const* argv) {
  auto options = options_of("front");
  options.add_options()("fd", "The keeper's socket", cxxopts::value<int>());
  const auto parsed = parse(options, "front", argc, argv);
  if (!parsed) return 0;
  if (parsed->count("fd") == 0)
    throw std::invalid_argument("the authority starts its front itself");
  return keyd::run_front((*parsed)["fd"].as<int>());
}

int run_role(const Role& role, int argc, const char* const* argv) {
  try {
    return role.run(argc, argv);
  } catch (const keyd::ConfigError& problem) {
    std::fprintf(stderr, "%s\n", problem.what());
    return usage_error;
  } catch (const cxxopts::exceptions::exception& problem) {
    std::fprintf(stderr, "keyd %s: %s\n", role.name.data(), problem.what());
    return usage_error;
  } catch (const std::invalid_argument& problem) {
    std::fprintf(stderr, "keyd %s: %s\n", role.name.data(), problem.what());
    return usage_error;
  } catch (const std::exception& problem) {
    std::fprintf(stderr, "keyd %s: %s\n", role.name.data(), problem.what());
    return 1;
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view name = argc > 1 ? argv[1] : "";
  if (name == "--help" || name == "-h") {
    print_roles(stdout);
    return 0;
  }
  if (name == "--version") {
    std::printf("keyd %s\n", keyd::version);
    return 0;
  }
  for (const auto& role : roles) {
    if (role.name == name) return run_role(role, argc - 1, argv + 1);
  }
  print_roles(stderr);
  return usage_error;
}
