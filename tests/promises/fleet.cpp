#include "promises/fleet.hpp"

#include <memory>
#include <regex>
#include <sstream>
#include <stdexcept>

namespace promises {

namespace fs = std::filesystem;

namespace {

std::map<std::string, std::string> environment() {
  return {{"TICKET_BUILD", support::build_root().string()}};
}

std::string tool_path() { return support::source_root() / "tools/fleet"; }

std::vector<std::string> joined(std::vector<std::string> argv,
                                const std::vector<std::string>& more) {
  argv.insert(argv.end(), more.begin(), more.end());
  return argv;
}

// The second word of the line that begins with `name`.
std::string second_word(const fs::path& file, const std::string& name) {
  std::istringstream lines(support::read_text(file));
  for (std::string first, second, rest; lines >> first >> second; std::getline(lines, rest))
    if (first == name) return second;
  throw std::runtime_error(file.string() + " has no " + name);
}

}  // namespace

Fleet::Fleet(int servers, const Times& times, const std::vector<std::string>& more)
    : up_(joined(
              {tool_path(), "up", "--dir", folder_ / "fleet", "--servers", std::to_string(servers),
               "--rotate-every", times.rotate_every, "--lifetime", times.lifetime,
               "--publish-ahead", times.publish_ahead, "--stretch", times.stretch},
              more),
          {.environment = environment()}) {
  const bool serves = support::wait_until(
      [this] { return fs::exists(folder_ / "fleet/endpoints") || !up_.alive(); }, 120s);
  if (!serves || !up_.alive()) throw std::runtime_error("no fleet: " + up_.output());
}

Fleet::~Fleet() {
  up_.send(SIGTERM);
  up_.wait(15s);
}

fs::path Fleet::host(int number) const {
  return folder_ / ("fleet/hosts/host" + std::to_string(number));
}

std::string Fleet::keyd_address() const {
  static const std::regex listen("listen = \\[\"([^\"]+)\"");
  const auto text = support::read_text(folder_ / "fleet/authority/keyd.toml");
  std::smatch match;
  if (!std::regex_search(text, match, listen)) throw std::runtime_error("no listen in keyd.toml");
  return match[1];
}

std::string Fleet::issuer_address() const {
  static const std::regex listen("\\[pool\\.tokens\\]\\s+listen = \"([^\"]+)\"");
  const auto text = support::read_text(folder_ / "fleet/authority/keyd.toml");
  std::smatch match;
  if (!std::regex_search(text, match, listen)) throw std::runtime_error("no issuer in keyd.toml");
  return match[1];
}

void Fleet::kill(const std::string& process) { tool({"kill", process}); }
void Fleet::start(const std::string& process) { tool({"start", process}); }

void Fleet::send(const std::string& process, int signal) const {
  ::kill(std::stoi(second_word(folder_ / "fleet/pids", process)), signal);
}

std::string Fleet::log(const std::string& process) const {
  return support::read_text(folder_ / "fleet/log" / (process + ".log"));
}

std::string Fleet::address(int number) const {
  return second_word(folder_ / "fleet/endpoints", "server" + std::to_string(number));
}

Shake Fleet::connect(int number, Tls version, const std::string& keep,
                     const std::string& offer) const {
  const auto file = [this](const std::string& name) {
    return name.empty() ? fs::path() : session(name);
  };
  return support::connect({.address = address(number),
                           .version = version,
                           .ca = folder_ / "fleet/ca.pem",
                           .keep = file(keep),
                           .offer = file(offer)});
}

tkt_ring_info Fleet::ring(int number) const {
  const std::string path = host(number) / "fleet.ring";
  tkt_ring_options options = {};
  options.size = sizeof options;
  options.ring_path = path.c_str();
  options.counters_path = "/dev/null";  // a look, not a server
  options.no_thread = 1;
  tkt_ring* ring = nullptr;
  if (tkt_ring_open(&ring, &options) != TKT_OK) throw std::runtime_error("tkt_ring_open");
  const std::unique_ptr<tkt_ring, decltype(&tkt_ring_free)> owned(ring, tkt_ring_free);
  tkt_ring_info info = {};
  info.size = sizeof info;
  if (tkt_ring_info_read(ring, &info) != TKT_OK) throw std::runtime_error("tkt_ring_info_read");
  return info;
}

fs::path Fleet::session(const std::string& name) const { return folder_ / (name + ".session"); }

void Fleet::tool(const std::vector<std::string>& arguments) const {
  const auto argv = joined(joined({tool_path()}, arguments), {"--dir", folder_ / "fleet"});
  const auto done = support::run(argv, {.environment = environment()}, 30s);
  if (done.code != 0) throw std::runtime_error("tools/fleet: " + done.output);
}

}  // namespace promises
