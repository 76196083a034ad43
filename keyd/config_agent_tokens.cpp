#include "config_agent_tokens.hpp"

#include <algorithm>
#include <charconv>
#include <set>

#include "config_fields.hpp"
#include "ring/ring_file.hpp"
#include "wire/token_block.hpp"

namespace keyd {

using namespace toml_file;
using std::chrono::milliseconds;

namespace {

// Every pool and address that a section takes: no two may share one.
using Taken = std::set<std::string>;

const AgentPool& pool_of(const Section& section, const AgentConfig& config) {
  const auto pool = name(section, "pool");
  const auto found = std::ranges::find(config.pools, pool, &AgentPool::name);
  if (found == config.pools.end()) {
    section.fail("pool", in_quotes(pool) + " is no pool of this file", "the name of a [[pool]]");
  }
  return *found;
}

void take(const Section& section, std::string_view key, const std::string& what, Taken& taken) {
  if (!taken.insert(what).second) {
    section.fail(key, what + " stands twice", "each section has its own, and so has each key");
  }
}

void take(const Section& section, std::string_view key, const Endpoint& at, Taken& taken,
          FilesInUse& files) {
  if (at.path.empty()) return take(section, key, at.text(), taken);
  agent_writes(files, section, key, section.line(key), at.path);
}

// Beside the ring, unless the file names another place.
std::filesystem::path beside(const AgentPool& pool, const char* extension) {
  auto path = pool.ring;
  return path.replace_extension(extension);
}

std::filesystem::path tables(const Section& section, const AgentPool& pool) {
  const auto folder =
      section.has("tables")
          ? path(section, "tables", "a folder on tmpfs, like \"/run/ticket/web.spent\"")
          : beside(pool, ".spent");
  std::error_code error;
  if (std::filesystem::exists(folder, error) && !std::filesystem::is_directory(folder, error)) {
    section.fail("tables", "not a folder: " + folder.string(),
                 "a folder that holds this pool's tables and nothing else");
  }
  return folder;
}

std::filesystem::path claims(const Section& section, const AgentPool& pool) {
  const auto text =
      section.text_or("claims", "the path of a Unix socket", beside(pool, ".claims").string());
  auto socket = socket_path(section, "claims", section.line("claims"), text);
  std::error_code error;
  if (std::filesystem::exists(socket, error) && !std::filesystem::is_socket(socket, error)) {
    section.fail("claims", "not a socket: " + socket.string(),
                 "a path at which the agent may make its socket");
  }
  return socket;
}

// Tokens travel there in plain, and who connects may spend them.
std::optional<Endpoint> local(const Section& section, std::string_view key) {
  auto at = endpoint(section, key);
  if (!at || !at->path.empty()) return at;
  const auto& host = at->address.host;
  if (!host.starts_with("127.") && host != "::1" && host != "localhost") {
    section.fail(key, in_quotes(at->text()) + " is not of this host alone",
                 "an address of loopback, like \"127.0.0.1:9001\", or the path of a Unix socket");
  }
  return at;
}

milliseconds timeout(const Section& section) {
  constexpr auto rule = "milliseconds, \"1ms\" to \"10000ms\", or seconds, \"1s\" to \"10s\"";
  const auto text = section.text_or("redis_timeout", rule, "50ms");
  int count = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), count);
  const std::string_view unit(parsed.ptr, text.data() + text.size() - parsed.ptr);
  const auto length = unit == "s" ? milliseconds(1000) * std::int64_t{count} : milliseconds(count);
  const bool fits = length >= milliseconds(1) && length <= milliseconds(10'000);
  if (parsed.ec != std::errc() || (unit != "ms" && unit != "s") || !fits) {
    section.fail("redis_timeout", in_quotes(text) + " is none", rule);
  }
  return length;
}

AgentTokens tokens(const Section& root, const Table& table, const AgentConfig& config, Taken& taken,
                   FilesInUse& files) {
  const Section section(
      root.file(), table, "[[tokens]]",
      {"pool", "tables", "claims", "redis", "redis_timeout", "redis_durable", "spop", "http"});
  const auto& pool = pool_of(section, config);
  take(section, "pool", "pool " + pool.name, taken);
  AgentTokens tokens;
  tokens.pool = pool.name;
  tokens.group = pool.group;
  tokens.tables = tables(section, pool);
  agent_writes(files, section, "tables", section.line("tables"), tokens.tables);
  tokens.claims = claims(section, pool);
  agent_writes(files, section, "claims", section.line("claims"), tokens.claims);
  tokens.redis = endpoint(section, "redis");
  for (const auto* needs : {"redis_timeout", "redis_durable"}) {
    if (!tokens.redis && section.has(needs)) section.fail(needs, "stands without redis", "");
  }
  tokens.redis_timeout = timeout(section);
  tokens.redis_durable = section.truth("redis_durable", false);
  tokens.spop = local(section, "spop");
  tokens.http = local(section, "http");
  if (tokens.redis && !tokens.redis->path.empty()) {
    agent_reads(files, section, "redis", section.line("redis"), tokens.redis->path);
  }
  if (tokens.spop) take(section, "spop", *tokens.spop, taken, files);
  if (tokens.http) take(section, "http", *tokens.http, taken, files);
  return tokens;
}

// What the pool's block says about this host, and the section does not fit.
std::string mismatch(const AgentTokens& tokens, const ticket::ring::Ring& ring) {
  const auto block = ticket::wire::parse_token_block(ring.tokens.expose());
  if (!block)
    return ring.tokens.size() == 0 ? "the pool has no tokens: keyd.toml names no issuer" : "";
  const bool redis = block->record == ticket::wire::TokenRecord::redis;
  if (redis && !tokens.redis) {
    return "the pool's record is Redis and no redis is named here: every token is refused";
  }
  if (redis) return "";
  if (block->redeemer != ring.member) {
    return "its tokens are redeemed by member " + std::to_string(block->redeemer) +
           " alone, this host is member " + std::to_string(ring.member) +
           ": every token is refused here";
  }
  return tokens.redis ? "the pool's record is this host's table: redis is not used" : "";
}

}  // namespace

void read_tokens(const Section& root, AgentConfig& config, FilesInUse& files) {
  Taken taken;
  if (config.metrics) taken.insert(Endpoint{{}, *config.metrics}.text());
  for (const auto* table : root.tables("tokens")) {
    config.tokens.push_back(tokens(root, *table, config, taken, files));
  }
}

std::vector<std::string> token_notes(const AgentConfig& config, ticket::Moment now) {
  std::vector<std::string> notes;
  for (const auto& tokens : config.tokens) {
    const auto note = [&](const std::string& text) {
      notes.push_back("tokens of " + tokens.pool + ": " + text);
    };
    if (tokens.redis && !tokens.redis_durable) {
      note(
          "redis_durable is off: a Redis that crashes and whose AOF is not `always` may have "
          "forgotten what was spent last; the agents then refuse that epoch's tokens until keyd "
          "begins another");
    }
    const auto of = std::ranges::find(config.pools, tokens.pool, &AgentPool::name);
    const auto ring = ticket::ring::RingReader(of->ring).read();
    if (!ring || ring->not_after <= now.latest) continue;
    const auto text = mismatch(tokens, *ring);
    if (!text.empty()) note(text);
  }
  return notes;
}

}  // namespace keyd
