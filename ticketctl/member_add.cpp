// ticketctl member add: a server's certificate and the rest of what it needs.
#include <iostream>

#include "command.hpp"
#include "config_text.hpp"
#include "folder_draft.hpp"
#include "member.hpp"
#include "pool_folder.hpp"

namespace ticketctl {

namespace fs = std::filesystem;
using ticket::crypto::RoleKind;

namespace {

struct Wishes {
  std::string name, pool;
  fs::path folder, ca_key;
  std::string server;  // empty: as keyd.toml says
  std::string ring;
  int days;
};

std::string checked_name(const char* what, const std::string& name) {
  if (ticket::crypto::valid_name(name)) return name;
  throw bad_input(
      std::string(what) + " " + name +
      ": 1 to 63 letters, digits, '.', '_' and '-', beginning with none of '.' and '-'");
}

std::string checked_ring(const std::string& path) {
  for (const unsigned char c : path) {
    if (c < ' ' || c == 0x7f) throw bad_input("--ring: control characters are not allowed");
  }
  return path;
}

Wishes wishes_of(const CommandLine& line) {
  Wishes wishes;
  wishes.name = checked_name("NAME", line.required("NAME"));
  wishes.pool = checked_name("--pool", line.required("pool"));
  wishes.folder = line.required("dir");
  wishes.ca_key = line.has("ca-key") ? fs::path(line.text("ca-key")) : wishes.folder / "ca.key";
  wishes.server = line.has("server") ? line.text("server") : "";
  wishes.ring =
      line.has("ring") ? checked_ring(line.text("ring")) : "/run/ticket/" + wishes.pool + ".ring";
  wishes.days = line.given["days"].as<int>();
  if (wishes.days < 1 || wishes.days > authority_days) {
    throw bad_input("--days: 1 to " + std::to_string(authority_days));
  }
  return wishes;
}

std::string server_of(const Wishes& wishes, const std::string& listen) {
  const auto& text = wishes.server.empty() ? listen : wishes.server;
  const auto server = parse_endpoint(text);
  if (!server) {
    throw bad_input((wishes.server.empty() ? "listen in keyd.toml, " : "--server ") + text +
                    ": not HOST:PORT (or [ADDRESS]:PORT for IPv6)");
  }
  if (is_wildcard(server->host)) {
    throw bad_input("keyd listens on every address (" + text +
                    "): say which one this server connects to with --server HOST:PORT");
  }
  return to_text(*server);
}

FolderDraft draft_of(const Wishes& wishes, const PoolFolder& pool, ticket::sys_seconds now) {
  const auto member = make_leaf(
      pool.authority,
      {{RoleKind::member, wishes.pool, wishes.name}, Usage::client, {}, wishes.days}, now);
  FolderDraft draft;
  draft.file("ca.pem", pool.authority_pem);
  draft.file("member.pem", certificate_pem(member.certificate.get()));
  draft.secret("member.key", private_key_pem(member.key.get()));
  draft.file("agent.toml", agent_toml({wishes.pool, wishes.name, server_of(wishes, pool.listen),
                                       pool.authority_key, wishes.ring}));
  return draft;
}

void refuse_existing(const fs::path& folder, const std::string& name) {
  if (!fs::exists(fs::symlink_status(folder))) return;
  throw bad_input(folder.string() + " is there already; nothing was changed. To give " + name +
                  " a new certificate, move it away first");
}

void tell(const Wishes& wishes, const fs::path& folder, const std::string& server) {
  std::cout << "Made " << folder.string() << " for " << wishes.name << " of the pool "
            << wishes.pool << ". Copy it to that server, then start the agent there:\n"
            << "  scp -r " << folder.string() << "/. root@" << wishes.name << ":/etc/keyd-agent/\n"
            << "  keyd agent --config /etc/keyd-agent/agent.toml\n\n"
            << "The agent connects to keyd at " << server << " and writes " << wishes.ring
            << ".\nmember.key is secret: remove it here once it is there.\n";
}

}  // namespace

int add_member(int argc, const char* const* argv) {
  CommandLine line("member add NAME --pool POOL --dir DIR [OPTIONS]",
                   "Issues the certificate of a pool's new server, and writes it to\n"
                   "DIR/members/NAME with all that the server's agent needs. keyd need not run.\n",
                   "ticketctl member add web1 --pool web --dir /etc/keyd --server keyd.lan:7443");
  using cxxopts::value;
  line.add()("pool", "The pool it joins", value<std::string>(), "POOL")(
      "dir", "The folder of `ticketctl init`", value<std::string>(), "DIR")(
      "server", "Where keyd is, seen from there (default: listen of keyd.toml)",
      value<std::string>(),
      "HOST:PORT")("ring", "Ring file (default: /run/ticket/POOL.ring)", value<std::string>(),
                   "PATH")("ca-key", "The CA's key (default: DIR/ca.key)", value<std::string>(),
                           "PATH")("days", "The certificate is valid this long",
                                   value<int>()->default_value(std::to_string(leaf_days)), "N");
  if (!line.parse(argc, argv, "NAME")) return exit_ok;

  const auto wishes = wishes_of(line);
  const auto now = ticket::SystemClock().now().latest;
  const auto pool = read_pool_folder(wishes.folder, wishes.pool, wishes.ca_key, now);
  const auto folder = wishes.folder / "members" / wishes.name;
  refuse_existing(folder, wishes.name);
  draft_of(wishes, pool, now).write(folder);
  tell(wishes, folder, server_of(wishes, pool.listen));
  return exit_ok;
}

}  // namespace ticketctl
