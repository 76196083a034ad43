// A ring's attachment to an SSL_CTX: the options of tkt_openssl_attach, made
// ready for the handshake path. Immutable once built but for a cache, so
// connections on any thread share it.
#pragma once

#include <ticket/openssl.h>

#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "note.hpp"

namespace ticket::openssl {

struct Context {
  std::string name;
  int number = -1;  // in the ring
  // The name has no row of its own: nobody told us that it belongs here.
  bool fallback = false;
};

// What will serve a connection, as far as it can be told before it is switched.
struct Host {
  const Context* context = nullptr;  // nullptr: no tickets
  ClientCas cas;
  const SSL_CTX* chosen = nullptr;  // whose those are, where `choose` told it
};

// Contexts that a `choose` callback named, found without a lock. Only grows,
// and not beyond what a ring takes.
class ChosenContexts {
 public:
  ChosenContexts() = default;
  ~ChosenContexts();
  ChosenContexts(const ChosenContexts&) = delete;
  // nullptr when the ring takes no more.
  const Context* find(tkt_ring* ring, const char* name);

 private:
  struct Node {
    Context context;
    Node* next;
  };
  static const Context* add(std::atomic<Node*>& head, const char* name, int number) noexcept;

  std::array<std::atomic<Node*>, 256> heads_{};
};

class Attachment {
 public:
  // Throws std::bad_alloc, and std::invalid_argument for a name that is none or
  // for more contexts than a ring takes.
  Attachment(tkt_ring* ring, const tkt_openssl_options& options);

  // The host of a connection under a server name.
  Host host(SSL* ssl, const ServerName& name) const;
  // Of a connection that is where it will be served; nullptr: no tickets.
  const Context* context(SSL* ssl, const ServerName& name) const { return host(ssl, name).context; }

  tkt_ring* ring() const { return ring_; }
  tkt_openssl_binding binding() const { return options_.binding; }
  // Bytes that a client may send early; 0: none.
  std::uint32_t early_data() const {
    if (options_.early_data == TKT_EARLY_DATA_OFF) return 0;
    return options_.early_data_size == 0 ? SSL3_RT_MAX_PLAIN_LENGTH : options_.early_data_size;
  }
  bool require_attribution() const { return options_.require_attribution != 0; }
  // Names without a row get the same context of the same ring from both.
  bool same_fallback(const Attachment& other) const;
  // Of a ticket, in seconds, under a pool's policy.
  std::int64_t lifetime(const tkt_core_epoch& epoch) const;

  // True once a second: a log is not for flooding.
  bool may_explain(tkt_core_time now) const;

  // What an attachment replaced: connections may still be using it.
  std::unique_ptr<Attachment> replaced;

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const {
      return std::hash<std::string_view>{}(text);
    }
  };
  struct Row {
    ClientCas cas(SSL* ssl) const;

    Context context;
    int verify = 0;                                 // the mode of the host's SSL_CTX
    std::shared_ptr<const ClientCasRecord> record;  // its record; nullptr: as the connection's own
  };
  using Names = std::unordered_map<std::string, Row, Hash, std::equal_to<>>;

  Context make_context(const char* name) const;
  void add_name(const tkt_openssl_name& row);
  const Row* find_row(const ServerName& name) const;

  tkt_ring* ring_;
  tkt_openssl_options options_;  // its pointers, choose_user apart, are not used after making
  Context fallback_;
  Names names_;
  Names wildcards_;  // "*.example.org" as ".example.org"
  mutable ChosenContexts chosen_;
  mutable std::atomic<std::int64_t> explained_{0};
};

// The attachment of an SSL_CTX, nullptr when it has none.
const Attachment* attachment_of(const SSL_CTX* context);

// Hands an attachment to an SSL_CTX, which frees it. False when OpenSSL fails. Throws
// std::bad_alloc.
bool give_attachment(SSL_CTX* context, std::unique_ptr<Attachment> attachment);

// Whom an SSL_CTX asks for certificates, and whom a connection does as it is set up now.
ClientCas client_cas(const SSL_CTX* context);
ClientCas client_cas(const SSL* ssl);
// The same, where what its store believes is known.
ClientCas client_cas(const SSL* ssl, const ClientCas& known);

// The attachment that holds for a connection now: that of the SSL_CTX that it
// has been switched to, else that of the one it began with.
const Attachment* settled(const SSL* ssl, const Note& note);

// True while a connection may yet be switched, by the servername callback, to an
// SSL_CTX of another context than the one it has now. See tkt_openssl_attach.
bool may_yet_switch(const SSL* ssl, const Note& note, const Context& context);

// True while a connection may yet be switched to a host that shares the context but
// demands a client certificate, and no name keeps the two apart.
bool may_yet_demand(const SSL* ssl, const Note& note, const Attachment& attachment);

}  // namespace ticket::openssl
