#include "replay/redis_record.hpp"

#include <algorithm>
#include <charconv>

#include "replay/redis_reply.hpp"

namespace ticket::replay {

// A new bucket gets its end of life from the sentinel's, not from whoever claims: who
// believed in an earlier end would make the others' records go with it. `ttl` is negative
// where somebody made the sentinel last for ever: then the bucket does too.
const std::string_view claim_script =
    "if redis.call('GET',KEYS[1])~=ARGV[1] then return -1 end\n"
    "if redis.call('HSETNX',KEYS[2],ARGV[2],ARGV[3])==1 then\n"
    "  if redis.call('HLEN',KEYS[2])==1 then\n"
    "    local ttl=redis.call('PTTL',KEYS[1])\n"
    "    if ttl>=0 then redis.call('PEXPIRE',KEYS[2],ttl+3600000) end\n"
    "  end\n"
    "  return 0\n"
    "end\n"
    "if redis.call('HGET',KEYS[2],ARGV[2])==ARGV[3] then return 0 end\n"
    "return 1\n";

std::uint32_t buckets_of(const RedisEpoch& epoch) {
  return std::max<std::uint32_t>(1, epoch.capacity / bucket_entries);
}

std::string key_prefix(const RedisEpoch& epoch) {
  return "{tkt:" + epoch.pool + "}:" + hex(epoch.id) + ":";
}

std::string sentinel_key(const RedisEpoch& epoch) { return key_prefix(epoch) + "s"; }

// The first 8 bytes as a fraction of all buckets.
std::uint32_t bucket_of(const Location& location, std::uint32_t buckets) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < 8; ++i) {
    value = value << 8 | std::to_integer<std::uint64_t>(location[i]);
  }
  return static_cast<std::uint32_t>((static_cast<unsigned __int128>(value) * buckets) >> 64);
}

std::string_view field_of(const Location& location) {
  return as_text(BytesView(location).subspan(8, 8));
}

sys_seconds sentinel_expires(sys_seconds redeems_until) {
  return redeems_until + std::chrono::hours(1);
}

std::string sentinel_value(const RedisEpoch& epoch, const RedisServer& server) {
  return server.run_id + ":" + server.replication_id + ":" + std::to_string(buckets_of(epoch)) +
         ":" + hex(epoch.random);
}

// ---- what a Redis says of itself

namespace {

// "name:value\r\n"
void read_line(RedisServer& server, std::string_view line) {
  const auto colon = line.find(':');
  if (colon == line.npos) return;
  const auto name = line.substr(0, colon);
  const std::string value(line.substr(colon + 1));
  if (name == "run_id") server.run_id = value;
  if (name == "master_replid") server.replication_id = value;
  if (name == "role") server.role = value;
}

long long number(const std::string& text) {
  long long value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

bool is_id(const std::string& text) {
  return text.size() == 40 && text.find_first_not_of("0123456789abcdef") == text.npos;
}

std::string fsync_of(const RedisServer& server) {
  if (!server.append_only) return "appendonly is no";
  return "appendfsync is " + server.append_fsync;
}

}  // namespace

void read_info(RedisServer& server, std::string_view info) {
  while (!info.empty()) {
    const auto end = std::min(info.find('\n'), info.size());
    auto line = info.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    read_line(server, line);
    info.remove_prefix(std::min(end + 1, info.size()));
  }
}

void read_config(RedisServer& server, const std::vector<std::string>& pairs) {
  for (std::size_t i = 0; i + 1 < pairs.size(); i += 2) {
    const auto& name = pairs[i];
    const auto& value = pairs[i + 1];
    if (name == "maxmemory-policy") server.policy = value;
    if (name == "appendonly") server.append_only = value == "yes";
    if (name == "appendfsync") server.append_fsync = value;
    // "ziplist" before Redis 7
    if (name == "hash-max-listpack-entries" || name == "hash-max-ziplist-entries") {
      server.listpack_entries = number(value);
    }
    if (name == "hash-max-listpack-value" || name == "hash-max-ziplist-value") {
      server.listpack_value = number(value);
    }
  }
}

RedisRefusal refusal(const RedisServer& server, bool durable) {
  if (!is_id(server.run_id) || !is_id(server.replication_id) || server.role.empty()) {
    return {
        "its INFO has no run id, replication id or role: it is no Redis, or one behind a proxy"};
  }
  if (server.role != "master") {
    return {"it is a replica: give the address of the master", true};
  }
  if (server.policy.empty()) {
    return {"it does not tell its maxmemory-policy: allow CONFIG GET"};
  }
  if (server.policy != "noeviction") {
    return {"its maxmemory-policy is " + quoted(server.policy) +
                ": it would forget what was spent; set it to noeviction",
            true};
  }
  if (durable && (!server.append_only || server.append_fsync != "always")) {
    return {"its " + quoted(fsync_of(server)) +
            ": redis_durable wants appendonly yes and appendfsync always"};
  }
  return {};
}

std::vector<std::string> warnings(const RedisServer& server) {
  std::vector<std::string> all;
  if (!server.append_only || server.append_fsync != "always") {
    all.push_back("its " + quoted(fsync_of(server)) +
                  ": a crash loses what was spent last, up to a second of it with everysec. That "
                  "its run id is new afterwards, which ends the epoch, is then all that keeps it "
                  "from being accepted twice");
  }
  // full buckets vary: one of a million has more than 150
  const bool entries = server.listpack_entries != 0 && server.listpack_entries < 160;
  const bool value = server.listpack_value != 0 && server.listpack_value < 16;
  if (entries || value) {
    all.push_back(std::string("its hash-max-listpack-") +
                  (entries ? "entries is below 160" : "value is below 16") +
                  ": a token takes some 100 bytes there instead of 30");
  }
  return all;
}

}  // namespace ticket::replay
