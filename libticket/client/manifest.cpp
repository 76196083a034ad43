#include "client/manifest.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <stdexcept>
#include <unordered_map>
#include <unordered_set>

namespace ticket::client {

namespace {

using nlohmann::json;

// What is wrong with a manifest. Stays in this file.
struct Wrong : std::runtime_error {
  using std::runtime_error::runtime_error;
};

constexpr int max_depth = 8;
constexpr std::uint64_t last_second = (std::uint64_t{1} << 40) - 1;  // as wire::Cursor::time()

// Text from outside in a message: short, and nothing that moves a terminal's cursor.
std::string shown(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text.substr(0, 60)) quoted += c < ' ' || c > '~' || c == '"' ? '?' : c;
  return quoted + (text.size() > 60 ? "...\"" : "\"");
}

std::string place(std::string_view text, std::size_t byte) {
  const auto before = text.substr(0, std::min(byte > 0 ? byte - 1 : 0, text.size()));
  const auto lines = std::ranges::count(before, '\n');
  const auto start = before.rfind('\n');
  const auto column = before.size() - (start == std::string_view::npos ? 0 : start + 1);
  return "line " + std::to_string(lines + 1) + ", column " + std::to_string(column + 1);
}

// Refuses, while it is parsed, what nests too deep or says a field twice.
class Watch {
 public:
  bool operator()(int depth, json::parse_event_t event, const json& parsed) {
    using Event = json::parse_event_t;
    if (depth > max_depth) throw Wrong("nested deeper than " + std::to_string(max_depth));
    if (event == Event::object_start) fields_.emplace_back();
    if (event == Event::object_end && !fields_.empty()) fields_.pop_back();
    if (event == Event::key && !fields_.empty()) {
      const auto& name = parsed.get_ref<const std::string&>();
      if (!fields_.back().insert(name).second) {
        throw Wrong("the field " + shown(name) + " stands twice in one object");
      }
    }
    return true;
  }

 private:
  std::vector<std::set<std::string>> fields_;
};

json parse_json(std::string_view text) {
  try {
    // by reference: the parser copies its callback
    Watch watch;
    return json::parse(text, [&](int depth, json::parse_event_t event, json& parsed) {
      return watch(depth, event, parsed);
    });
  } catch (const json::parse_error& error) {
    throw Wrong(place(text, error.byte) + ": not JSON");
  } catch (const json::out_of_range&) {  // what the parser makes of 1e999, without a place
    throw Wrong("a number that is too large");
  }
}

const json& field(const json& object, const char* name, const std::string& where) {
  const auto found = object.find(name);
  if (found == object.end()) throw Wrong(where + "\"" + name + "\" is missing");
  return *found;
}

std::string read_id(const json& pool, std::size_t number) {
  const auto where = "pools[" + std::to_string(number) + "]: ";
  if (!pool.is_object()) throw Wrong(where + "not an object");
  const auto& id = field(pool, "id", where);
  if (!id.is_string() || !is_pool_id(id.get_ref<const std::string&>())) {
    throw Wrong(where + "\"id\" must be 1-255 visible ASCII characters");
  }
  return id.get<std::string>();
}

// Every string of an optional array, each taken in by `take(text, where)`.
template <class Take>
void each(const json& pool, const char* name, const std::string& where, Take take) {
  const auto found = pool.find(name);
  if (found == pool.end()) return;
  if (!found->is_array()) throw Wrong(where + "\"" + name + "\" must be an array");
  for (std::size_t i = 0; i < found->size(); ++i) {
    const auto here = where + name + "[" + std::to_string(i) + "]: ";
    const auto& value = (*found)[i];
    if (!value.is_string()) throw Wrong(here + "not a string");
    take(value.get_ref<const std::string&>(), here);
  }
}

PoolEntry read_pool(const json& pool, std::size_t number) {
  PoolEntry entry;
  entry.id = read_id(pool, number);
  const auto where = "pool " + shown(entry.id) + ": ";
  each(pool, "names", where, [&](const std::string& text, const std::string& here) {
    auto name = normal_host_name(text);
    if (!name) throw Wrong(here + shown(text) + " is no host name");
    entry.names.push_back(std::move(*name));
  });
  each(pool, "servers", where, [&](const std::string& text, const std::string& here) {
    auto server = Server::parse(text);
    if (!server) throw Wrong(here + shown(text) + " is no HOST:PORT");
    entry.servers.push_back(std::move(*server));
  });
  if (entry.names.empty() && entry.servers.empty()) {
    throw Wrong(where + "needs \"names\" or \"servers\"");
  }
  return entry;
}

// A name or server is one pool's, once; also "a" in names against "a:443" in servers.
void check_contradictions(const ClientManifest& manifest) {
  std::unordered_map<std::string_view, std::string_view> names, servers;
  const auto claim = [](auto& claimed, std::string_view what, const std::string& pool) {
    const auto [at, fresh] = claimed.emplace(what, pool);
    if (fresh) return;
    const auto where = "pool " + shown(pool) + ": " + shown(what);
    throw Wrong(at->second == pool ? where + " is listed twice"
                                   : where + " is in pool " + shown(at->second) + " too");
  };
  for (const auto& pool : manifest.pools) {
    for (const auto& name : pool.names) claim(names, name, pool.id);
    for (const auto& server : pool.servers) claim(servers, server.text(), pool.id);
  }
  for (const auto& pool : manifest.pools) {
    for (const auto& server : pool.servers) {
      const auto named = names.find(server.host());
      if (named != names.end() && named->second != pool.id) claim(names, server.host(), pool.id);
    }
  }
}

ClientManifest read_manifest(const json& object) {
  if (!object.is_object()) throw Wrong("not an object");
  const auto& version = field(object, "version", "");
  if (version != json(1)) throw Wrong("\"version\" must be 1");
  const auto& expires = field(object, "expires", "");
  if (!expires.is_number_unsigned() || expires.get<std::uint64_t>() > last_second) {
    throw Wrong("\"expires\" must be a time in Unix seconds");
  }
  const auto& pools = field(object, "pools", "");
  if (!pools.is_array()) throw Wrong("\"pools\" must be an array");
  if (pools.size() > max_manifest_pools) {
    throw Wrong("more than " + std::to_string(max_manifest_pools) + " pools");
  }
  ClientManifest manifest;
  manifest.expires = sys_seconds(seconds(expires.get<std::uint64_t>()));
  std::unordered_set<std::string> ids;
  std::size_t entries = 0;
  for (std::size_t i = 0; i < pools.size(); ++i) {
    manifest.pools.push_back(read_pool(pools[i], i));
    const auto& pool = manifest.pools.back();
    if (!ids.insert(pool.id).second) throw Wrong("pool " + shown(pool.id) + " stands twice");
    entries += pool.names.size() + pool.servers.size();
    if (entries > max_manifest_entries) {
      throw Wrong("more than " + std::to_string(max_manifest_entries) + " names and servers");
    }
  }
  check_contradictions(manifest);
  return manifest;
}

}  // namespace

bool is_pool_id(std::string_view id) {
  return !id.empty() && id.size() <= max_pool_id_size &&
         std::ranges::all_of(id, [](char c) { return c > ' ' && c <= '~'; });
}

tl::expected<ClientManifest, std::string> parse_client_manifest(std::string_view text) {
  try {
    if (text.size() > max_manifest_size) throw Wrong("larger than 16 MiB");
    return read_manifest(parse_json(text));
  } catch (const Wrong& wrong) {
    return tl::unexpected(std::string(wrong.what()));
  }
}

std::string write_client_manifest(const ClientManifest& manifest) {
  json pools = json::array();
  for (const auto& pool : manifest.pools) {
    json object = {{"id", pool.id}};
    if (!pool.names.empty()) object["names"] = pool.names;
    if (!pool.servers.empty()) {
      object["servers"] = json::array();
      for (const auto& server : pool.servers) object["servers"].push_back(server.text());
    }
    pools.push_back(std::move(object));
  }
  return json{{"version", 1},
              {"expires", manifest.expires.time_since_epoch().count()},
              {"pools", std::move(pools)}}
      .dump();
}

}  // namespace ticket::client
