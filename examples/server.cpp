// A TLS server whose sessions resume on every server of its pool: HTTP/1.1,
// several virtual hosts, optional client certificates.
//
//   ticket-example-server --listen 127.0.0.1:8443 --ring /run/ticket/web.ring
//       --host a.test=a.pem,a.key,a.test
//       --host secure.test=secure.pem,secure.key,secure.test,ca.pem
//
// `GET /` tells how the connection began, `GET /status` what the ring is at. With
// --door /door that path opens for a one-time token only.
#include <signal.h>
#include <ticket/openssl.h>

#include <atomic>
#include <cxxopts.hpp>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>
#include <ticket/ticket.hpp>

#include "hosts.hpp"
#include "http_server.hpp"

namespace {

using namespace example;

// ---- libticket: all there is to it ----------------------------------------

void attach_tickets(Hosts& hosts, ticket::Ring& ring, const std::string& session_id_context,
                    tkt_openssl_binding binding, tkt_openssl_early_data early_data) {
  std::vector<tkt_openssl_name> names;  // which context a server name belongs to
  for (const Host& host : hosts.all()) {
    names.push_back({host.name.c_str(), host.context.c_str(), host.tls.get()});
  }

  for (Host& host : hosts.all()) {
    tkt_openssl_options options{};
    options.size = sizeof options;
    options.context = host.context.c_str();
    options.names = names.data();
    options.names_count = names.size();
    options.binding = binding;
    options.early_data = early_data;
    if (!session_id_context.empty()) options.session_id_context = session_id_context.c_str();
    ticket::check(tkt_openssl_attach(host.tls.get(), ring.handle(), &options), "no tickets");
  }
}

// What opens for a one-time token of the host that was asked.
class Door {
 public:
  Door(const ticket::Ring& ring, std::uint32_t wait) {
    tkt_verifier_options options{};
    options.size = sizeof options;
    options.timeout = wait;
    ticket::check(tkt_verifier_open(&verifier_, ring.handle(), &options), "no tokens");
  }
  ~Door() { tkt_verifier_free(verifier_); }
  Door(const Door&) = delete;

  Response open(const std::string& authorization, const std::string& origin) const {
    const tkt_status status =
        tkt_verifier_redeem(verifier_, authorization.data(), authorization.size(), origin.c_str());
    if (status == TKT_OK) return {200, "text/plain", "open\n"};
    const auto challenge = status > 0 && status != TKT_UNKNOWN ? challenge_of(origin) : "";
    if (challenge.empty()) return {503, "text/plain", "tokens cannot be checked now\n"};
    return {401, "text/plain", "a token is needed\n", challenge};
  }

 private:
  std::string challenge_of(const std::string& origin) const {
    std::string value(16384, '\0');
    std::size_t size = value.size();
    const tkt_status status =
        tkt_verifier_challenge(verifier_, origin.c_str(), value.data(), &size);
    return status == TKT_OK ? value.substr(0, size) : "";
  }

  tkt_verifier* verifier_ = nullptr;
};

// ---------------------------------------------------------------------------

void log(tkt_log_level level, std::string_view text) {
  static constexpr const char* names[] = {"error", "warning", "info", "debug"};
  std::clog << names[level] << ": " << text << '\n';
}

const char* to_text(tkt_openssl_early early) {
  static constexpr const char* names[] = {"none", "accepted", "replay", "foreign", "full"};
  return names[early];
}

// What was answered, and of that before the client had finished its handshake: what a
// replay would repeat.
struct Requests {
  std::atomic<std::uint64_t> all{0}, early{0};
};

std::string describe_connection(const SSL* ssl) {
  tkt_openssl_info info{};
  info.size = sizeof info;
  tkt_openssl_info_read(ssl, &info);
  const char* name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
  std::string text;
  const auto line = [&text](const char* label, const std::string& value) {
    text += std::string(label) + ": " + value + '\n';
  };
  line("server name", name == nullptr ? "none" : name);
  line("protocol", SSL_get_version(ssl));
  line("resumed", info.resumed != 0 ? "yes" : "no");
  line("reason", info.offered != 0 ? tkt_status_text(info.reason) : "no ticket");
  line("early data", to_text(info.early_data));
  line("epoch", std::to_string(info.epoch));
  line("minter", std::to_string(info.minter));
  line("context", info.context);
  return text;
}

const char* to_text(tkt_ring_state state) {
  static constexpr const char* names[] = {"ok", "stretched", "stopped", "none"};
  return names[state];
}

std::string describe_ring(const ticket::Ring& ring, const Requests& requests) {
  const tkt_ring_info info = ring.info();
  const tkt_counters counters = ring.counters();
  const nlohmann::ordered_json status = {{"version", tkt_version()},
                                         {"requests", requests.all.load()},
                                         {"early_requests", requests.early.load()},
                                         {"ring",
                                          {{"state", to_text(info.state)},
                                           {"why", info.why},
                                           {"pool", info.pool},
                                           {"generation", info.generation},
                                           {"sealing_epoch", info.sealing_epoch},
                                           {"epochs", info.epochs},
                                           {"member", info.member},
                                           {"heartbeat", info.heartbeat},
                                           {"next_change", info.next_change}}},
                                         {"counters",
                                          {{"sealed", counters.sealed},
                                           {"not_sealed", counters.not_sealed},
                                           {"resumed_announced", counters.resumed_announced},
                                           {"resumed_sealing", counters.resumed_sealing},
                                           {"resumed_opening", counters.resumed_opening},
                                           {"unknown_key", counters.unknown_key},
                                           {"context", counters.context},
                                           {"expired", counters.expired},
                                           {"forged", counters.forged},
                                           {"malformed", counters.malformed},
                                           {"lineage", counters.lineage},
                                           {"revoked", counters.revoked},
                                           {"name", counters.name}}}};
  return status.dump(2) + '\n';
}

Response answer(const std::string& path, const SSL* ssl, const ticket::Ring& ring,
                Requests& requests) {
  ++requests.all;
  if (SSL_is_init_finished(ssl) == 0) ++requests.early;
  if (path == "/") return {200, "text/plain", describe_connection(ssl)};
  if (path == "/status") return {200, "application/json", describe_ring(ring, requests)};
  return {404, "text/plain", "there is / and /status\n"};
}

// The host that answers, by our own configuration and not by what the client calls us.
std::string host_of(const SSL* ssl, Hosts& hosts) {
  for (const Host& host : hosts.all()) {
    if (host.tls.get() == SSL_get_SSL_CTX(ssl)) return host.name;
  }
  return hosts.all().front().name;
}

cxxopts::Options command_line() {
  cxxopts::Options options("ticket-example-server",
                           "A TLS server whose sessions resume on every server of its pool");
  auto add = options.add_options();
  add("listen", "HOST:PORT; port 0: any",
      cxxopts::value<std::string>()->default_value("127.0.0.1:8443"));
  add("port-file", "write the port here once the server listens", cxxopts::value<std::string>());
  add("ring", "the ring file that keyd's agent writes", cxxopts::value<std::string>());
  add("host",
      "NAME=CERT,KEY,CONTEXT[,CLIENTCA]; again for each, the first is for unknown names; "
      "with CLIENTCA a client certificate is demanded",
      cxxopts::value<std::string>());
  add("session-id-context",
      "the same on every server of a pool; \"haproxy\" beside HAProxy (default: libticket's own)",
      cxxopts::value<std::string>()->default_value(""));
  add("select", "which callback picks a host: servername or client-hello",
      cxxopts::value<std::string>()->default_value("servername"));
  add("binding",
      "what a ticket is good for: the name it was made for, in TLS 1.3 each name of its context, "
      "or any of them in TLS 1.2 too: name, context or any",
      cxxopts::value<std::string>()->default_value("name"));
  add("early-data",
      "off, or once: a request in the client's first flight is answered, once in the pool",
      cxxopts::value<std::string>()->default_value("off"));
  add("door", "a path that opens for a one-time token only, as /door",
      cxxopts::value<std::string>());
  add("door-wait", "how long the agent is waited for when it records tokens; milliseconds",
      cxxopts::value<std::uint32_t>()->default_value("100"));
  add("help", "this text");
  return options;
}

// cxxopts splits values at commas, which --host has inside.
std::vector<std::string> values_of(const cxxopts::ParseResult& arguments, const char* option) {
  std::vector<std::string> values;
  for (const auto& argument : arguments.arguments()) {
    if (argument.key() == option) values.push_back(argument.value());
  }
  return values;
}

Select parse_select(const std::string& text) {
  if (text == "servername") return Select::servername;
  if (text == "client-hello") return Select::client_hello;
  throw std::invalid_argument("--select: " + text + " (allowed: servername, client-hello)");
}

tkt_openssl_binding parse_binding(const std::string& text) {
  if (text == "name") return TKT_SAME_NAME;
  if (text == "context") return TKT_SAME_CONTEXT;
  if (text == "any") return TKT_ANY_NAME;
  throw std::invalid_argument("--binding: " + text + " (allowed: name, context, any)");
}

tkt_openssl_early_data parse_early_data(const std::string& text) {
  if (text == "off") return TKT_EARLY_DATA_OFF;
  if (text == "once") return TKT_EARLY_DATA_ONCE;
  throw std::invalid_argument("--early-data: " + text + " (allowed: off, once)");
}

// The signals that end us are waited for, not handled.
sigset_t block_signals() {
  signal(SIGPIPE, SIG_IGN);
  sigset_t ending;
  sigemptyset(&ending);
  sigaddset(&ending, SIGTERM);
  sigaddset(&ending, SIGINT);
  pthread_sigmask(SIG_BLOCK, &ending, nullptr);
  return ending;
}

int serve(const cxxopts::ParseResult& arguments) {
  const sigset_t ending = block_signals();
  ticket::Ring ring({.path = arguments["ring"].as<std::string>(), .log = log});
  Hosts hosts(values_of(arguments, "host"));
  attach_tickets(hosts, ring, arguments["session-id-context"].as<std::string>(),
                 parse_binding(arguments["binding"].as<std::string>()),
                 parse_early_data(arguments["early-data"].as<std::string>()));
  hosts.select_by(parse_select(arguments["select"].as<std::string>()));

  Requests requests;
  std::optional<Door> door;
  std::string door_path;
  if (arguments.count("door") != 0) {
    door.emplace(ring, arguments["door-wait"].as<std::uint32_t>());
    door_path = arguments["door"].as<std::string>();
  }

  HttpServer server(hosts.port(), arguments["listen"].as<std::string>(),
                    [&](const Request& request, const SSL* ssl) {
                      if (door && request.path == door_path) {
                        return door->open(request.authorization, host_of(ssl, hosts));
                      }
                      return answer(request.path, ssl, ring, requests);
                    });
  if (arguments.count("port-file") != 0) {
    server.write_port(arguments["port-file"].as<std::string>());
  }
  std::cout << "listening on " << server.address() << std::endl;
  int signal = 0;
  sigwait(&ending, &signal);
  return 0;
}

}  // namespace

int main(int argc, char** argv) try {
  auto options = command_line();
  const auto arguments = options.parse(argc, argv);
  if (arguments.count("help") != 0) {
    std::cout << options.help();
    return 0;
  }
  if (arguments.count("ring") == 0 || arguments.count("host") == 0) {
    std::cerr << "ticket-example-server: --ring and --host are needed; see --help\n";
    return 2;
  }
  return serve(arguments);
} catch (const std::exception& failure) {
  std::cerr << "ticket-example-server: " << failure.what() << '\n';
  return 1;
}
