// The virtual hosts of a server: an SSL_CTX each, picked by the name that the
// client sends.
#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace example {

struct FreeContext {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};

struct Host {
  std::string name;
  std::string context;  // keeps its tickets apart from other hosts'
  std::unique_ptr<SSL_CTX, FreeContext> tls;
};

// Where a connection is handed to its host's SSL_CTX: before OpenSSL looks at
// the client's ticket, or after.
enum class Select { client_hello, servername };

class Hosts {
 public:
  // Each "NAME=CERT,KEY,CONTEXT[,CLIENTCA]"; the first is for unknown names.
  // Throws std::runtime_error naming the host and what is wrong.
  explicit Hosts(const std::vector<std::string>& descriptions);

  std::vector<Host>& all() { return hosts_; }
  SSL_CTX* port() { return hosts_.front().tls.get(); }  // what a connection begins with
  void select_by(Select how);

 private:
  static int on_servername(SSL* ssl, int* alert, void* hosts);
  static int on_client_hello(SSL* ssl, int* alert, void* hosts);
  void hand_over(SSL* ssl, std::string_view name) const;

  std::vector<Host> hosts_;
};

}  // namespace example
