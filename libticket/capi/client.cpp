// <ticket/client.h>: the door of libticket-client.
#include <fcntl.h>
#include <sys/stat.h>
#include <ticket/client.h>
#include <unistd.h>

#include <cstring>
#include <ctime>
#include <limits>
#include <string>
#include <system_error>

#include "capi/door.hpp"
#include "client/attachment.hpp"
#include "client/curl.hpp"

struct tkt_client {
  std::shared_ptr<ticket::client::Client> client;
};

namespace ticket::capi {

namespace {

using client::Client;
using client::ClientOptions;
using client::Count;
using client::Server;

constexpr std::size_t longest_partition = 255;

tkt_log_level level_of(client::LogLevel level) { return static_cast<tkt_log_level>(level); }

std::function<sys_seconds()> clock_of(const tkt_client_options& options) {
  const auto callback = options.clock;
  void* const user = options.clock_user;
  if (callback == nullptr) return [] { return sys_seconds(seconds(std::time(nullptr))); };
  return [callback, user] {
    std::int64_t steady = 0, wall = 0;
    callback(user, &steady, &wall);
    return sys_seconds(seconds(std::max(steady, wall)));
  };
}

ClientOptions options_of(const tkt_client_options& given) {
  ClientOptions options;
  if (given.sessions != 0) options.limits.sessions = given.sessions;
  if (given.sessions_a_name != 0) options.limits.per_name = given.sessions_a_name;
  options.limits.per_pool = std::max(options.limits.per_pool, options.limits.per_name);
  if (given.lineage != 0) options.lineage = seconds(given.lineage);
  options.any_name = given.any_name != 0;
  if (given.doubt_after != 0) options.doubt_after = unsigned(std::max(given.doubt_after, 0));
  options.dns = given.dns != 0;
  if (given.dns_server != nullptr) options.dns_server = given.dns_server;
  options.dns_wait = std::chrono::milliseconds(given.dns_wait_ms);
  if (given.cache_path != nullptr) options.cache_path = given.cache_path;
  if (given.log != nullptr) {
    options.log = [log = given.log, user = given.log_user](client::LogLevel level,
                                                           const std::string& text) {
      log(user, level_of(level), text.c_str());
    };
  }
  options.clock = clock_of(given);
  return options;
}

void tell(const tkt_client_options& options, const char* text) {
  if (options.log != nullptr) options.log(options.log_user, TKT_LOG_ERROR, text);
}

// Of a function that has a client.
auto to_log(const tkt_client* client) {
  return [client](const char* what) { client->client->log(client::LogLevel::error, what); };
}

void copy_text(std::string_view from, char* to, std::size_t size) {
  if (to == nullptr || size == 0) return;
  const auto length = std::min(from.size(), size - 1);
  std::memcpy(to, from.data(), length);
  to[length] = '\0';
}

tkt_status refuse_manifest(const tkt_client* client, const std::string& what, char* why,
                           std::size_t why_size, tkt_status status) {
  client->client->log(client::LogLevel::error, "client manifest: " + what);
  copy_text(what, why, why_size);
  return status;
}

// Throws std::system_error.
std::string read_manifest(const char* path) {
  struct File {
    explicit File(const char* name) : number(::open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {}
    ~File() {
      if (number >= 0) ::close(number);
    }
    const int number;
  } file(path);
  const auto fail = [&](int error) {
    throw std::system_error(error, std::generic_category(), path);
  };
  if (file.number < 0) fail(errno);
  std::string text;
  char buffer[65536];
  for (;;) {
    const auto got = ::read(file.number, buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail(errno);
    if (got == 0) return text;
    text.append(buffer, static_cast<std::size_t>(got));
    if (text.size() > client::max_manifest_size) return text;  // the parser says so
  }
}

tkt_status use_manifest(const tkt_client* client, std::string_view text, const std::string& prefix,
                        char* why, std::size_t why_size) {
  const auto used = client->client->use_manifest(text);
  if (used) {
    copy_text("", why, why_size);
    return TKT_OK;
  }
  const bool over = used.error().starts_with("\"expires\": over");
  return refuse_manifest(client, prefix + used.error(), why, why_size,
                         over ? TKT_EXPIRED : TKT_MALFORMED);
}

tkt_client_counters counters_of(const Client& client) {
  tkt_client_counters counters{};
  counters.prepared = client.count(Count::prepared);
  counters.offered = client.count(Count::offered);
  counters.resumed = client.count(Count::resumed);
  counters.offered_other = client.count(Count::offered_other);
  counters.resumed_other = client.count(Count::resumed_other);
  counters.refused = client.count(Count::refused);
  counters.failed = client.count(Count::failed);
  counters.stored = client.count(Count::stored);
  counters.dropped = client.dropped();
  counters.doubted = client.count(Count::doubted);
  const auto dns = client.dns_counts();
  counters.dns_queries = dns.queries;
  counters.dns_answers = dns.answers;
  counters.dns_failures = dns.failures;
  counters.dns_ignored = dns.ignored;
  counters.sessions = client.sessions();
  counters.manifest_size = client.manifest_size();
  return counters;
}

tkt_client_info info_of(const client::ConnectionReport& report) {
  tkt_client_info info{};
  info.offered = report.offered ? 1 : 0;
  info.resumed = report.offered && report.resumed ? 1 : 0;
  info.ended = report.ended ? 1 : 0;
  if (report.ticket_of) copy_text(report.ticket_of->text(), info.ticket_of, sizeof info.ticket_of);
  copy_text(report.pool.text(), info.pool, sizeof info.pool);
  copy_text(client::to_text(report.offered ? client::Verdict::yes : report.why), info.why,
            sizeof info.why);
  return info;
}

const auto silent = [](const char*) {};

}  // namespace

}  // namespace ticket::capi

using namespace ticket::capi;

tkt_status tkt_client_open(tkt_client** out, const tkt_client_options* given) {
  if (out == nullptr) return TKT_BAD_ARGUMENT;
  *out = nullptr;
  tkt_client_options options{};
  options.size = sizeof options;
  if (given != nullptr && !take_options(given, &options)) return TKT_BAD_ARGUMENT;
  if (options.doubt_after < -1 || options.dns_wait_ms > 60'000 || options.lineage > 604'800) {
    tell(options,
         "doubt_after, dns_wait_ms or lineage is out of range (at least -1; at most 60000; at most "
         "604800)");
    return TKT_BAD_ARGUMENT;
  }
  const auto report = [&](const char* what) { tell(options, what); };
  return guarded(report, [&] {
    auto opened = std::make_unique<tkt_client>();
    try {
      opened->client = std::make_shared<Client>(options_of(options));
    } catch (const std::runtime_error& wrong) {  // the resolver's
      report(wrong.what());
      return TKT_BAD_ARGUMENT;
    }
    *out = opened.release();
    return TKT_OK;
  });
}

void tkt_client_close(tkt_client* client) {
  if (client == nullptr) return;
  if (client->client->inherited()) {
    client->client->disown();
    return;  // not deleted: that would wait for threads and locks of the parent's
  }
  guarded(to_log(client), [&] {
    client->client->close();
    return TKT_OK;
  });
  delete client;
}

tkt_status tkt_client_save(tkt_client* client) {
  if (client == nullptr) return TKT_BAD_ARGUMENT;
  return guarded(to_log(client), [&] {
    client->client->save();
    return TKT_OK;
  });
}

tkt_status tkt_client_manifest_text(tkt_client* client, const char* text, size_t size, char* why,
                                    size_t why_size) {
  if (client == nullptr || (text == nullptr && size != 0)) return TKT_BAD_ARGUMENT;
  return guarded(to_log(client), [&] {
    return use_manifest(client, {text == nullptr ? "" : text, size}, "", why, why_size);
  });
}

tkt_status tkt_client_manifest_file(tkt_client* client, const char* path, char* why,
                                    size_t why_size) {
  if (client == nullptr || path == nullptr) return TKT_BAD_ARGUMENT;
  return guarded(to_log(client), [&] {
    std::string text;
    try {
      text = read_manifest(path);
    } catch (const std::system_error& unreadable) {
      return refuse_manifest(client, unreadable.what(), why, why_size, TKT_BAD_ARGUMENT);
    }
    return use_manifest(client, text, std::string(path) + ": ", why, why_size);
  });
}

tkt_status tkt_client_attach(tkt_client* client, SSL_CTX* ctx, const char* partition) {
  if (client == nullptr || ctx == nullptr) return TKT_BAD_ARGUMENT;
  const std::string_view name = partition == nullptr ? "" : partition;
  if (name.size() > longest_partition) return TKT_BAD_ARGUMENT;
  return guarded(to_log(client), [&] {
    return ticket::client::attach(client->client, ctx, std::string(name)) ? TKT_OK
                                                                          : TKT_OUT_OF_MEMORY;
  });
}

tkt_status tkt_client_prepare(tkt_client* client, SSL* ssl, const char* host, unsigned port) {
  if (client == nullptr || ssl == nullptr || host == nullptr) return TKT_BAD_ARGUMENT;
  return guarded(to_log(client), [&] {
    const auto server = Server::from(host, port);
    if (!server) return TKT_BAD_ARGUMENT;
    return ticket::client::prepare(client->client.get(), ssl, *server) ? TKT_OK : TKT_BAD_ARGUMENT;
  });
}

tkt_status tkt_client_set_alpn(SSL* ssl, const unsigned char* protocols, unsigned size) {
  if (ssl == nullptr || (protocols == nullptr && size != 0)) return TKT_BAD_ARGUMENT;
  return guarded(silent, [&] {
    const auto* text = reinterpret_cast<const char*>(protocols);
    return ticket::client::note_alpn(ssl, {text, size}) ? TKT_OK : TKT_BAD_ARGUMENT;
  });
}

tkt_status tkt_client_info_read(const SSL* ssl, tkt_client_info* info) {
  if (ssl == nullptr || !can_take(info)) return TKT_BAD_ARGUMENT;
  return guarded(silent, [&] {
    const auto report = ticket::client::report(ssl);
    return report ? give_result(info_of(*report), info) : TKT_BAD_ARGUMENT;
  });
}

tkt_status tkt_client_counters_read(const tkt_client* client, tkt_client_counters* counters) {
  if (client == nullptr || !can_take(counters)) return TKT_BAD_ARGUMENT;
  return guarded(silent, [&] { return give_result(counters_of(*client->client), counters); });
}

tkt_status tkt_client_pools_read(const tkt_client* client,
                                 void (*each)(void* user, const tkt_client_pool_counters*),
                                 void* user) {
  if (client == nullptr || each == nullptr) return TKT_BAD_ARGUMENT;
  return guarded(silent, [&] {
    const auto pools = client->client->pool_counts();
    for (const auto& [pool, counts] : pools) {
      const tkt_client_pool_counters row{sizeof row,     pool.c_str(),   counts.offered,
                                         counts.resumed, counts.refused, counts.failed};
      each(user, &row);
    }
    return TKT_OK;
  });
}

tkt_status tkt_client_curl(tkt_client* client, void* curl) {
  if (client == nullptr || curl == nullptr) return TKT_BAD_ARGUMENT;
  return ticket::client::set_curl_callback(curl, tkt_client_curl_ssl_ctx, client)
             ? TKT_OK
             : TKT_BAD_ARGUMENT;
}

unsigned tkt_client_curl_ssl_ctx(void* curl, void* ssl_ctx, void* user) {
  auto* client = static_cast<tkt_client*>(user);
  if (client == nullptr || ssl_ctx == nullptr) return 0;
  guarded(to_log(client), [&] {
    const auto server = ticket::client::server_of_transfer(curl);
    if (!server) return TKT_BAD_ARGUMENT;
    ticket::client::attach(client->client, static_cast<SSL_CTX*>(ssl_ctx), "", server);
    return TKT_OK;
  });
  return 0;
}
