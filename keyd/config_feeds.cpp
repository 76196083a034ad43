#include "config_feeds.hpp"

#include <unistd.h>

#include <algorithm>

#include "config_agent_tokens.hpp"
#include "config_fields.hpp"
#include "ring/ring_file.hpp"
#include "ticket_key_file.hpp"

namespace keyd {

using namespace toml_file;

namespace {

constexpr std::size_t most_keys = 64;  // no ring has more epochs

std::string pool_of(const Section& section, const AgentConfig& config) {
  auto pool = name(section, "pool");
  if (std::ranges::find(config.pools, pool, &AgentPool::name) == config.pools.end()) {
    section.fail("pool", in_quotes(pool) + " is no pool of this file", "the name of a [[pool]]");
  }
  return pool;
}

// A context is any text of 1 to 255 bytes, as libticket takes it.
std::string context_of(const Section& section) {
  constexpr auto allowed = "the context of the servers that share these keys, 1 to 255 bytes";
  const auto& context = section.text("context", allowed);
  if (context.size() > 255) section.fail("context", "too long", allowed);
  return context;
}

std::filesystem::path key_path(const Section& section, std::string_view key, int line,
                               const std::string& text, FilesInUse& files) {
  auto path = resolve(section, text);
  if (!path.has_filename()) {
    section.fail_at(line, key, in_quotes(text) + " names no file", "the path of a file");
  }
  std::error_code error;
  if (std::filesystem::exists(path, error) && !std::filesystem::is_regular_file(path, error)) {
    section.fail_at(line, key, "not a file: " + path.string(),
                    "a path at which the agent may write a file of keys");
  }
  agent_replaces(files, section, key, line, path);
  return path;
}

// HAProxy takes a command line apart at blanks and semicolons.
std::string reference_of(const Section& section, const std::string& file) {
  constexpr auto allowed = "the path of the key file as haproxy.cfg has it, or \"#\" and a number";
  auto reference = section.text_or("reference", allowed, file);
  const bool plain = std::ranges::all_of(reference, [](char c) {
    return c > ' ' && c != 0x7f && c != ';' && c != '\\' && c != '"' && c != '\'';
  });
  if (!plain) {
    section.fail(section.has("reference") ? "reference" : "file",
                 in_quotes(reference) + " cannot be said to HAProxy",
                 "no blanks, quotes, semicolons or backslashes");
  }
  return reference;
}

HaproxyConfig haproxy(const Section& root, const Table& table, const AgentConfig& config,
                      FilesInUse& files) {
  const Section section(root.file(), table, "[[haproxy]]",
                        {"pool", "context", "file", "reference", "sockets"});
  HaproxyConfig haproxy;
  haproxy.pool = pool_of(section, config);
  haproxy.context = context_of(section);
  const auto& file = section.text("file", "the path after tls-ticket-keys in haproxy.cfg");
  haproxy.file = key_path(section, "file", section.line("file"), file, files);
  haproxy.reference = reference_of(section, haproxy.file.string());
  for (const auto& [line, text] :
       section.texts("sockets", "a list of stats sockets with level admin", true)) {
    haproxy.sockets.push_back(socket_path(section, "sockets", line, text));
    agent_reads(files, section, "sockets", line, haproxy.sockets.back());
  }
  return haproxy;
}

KeyLayout layout_of(const Section& section) {
  section.text("layout", "one of nginx haproxy 48");
  const auto text = one_of(section, "layout", {"nginx", "haproxy", "48"}, "");
  if (text == "48") return KeyLayout::short48;
  return text == "haproxy" ? KeyLayout::haproxy : KeyLayout::nginx;
}

std::vector<std::string> on_change(const Section& section) {
  constexpr auto allowed =
      "a program's full path and its arguments, [\"/bin/kill\", \"-HUP\", ...]";
  std::vector<std::string> argv;
  for (const auto& [line, text] : section.texts("on_change", allowed, false)) argv.push_back(text);
  if (section.has("on_change") && argv.empty()) section.fail("on_change", "empty", allowed);
  if (argv.empty()) return argv;
  if (argv[0].front() != '/') section.fail("on_change", argv[0] + " is no full path", allowed);
  if (!std::filesystem::is_regular_file(argv[0]) || ::access(argv[0].c_str(), X_OK) != 0) {
    section.fail("on_change", "no such program: " + argv[0], allowed);
  }
  return argv;
}

KeyFileConfig key_file(const Section& root, const Table& table, const AgentConfig& config,
                       FilesInUse& files) {
  const Section section(root.file(), table, "[[keyfile]]",
                        {"pool", "context", "layout", "paths", "on_change"});
  KeyFileConfig file;
  file.pool = pool_of(section, config);
  file.context = context_of(section);
  file.layout = layout_of(section);
  for (const auto& [line, text] :
       section.texts("paths", "a list of files: the key that seals, the next, older ones", true)) {
    file.paths.push_back(key_path(section, "paths", line, text, files));
  }
  if (file.layout == KeyLayout::haproxy && file.paths.size() != 1) {
    section.fail("paths", std::to_string(file.paths.size()) + " files",
                 "layout haproxy has one file of three keys");
  }
  if (file.paths.size() > most_keys) {
    section.fail("paths", std::to_string(file.paths.size()) + " files",
                 "at most " + std::to_string(most_keys));
  }
  file.on_change = on_change(section);
  if (section.has("on_change")) {
    agent_reads(files, section, "on_change", section.line("on_change"), file.on_change[0]);
  }
  return file;
}

}  // namespace

void read_feeds(const Section& root, AgentConfig& config, FilesInUse& files) {
  for (const auto* table : root.tables("haproxy")) {
    config.haproxy.push_back(haproxy(root, *table, config, files));
  }
  for (const auto* table : root.tables("keyfile")) {
    config.key_files.push_back(key_file(root, *table, config, files));
  }
}

std::vector<std::string> notes(const AgentConfig& config, ticket::Moment now) {
  auto notes = token_notes(config, now);
  const auto look = [&](const std::string& pool, std::size_t slots,
                        const std::vector<std::filesystem::path>& paths) {
    for (const auto& path : paths) {
      if (auto warning = disk_warning(path)) notes.push_back(*std::move(warning));
    }
    const auto of = std::ranges::find(config.pools, pool, &AgentPool::name);
    const auto ring = ticket::ring::RingReader(of->ring).read();
    if (!ring || ring->not_after <= now.latest) return;
    const auto cost = cost_of_feeding(ring->policy, slots);
    if (!cost.empty()) notes.push_back(pool + ", " + paths.front().string() + ": " + cost);
  };
  for (const auto& haproxy : config.haproxy) look(haproxy.pool, haproxy_slots, {haproxy.file});
  for (const auto& file : config.key_files) {
    const bool three = file.layout == KeyLayout::haproxy;
    look(file.pool, three ? haproxy_slots : file.paths.size(), file.paths);
  }
  return notes;
}

}  // namespace keyd
