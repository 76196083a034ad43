// ticketctl inspect: which key sealed a ticket, what is in it, would it resume.
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>

#include "command.hpp"
#include "feed/bundle.hpp"
#include "inspection.hpp"
#include "ring/ring_file.hpp"
#include "text.hpp"

namespace ticketctl {

using namespace ticket;
namespace fs = std::filesystem;
using nlohmann::ordered_json;

namespace {

constexpr std::size_t largest_bundle = 4 << 20;

// Its content, in memory that is wiped: a session file holds the session's secret.
SecretBytes read_whole(const fs::path& path, std::size_t limit, const char* allowed) {
  std::error_code error;
  if (fs::is_directory(path, error)) throw bad_input(path.string() + ": a folder; " + allowed);
  std::ifstream in(path, std::ios::binary);
  if (!in) throw bad_input(path.string() + ": cannot be read: " + std::strerror(errno));
  SecretBytes content(limit + 1);
  in.rdbuf()->pubsetbuf(nullptr, 0);
  in.read(reinterpret_cast<char*>(content.fill().data()),
          static_cast<std::streamsize>(content.size()));
  const auto size = static_cast<std::size_t>(in.gcount());
  if (size > limit) {
    throw bad_input(path.string() + ": larger than " + std::to_string(limit >> 10) + " KiB; " +
                    allowed);
  }
  return SecretBytes::copy_of(content.expose().first(size));
}

TicketFile read_ticket(const fs::path& path) {
  constexpr auto allowed =
      "a session of openssl s_client -sess_out, or a ticket in binary, base64 or hex";
  const auto content = read_whole(path, largest_ticket_file, allowed);
  auto parsed = parse_ticket_file(content.expose());
  if (!parsed) throw bad_input(path.string() + ": " + parsed.error() + "; take " + allowed);
  return *std::move(parsed);
}

ring::Ring read_ring(const fs::path& path) {
  const ring::RingReader reader(path);
  auto ring = reader.read();
  if (!ring) {
    throw bad_input(path.string() + ": " + ring::to_text(ring.error()) +
                    "; --ring takes the ring file that the agent writes, which its owner, its "
                    "group and root may read");
  }
  return *std::move(ring);
}

feed::Manifest read_manifest(const fs::path& path) {
  constexpr auto allowed =
      "--bundle takes what keyd serves at /v1/pools/POOL/bundle, an agent's "
      "bundle.json, or the manifest in it";
  const auto content = read_whole(path, largest_bundle, allowed);
  const auto text = as_text(content.expose());
  auto manifest = feed::parse_manifest(text);
  if (!manifest) {
    // An agent's bundle.json has the bundle as text, beside its wrap.
    const auto outer = nlohmann::json::parse(text, nullptr, false);
    const bool kept = outer.is_object() && outer.contains("bundle") && outer["bundle"].is_string();
    const auto bundle = feed::parse_bundle(kept ? outer["bundle"].get<std::string>() : text);
    if (bundle) manifest = feed::parse_manifest(bundle->manifest);
  }
  if (!manifest) throw bad_input(path.string() + ": neither a bundle nor a manifest; " + allowed);
  return *std::move(manifest);
}

// What --ring and --bundle told, beside the ticket.
struct Known {
  std::optional<ring::Ring> ring;
  std::optional<feed::Manifest> manifest;
  std::vector<std::string> contexts;
};

std::string minter_name(const Known& known, std::uint16_t number) {
  if (!known.manifest) return {};
  const auto found = std::ranges::find(known.manifest->members, number, &feed::MemberEntry::number);
  return found == known.manifest->members.end() ? "" : found->name;
}

// In words, and the way out where there is one.
std::string reason_text(const Known& known, Rejection why) {
  switch (why) {
    case Rejection::unknown_key: {
      std::string contexts;
      for (const auto& context : known.contexts) {
        contexts += (contexts.empty() ? "" : ", ") + printable(context);
      }
      return "no living key of this ring has its name in the contexts looked at (" + contexts +
             "): its epoch is gone or burned, or it is of another context (--context NAME) or "
             "pool";
    }
    case Rejection::expired:
      return "its time or its key's is over";
    case Rejection::forged:
      return "its tag does not verify: it was altered, or made up under a known key name";
    case Rejection::lineage:
      return "its full handshake was too long ago";
    case Rejection::revoked:
      return "its minter's tickets of that time were revoked";
    case Rejection::malformed:
      return "what is inside does not parse";
    default:
      return to_text(why);
  }
}

std::int64_t unix_seconds(sys_seconds time) { return time.time_since_epoch().count(); }

ordered_json key_json(const Finding& finding) {
  return {{"epoch", finding.epoch->number},
          {"id", hex(finding.epoch->id)},
          {"state", finding.state},
          {"context", finding.context},
          {"opens_until", unix_seconds(finding.epoch->opens_until)}};
}

ordered_json inside_json(const Known& known, const Finding& finding) {
  ordered_json inside{{"made", unix_seconds(finding.made)},
                      {"expires", unix_seconds(finding.expires)},
                      {"server_name", finding.server_name}};
  if (finding.lineage_ends) inside["lineage_ends"] = unix_seconds(*finding.lineage_ends);
  if (!finding.attribution) return inside;
  const auto& attribution = *finding.attribution;
  inside["attribution"] = {{"minter", attribution.minter},
                           {"minter_name", minter_name(known, attribution.minter)},
                           {"born", unix_seconds(attribution.born)},
                           {"sealed", unix_seconds(attribution.sealed)},
                           {"bound_to_name", !all_zero(attribution.name_hash)}};
  return inside;
}

ordered_json as_json(const TicketFile& file, const Known& known,
                     const std::optional<Finding>& finding) {
  const auto parts = ticket_parts(file.ticket);
  ordered_json json{{"form", to_text(file.form)}, {"ticket_size", file.ticket.size()}};
  if (parts) json["key_name"] = hex(parts->key_name);
  if (parts) json["sealed_state_size"] = parts->sealed_state.size();
  if (file.session) {
    json["session"] = {{"protocol", file.session->protocol},
                       {"cipher", file.session->cipher},
                       {"server_name", file.session->server_name},
                       {"received", unix_seconds(file.session->received)},
                       {"lifetime_hint", file.session->lifetime_hint.count()}};
  }
  if (!finding) return json;
  json["pool"] = known.ring->pool;
  json["generation"] = known.ring->generation;
  if (finding->epoch != nullptr) json["key"] = key_json(*finding);
  if (finding->opened) json["inside"] = inside_json(known, *finding);
  json["resumes"] = !finding->objection;
  if (finding->objection) json["reason"] = to_text(*finding->objection);
  return json;
}

// Rows of label and text.
using Rows = std::vector<std::pair<std::string, std::string>>;

std::string at(sys_seconds time, sys_seconds now) { return short_time(time, now, Detail::seconds); }

void tell_session(Rows& rows, const ClientSession& session, sys_seconds now) {
  rows.emplace_back(
      "session",
      session.protocol + ", " + session.cipher +
          (session.server_name.empty() ? "" : ", for " + printable(session.server_name)));
  rows.emplace_back(
      "received", at(session.received, now) + (session.lifetime_hint.count() == 0
                                                   ? ", no lifetime given"
                                                   : ", good for " + rough(session.lifetime_hint)));
}

void tell_ticket(Rows& rows, const TicketFile& file) {
  const auto parts = ticket_parts(file.ticket);
  if (!parts) {
    rows.emplace_back("ticket", std::to_string(file.ticket.size()) +
                                    " bytes, not as RFC 5077 recommends: no ticket of libticket");
    return;
  }
  rows.emplace_back("ticket", std::to_string(file.ticket.size()) + " bytes, " +
                                  std::to_string(parts->sealed_state.size()) + " of them sealed");
  rows.emplace_back("key name", hex(parts->key_name));
}

void tell_attribution(Rows& rows, const Known& known, const wire::Attribution& attribution,
                      sys_seconds now) {
  const auto name = minter_name(known, attribution.minter);
  rows.emplace_back("minter", "member " + std::to_string(attribution.minter) +
                                  (name.empty() ? "" : ", " + printable(name)));
  rows.emplace_back("born", at(attribution.born, now) + ", its full handshake");
  rows.emplace_back("sealed", at(attribution.sealed, now));
}

void tell_inside(Rows& rows, const Known& known, const Finding& finding, sys_seconds now) {
  if (finding.attribution) {
    tell_attribution(rows, known, *finding.attribution, now);
  } else {
    rows.emplace_back("minter", "unknown: it carries no attribution");
  }
  rows.emplace_back("expires", at(finding.expires, now));
  if (finding.lineage_ends) {
    const auto left = *finding.lineage_ends - now;
    rows.emplace_back("lineage", "ends " + at(*finding.lineage_ends, now) +
                                     (left.count() > 0 ? ", in " + rough(left) : ""));
  }
}

void tell_finding(Rows& rows, const Known& known, const Finding& finding, sys_seconds now) {
  if (finding.epoch != nullptr) {
    rows.emplace_back("epoch", std::to_string(finding.epoch->number) + " " + finding.state + " (" +
                                   hex(finding.epoch->id) + "), opens until " +
                                   at(finding.epoch->opens_until, now));
    rows.emplace_back("context",
                      printable(finding.context) + " of the pool " + printable(known.ring->pool));
  }
  if (finding.opened) tell_inside(rows, known, finding, now);
  if (finding.objection) {
    rows.emplace_back("resumes", std::string("no, ") + to_text(*finding.objection) + ": " +
                                     reason_text(known, *finding.objection));
    return;
  }
  const bool bound = finding.attribution && !all_zero(finding.attribution->name_hash);
  rows.emplace_back("resumes", bound ? "yes, under the server name that it was made for"
                                     : "yes, where its context does not ask for a server name");
}

void print(const Rows& rows) {
  for (const auto& [label, text] : rows) {
    std::cout << label << std::string(10 - label.size(), ' ') << text << "\n";
  }
}

}  // namespace

int inspect_ticket(int argc, const char* const* argv) {
  CommandLine line("inspect FILE [--ring FILE] [--context NAME]... [--bundle FILE] [--json]",
                   "Tells which key sealed a ticket, what is in it, and whether it would resume\n"
                   "now and if not why. FILE is a session of openssl s_client -sess_out, or a\n"
                   "ticket in binary, base64 or hex. Without --ring it tells what anybody sees.\n"
                   "Prints no key and no session's secret.\n",
                   "ticketctl inspect s.pem --ring /run/ticket/web.ring --context www");
  line.add()("ring", "The agent's ring file", cxxopts::value<std::string>(), "FILE")(
      "context", "A context to look in; default: \"default\"",
      cxxopts::value<std::vector<std::string>>(),
      "NAME")("bundle", "keyd's bundle, for the members' names", cxxopts::value<std::string>(),
              "FILE")("json", "Print JSON");
  if (!line.parse(argc, argv, "FILE")) return exit_ok;

  const auto file = read_ticket(line.required("FILE"));
  Known known;
  if (line.has("ring")) known.ring = read_ring(line.text("ring"));
  if (line.has("bundle")) known.manifest = read_manifest(line.text("bundle"));
  if (known.ring && known.manifest && known.ring->pool != known.manifest->pool) {
    throw bad_input("--bundle is of the pool " + printable(known.manifest->pool) +
                    ", --ring of the pool " + printable(known.ring->pool));
  }
  known.contexts = {"default"};
  if (line.has("context")) known.contexts = line.given["context"].as<std::vector<std::string>>();
  for (const auto& context : known.contexts) {
    if (context.empty() || context.size() > 255) {
      throw bad_input("--context: a context's name has 1 to 255 bytes");
    }
  }

  const Moment now = SystemClock().now();
  std::optional<Finding> finding;
  if (known.ring) finding = inspect(file.ticket, *known.ring, known.contexts, now);
  if (line.flag("json")) {
    std::cout
        << as_json(file, known, finding).dump(2, ' ', true, ordered_json::error_handler_t::replace)
        << std::endl;
    return exit_ok;
  }
  Rows rows;
  if (file.session) tell_session(rows, *file.session, now.latest);
  tell_ticket(rows, file);
  if (finding) tell_finding(rows, known, *finding, now.latest);
  print(rows);
  return exit_ok;
}

}  // namespace ticketctl
