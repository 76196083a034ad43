// ticketctl check: the pre-flight. Are these servers one pool?
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <csignal>
#include <iostream>

#include "check_json.hpp"
#include "check_text.hpp"
#include "command.hpp"

namespace ticketctl {

using namespace std::chrono_literals;

namespace {

std::chrono::milliseconds timeout_of(const std::string& text) {
  double seconds = 0;
  const auto* end = text.data() + text.size();
  const auto [parsed_to, error] = std::from_chars(text.data(), end, seconds);
  if (error != std::errc() || parsed_to != end || !(seconds >= 0.1 && seconds <= 600)) {
    throw bad_input("--timeout takes seconds from 0.1 to 600, not " + text);
  }
  return std::chrono::milliseconds(static_cast<long>(seconds * 1000));
}

std::vector<TlsVersion> versions_of(const CommandLine& line) {
  if (!line.has("tls")) return {TlsVersion::v1_2, TlsVersion::v1_3};
  const auto text = line.text("tls");
  if (text != "1.2" && text != "1.3") throw bad_input("--tls takes 1.2 or 1.3, not " + text);
  return {text == "1.2" ? TlsVersion::v1_2 : TlsVersion::v1_3};
}

std::vector<Endpoint> servers_of(const CommandLine& line) {
  std::vector<Endpoint> servers;
  for (const auto& text : line.texts("servers")) {
    const auto server = parse_endpoint(text);
    if (!server) throw bad_input(text + " is no server: HOST:PORT, or [IPV6]:PORT");
    servers.push_back(*server);
  }
  if (servers.empty()) throw bad_input("which servers?\nUsage: ticketctl " + line.usage);
  return servers;
}

// A name given twice is one name.
std::vector<std::string> names_of(const CommandLine& line) {
  std::vector<std::string> names;
  for (const auto& name : line.texts("name")) {
    if (name.empty() || name.size() > 255) throw bad_input("--name takes 1 to 255 characters");
    if (std::ranges::find(names, name) == names.end()) names.push_back(name);
  }
  return names;
}

CheckPlan plan_of(const CommandLine& line) {
  CheckPlan plan{.servers = servers_of(line),
                 .names = names_of(line),
                 .versions = versions_of(line),
                 .client = {.timeout = timeout_of(line.text("timeout"))}};
  if (line.has("cert") != line.has("key")) {
    throw bad_input("--cert and --key belong together");
  }
  if (line.has("cert")) plan.client.certificate = line.text("cert");
  if (line.has("key")) plan.client.key = line.text("key");
  if (line.has("ca")) plan.client.ca = line.text("ca");
  return plan;
}

// One line on a terminal, when it takes more than a second; gone at the end.
class Progress {
 public:
  explicit Progress(bool wanted) : wanted_(wanted && isatty(STDERR_FILENO) == 1) {}
  ~Progress() {
    if (shown_) std::cerr << "\r\x1b[K" << std::flush;
  }
  void operator()(std::size_t done, std::size_t of) {
    if (!wanted_ || std::chrono::steady_clock::now() - start_ < 1s) return;
    shown_ = true;
    std::cerr << "\r\x1b[K" << done << " of " << of << " servers and pairs tried" << std::flush;
  }

 private:
  bool wanted_, shown_ = false;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

CheckReport run_check(const CheckPlan& plan, bool quiet) {
  std::signal(SIGPIPE, SIG_IGN);  // a server may close while we write to it
  Progress progress(!quiet);
  return check_pool(plan, [&progress](std::size_t done, std::size_t of) { progress(done, of); });
}

}  // namespace

int check_servers(int argc, const char* const* argv) {
  CommandLine line(
      "check [--name NAME]... [--tls 1.2|1.3] [OPTIONS] HOST:PORT...",
      "Makes a session with each server and offers it to every other one, and back to\n"
      "itself, in TLS 1.2 and 1.3: which resume, and if not, the likely reason. Any TLS\n"
      "server will do; it sees a few full handshakes and HEAD requests, at most 4 at a\n"
      "time. Certificates are not verified without --ca.\n",
      "ticketctl check --name www.example.org 192.0.2.1:443 192.0.2.2:443");
  line.exit_codes = "0 every pair resumes, and names are kept apart; 1 not;\n2 usage or bad input";
  line.add()("name",
             "Server name to ask for (default: the host of each HOST:PORT). Again for more: then "
             "also that a session of one does not resume under another",
             cxxopts::value<std::string>(), "NAME")("tls", "Only this version: 1.2 or 1.3",
                                                    cxxopts::value<std::string>(), "VERSION")(
      "cert", "Client certificate to show, PEM", cxxopts::value<std::string>(), "FILE")(
      "key", "Its key, PEM", cxxopts::value<std::string>(), "FILE")(
      "ca", "Verify servers' certificates with these CAs, PEM", cxxopts::value<std::string>(),
      "FILE")("timeout", "Seconds for one connection",
              cxxopts::value<std::string>()->default_value("5"), "SECONDS")(
      "json", "Print what was found as JSON")("quiet", "Print nothing: the exit code tells");
  if (!line.parse_list(argc, argv, "servers")) return exit_ok;

  const auto plan = plan_of(line);
  const auto report = run_check(plan, line.flag("quiet"));
  if (line.flag("json")) {
    std::cout << check_json(plan, report).dump(2, ' ', true) << "\n";
  } else if (!line.flag("quiet")) {
    for (const auto& text : check_lines(plan, report, terminal())) std::cout << text << "\n";
  }
  return report.all_resume() && report.names_apart() ? exit_ok : exit_no;
}

}  // namespace ticketctl
