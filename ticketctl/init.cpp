// ticketctl init: from nothing to the folder that keyd serves a pool from.
#include <unistd.h>

#include <iostream>
#include <set>

#include "certificate_authority.hpp"
#include "command.hpp"
#include "config_text.hpp"
#include "crypto/signature.hpp"
#include "folder_draft.hpp"
#include "ring/policy.hpp"

namespace ticketctl {

using ticket::crypto::RoleKind;
using ticket::crypto::SignerSeed;
using ticket::ring::Policy;

namespace {

struct Wishes {
  std::filesystem::path folder;
  std::string pool;
  Endpoint listen;
  Policy policy;
  std::vector<std::string> names;
  int days;
};

ticket::seconds duration(const CommandLine& line, const std::string& option) {
  const auto text = line.text(option);
  const auto parsed = ticket::ring::parse_duration(text);
  if (!parsed) {
    throw bad_input("--" + option + " " + text +
                    ": not a duration; write a number and a unit (s, m, h, d), like 90s or 12h");
  }
  return *parsed;
}

// Fields of a policy are options with '-' for '_'.
std::string as_options(std::string text) {
  for (const std::string field : {"rotate_every", "publish_ahead"}) {
    auto option = field;
    option[option.find('_')] = '-';
    for (auto at = text.find(field); at != std::string::npos; at = text.find(field)) {
      text.replace(at, field.size(), option);
    }
  }
  return text;
}

Policy policy_of(const CommandLine& line) {
  Policy policy{.rotate_every = duration(line, "rotate-every"),
                .lifetime = duration(line, "lifetime"),
                .publish_ahead = duration(line, "publish-ahead"),
                .lineage = duration(line, "lineage")};
  policy.stretch = line.has("stretch") ? duration(line, "stretch") : policy.lifetime;
  if (const auto wrong = ticket::ring::problem(policy)) {
    throw bad_input("impossible policy: " + as_options(*wrong));
  }
  return policy;
}

Endpoint endpoint_of(const CommandLine& line) {
  const auto text = line.text("listen");
  const auto listen = parse_endpoint(text);
  if (!listen) {
    throw bad_input("--listen " + text + ": not HOST:PORT (or [ADDRESS]:PORT for IPv6)");
  }
  return *listen;
}

std::string machine_name() {
  char name[256] = "";
  gethostname(name, sizeof name - 1);
  return name;
}

// What agents may call keyd: what it was told, where it listens, and on a
// wildcard this machine's name.
std::vector<std::string> names_of(const CommandLine& line, const Endpoint& listen) {
  std::set<std::string> names;
  if (line.has("name")) {
    for (const auto& name : line.given["name"].as<std::vector<std::string>>()) names.insert(name);
  }
  const bool everywhere = is_wildcard(listen.host);
  if (everywhere && is_host(machine_name())) names.insert(machine_name());
  if (!everywhere) names.insert(listen.host);
  if (everywhere || is_loopback(listen.host)) names.insert({"localhost", "127.0.0.1", "::1"});
  for (const auto& name : names) {
    if (!is_host(name)) throw bad_input("--name " + name + ": not a host name or IP address");
  }
  return {names.begin(), names.end()};
}

int days_of(const CommandLine& line) {
  const int days = line.given["days"].as<int>();
  if (days < 1 || days > authority_days) {
    throw bad_input("--days " + std::to_string(days) + ": 1 to " + std::to_string(authority_days));
  }
  return days;
}

Wishes wishes_of(const CommandLine& line) {
  Wishes wishes{line.required("dir"), line.required("pool"), endpoint_of(line), policy_of(line), {},
                days_of(line)};
  wishes.names = names_of(line, wishes.listen);
  if (!ticket::crypto::valid_name(wishes.pool)) {
    throw bad_input("--pool " + wishes.pool +
                    ": a pool's name has 1 to 63 letters, digits, '.', '_' and '-', and begins "
                    "with none of '.' and '-'");
  }
  return wishes;
}

FolderDraft draft_of(const Wishes& wishes, ticket::sys_seconds now) {
  const auto authority = make_authority(wishes.pool, now);
  const auto keyd = make_leaf(
      authority, {{RoleKind::keyd, "", ""}, Usage::server, wishes.names, wishes.days}, now);
  const auto seed = SignerSeed::random();
  FolderDraft draft;
  draft.file("ca.pem", certificate_pem(authority.certificate.get()));
  draft.secret("ca.key", private_key_pem(authority.key.get()));
  draft.file("keyd.pem", certificate_pem(keyd.certificate.get()));
  draft.secret("keyd.key", private_key_pem(keyd.key.get()));
  draft.secret("authority.key", key_text(seed));
  draft.file("authority.pub", ticket::base64url(ticket::crypto::signer_public(seed)) + "\n");
  draft.secret("state.key", key_text(ticket::Secret<32>::random()));
  draft.folder("state");
  draft.folder("members");
  draft.file("keyd.toml", keyd_toml(wishes.pool, wishes.listen, wishes.policy));
  return draft;
}

void refuse_conflicts(const FolderDraft& draft, const std::filesystem::path& folder) {
  if (std::filesystem::exists(folder) && !std::filesystem::is_directory(folder)) {
    throw bad_input(folder.string() + " is there and is not a folder; nothing was changed");
  }
  const auto conflicts = draft.conflicts(folder);
  if (conflicts.empty()) return;
  std::string list;
  for (const auto& path : conflicts) list += "\n  " + path.string();
  throw bad_input(folder.string() +
                  " has files of a pool already; nothing was changed. Choose another --dir, or "
                  "move these away:" +
                  list);
}

void tell(const Wishes& wishes) {
  const auto folder = wishes.folder.string();
  std::cout << "Made " << folder << " for the pool " << wishes.pool
            << ". ca.key, authority.key and state.key are its secrets:\n"
               "keep a copy of the folder in a safe place, and ca.key off this machine if you can."
               "\n\nNext:\n"
            << "  keyd authority --config " << (wishes.folder / "keyd.toml").string() << "\n"
            << "  ticketctl member add web1 --pool " << wishes.pool << " --dir " << folder << "\n";
}

}  // namespace

int init_pool(int argc, const char* const* argv) {
  CommandLine line("init --dir DIR --pool NAME [OPTIONS]",
                   "Makes the folder that keyd serves a new pool from: a CA, keyd's certificate,\n"
                   "the keys that sign bundles and seal keyd's state, and a keyd.toml with every\n"
                   "setting explained. Overwrites nothing.\n",
                   "ticketctl init --dir /etc/keyd --pool web --listen 192.0.2.10:7443");
  using cxxopts::value;
  line.add()("dir", "Folder to make", value<std::string>(), "DIR")("pool", "The pool's name",
                                                                   value<std::string>(), "NAME")(
      "listen", "Where keyd listens", value<std::string>()->default_value("127.0.0.1:7443"),
      "HOST:PORT")("name", "A host name or address of keyd for its certificate; may be repeated",
                   value<std::vector<std::string>>(), "HOST")(
      "rotate-every", "An epoch seals this long", value<std::string>()->default_value("1h"),
      "TIME")("lifetime", "Of a ticket, at most 7d", value<std::string>()->default_value("12h"),
              "TIME")("publish-ahead", "Epochs are made this long before they seal",
                      value<std::string>()->default_value("6h"), "TIME")(
      "stretch", "How much longer the last epoch seals when keyd is away (default: lifetime)",
      value<std::string>(), "TIME")("lineage", "No resumption later after the full handshake",
                                    value<std::string>()->default_value("24h"), "TIME")(
      "days", "keyd's certificate is valid this long",
      value<int>()->default_value(std::to_string(leaf_days)), "N");
  if (!line.parse(argc, argv)) return exit_ok;

  const auto wishes = wishes_of(line);
  const auto draft = draft_of(wishes, ticket::SystemClock().now().latest);
  refuse_conflicts(draft, wishes.folder);
  draft.write(wishes.folder);
  tell(wishes);
  return exit_ok;
}

}  // namespace ticketctl
