// ticketctl pool: what to publish, so that clients know the servers of a pool.
#include <iostream>

#include "admin_client.hpp"
#include "client/manifest.hpp"
#include "pool_dns.hpp"

namespace ticketctl {

namespace {

using nlohmann::json;

json ask_manifest(const CommandLine& line, const std::string& pool) {
  json request = {{"command", "client-manifest"}};
  if (!pool.empty()) request["pool"] = pool;
  const auto answer = ask_quietly(line, request);
  const auto manifest = answer.find("manifest");
  if (manifest == answer.end()) {
    throw CommandError(exit_unreachable, "keyd's answer has no manifest");
  }
  return *manifest;
}

ticket::client::ClientManifest read_manifest(const json& from) {
  auto manifest = ticket::client::parse_client_manifest(from.dump());
  if (!manifest) throw CommandError(exit_unreachable, "keyd's manifest: " + manifest.error());
  return *std::move(manifest);
}

int print_manifest(int argc, const char* const* argv) {
  CommandLine line("pool manifest [POOL] [--socket PATH]",
                   "Prints the client manifest, of one pool or of all: a file for clients, which\n"
                   "then offer a ticket of one server to the others (docs/client-manifest.md).\n"
                   "keyd serves it too, where it serves its metrics: /v1/client-manifest.\n",
                   "ticketctl pool manifest web > /var/www/html/tls-pools.json");
  add_admin_options(line);
  if (!line.parse(argc, argv, "pool")) return exit_ok;
  const auto pool = line.has("pool") ? line.text("pool") : std::string();
  const auto manifest = ask_manifest(line, pool);
  std::cout << manifest.dump(line.flag("json") ? -1 : 2) << "\n";
  return exit_ok;
}

int print_records(int argc, const char* const* argv) {
  CommandLine line("pool dns POOL [--zone] [--ttl SECONDS] [--socket PATH] [--json]",
                   "Prints the TXT records that tell clients of a pool, one for each host name:\n"
                   "as name and text, or with --zone as lines for a zone file.\n",
                   "ticketctl pool dns web --zone >> example.org.zone");
  add_admin_options(line);
  line.add()("zone", "Lines for a zone file")("ttl", "How long resolvers keep it",
                                              cxxopts::value<std::string>()->default_value("3600"),
                                              "SECONDS");
  if (!line.parse(argc, argv, "pool")) return exit_ok;
  const auto ttl = parse_ttl(line.text("ttl"));
  const auto name = line.required("pool");
  const auto id = read_manifest(ask_manifest(line, name)).pools.at(0).id;
  const auto records = records_of(read_manifest(ask_manifest(line, "")), id);
  for (const auto& left_out : records.left_out) std::cerr << "ticketctl: " << left_out << "\n";
  if (records.records.empty()) {
    throw CommandError(exit_no, "DNS can say nothing of the pool " + name + ": see above");
  }
  if (line.flag("json")) {
    auto list = json::array();
    for (const auto& record : records.records) {
      list.push_back({{"name", record.name}, {"ttl", ttl}, {"text", record.text}});
    }
    std::cout << list.dump() << "\n";
    return exit_ok;
  }
  for (const auto& record : records.records) {
    std::cout << (line.flag("zone") ? zone_line(record, ttl) : record.name + "  " + record.text)
              << "\n";
  }
  return exit_ok;
}

}  // namespace

int run_pool(int argc, const char* const* argv) {
  const std::string_view verb = argc > 1 ? argv[1] : "";
  if (verb == "manifest") return print_manifest(argc - 1, argv + 1);
  if (verb == "dns") return print_records(argc - 1, argv + 1);
  const std::string help =
      "Usage:\n"
      "  ticketctl pool manifest [POOL]     The file that tells clients which servers form a pool\n"
      "  ticketctl pool dns POOL [--zone]   The same as DNS records\n"
      "\nWhich servers: client_names and client_servers of the [[pool]] in keyd.toml.\n"
      "`--help` behind each tells its options.\n"
      "\nExample:\n  ticketctl pool manifest web > tls-pools.json\n";
  if (verb == "--help" || verb == "-h") {
    std::cout << help;
    return exit_ok;
  }
  if (!verb.empty()) std::cerr << "ticketctl: no such command: pool " << verb << "\n\n";
  std::cerr << help;
  return exit_usage;
}

}  // namespace ticketctl
