// C++ over <ticket/client.h>: an owned handle, and failures as exceptions. Header-only.
//
//     ticket::Client client({.manifest = "pools.json", .cache = "sessions"});
//     client.attach(ctx);
//     ...
//     client.prepare(ssl, "a.example", 443);
#pragma once

#include <ticket/client.h>

#include <map>
#include <ticket/ticket.hpp>

namespace ticket {

struct ClientOptions {
  std::string manifest = {};  // a file; empty: none
  std::string cache = {};     // the file that sessions outlive the process in; empty: none
  std::uint32_t sessions = 0, sessions_a_name = 0;  // at most; 0: the library's defaults
  std::uint32_t lineage = 0;                        // seconds; 0: the library's default
  bool any_name = false;                            // TLS 1.2 across names, for closed fleets
  int doubt_after = 0;                              // 0: 3; -1: never
  bool dns = false;
  std::string dns_server = {};  // ADDRESS@PORT; empty: the system's
  std::uint32_t dns_wait_ms = 0;
  Log log = {};  // empty: silent; called from any thread; must not throw
};

// A client that knows pools. SSL_CTXs that it is attached to may outlive it.
class Client {
 public:
  // Throws Failure, also for a manifest that is no good; std::move it where it is to go.
  explicit Client(ClientOptions options) : log_(std::make_unique<Log>(std::move(options.log))) {
    tkt_client_options c{};
    c.size = sizeof c;
    c.cache_path = options.cache.empty() ? nullptr : options.cache.c_str();
    c.sessions = options.sessions;
    c.sessions_a_name = options.sessions_a_name;
    c.lineage = options.lineage;
    c.any_name = options.any_name ? 1 : 0;
    c.doubt_after = options.doubt_after;
    c.dns = options.dns ? 1 : 0;
    c.dns_server = options.dns_server.empty() ? nullptr : options.dns_server.c_str();
    c.dns_wait_ms = options.dns_wait_ms;
    c.log = *log_ ? &say : nullptr;
    c.log_user = log_.get();
    tkt_client* handle = nullptr;
    check(tkt_client_open(&handle, &c), "cannot open the client");
    handle_.reset(handle);
    if (!options.manifest.empty()) manifest_file(options.manifest);
  }

  Client(Client&&) noexcept = default;
  Client& operator=(Client&& other) noexcept {
    handle_ = std::move(other.handle_);  // first: one that ends may have something to say
    log_ = std::move(other.log_);
    return *this;
  }

  tkt_client* handle() const noexcept { return handle_.get(); }

  // Throws Failure with what is wrong; the manifest that was there stays.
  void manifest_file(const std::string& path) {
    char why[512] = "";
    taken(tkt_client_manifest_file(handle(), path.c_str(), why, sizeof why), why);
  }
  void manifest_text(std::string_view text) {
    char why[512] = "";
    taken(tkt_client_manifest_text(handle(), text.data(), text.size(), why, sizeof why), why);
  }

  void attach(SSL_CTX* ctx, const std::string& partition = {}) {
    check(tkt_client_attach(handle(), ctx, partition.c_str()), "cannot attach the client");
  }
  void prepare(SSL* ssl, const std::string& host, unsigned port) {
    check(tkt_client_prepare(handle(), ssl, host.c_str(), port), host.c_str());
  }
  void save() { check(tkt_client_save(handle()), "cannot write the sessions"); }

  tkt_client_counters counters() const {
    tkt_client_counters counters{};
    counters.size = sizeof counters;
    check(tkt_client_counters_read(handle(), &counters), "cannot read the counters");
    return counters;
  }
  // By pool, "manifest:ID" or "dns:ID"; their `pool` is not set.
  std::map<std::string, tkt_client_pool_counters> pools() const {
    std::map<std::string, tkt_client_pool_counters> all;
    check(tkt_client_pools_read(
              handle(),
              [](void* user, const tkt_client_pool_counters* row) {
                auto& to = (*static_cast<decltype(all)*>(user))[row->pool];
                to = *row;
                to.pool = nullptr;
              },
              &all),
          "cannot read the counters");
    return all;
  }

  // Of a connection that was prepared.
  static tkt_client_info info(const SSL* ssl) {
    tkt_client_info info{};
    info.size = sizeof info;
    check(tkt_client_info_read(ssl, &info), "not a connection of a client's");
    return info;
  }

 private:
  static void taken(tkt_status status, const char* why) {
    if (status != TKT_OK) throw Failure(std::string("manifest: ") + why, status);
  }
  struct Close {
    void operator()(tkt_client* client) const noexcept { tkt_client_close(client); }
  };
  static void say(void* user, tkt_log_level level, const char* text) {
    (*static_cast<const Log*>(user))(level, text);
  }

  std::unique_ptr<Log> log_;  // first: outlives the handle that calls it
  std::unique_ptr<tkt_client, Close> handle_;
};

}  // namespace ticket
