// HTTP/1.1 over TLS, as much as an example needs: a thread a connection, GET,
// keep-alive.
#pragma once

#include <openssl/ssl.h>

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <set>
#include <string>
#include <thread>

namespace example {

struct Request {
  std::string method, path;
  std::string authorization;  // the header's value; empty when it is not there
  bool keep_alive = false;
};

struct Response {
  int status;
  std::string type;
  std::string body;
  std::string authenticate{};  // a WWW-Authenticate header's value; empty = none
};

using Handler = std::function<Response(const Request& request, const SSL* ssl)>;

class HttpServer {
 public:
  // Listens at once. Throws std::system_error or std::invalid_argument.
  HttpServer(SSL_CTX* tls, const std::string& listen, Handler handler);
  // Closes every connection and waits for their threads.
  ~HttpServer();

  std::string address() const { return host_ + ':' + std::to_string(port_); }
  void write_port(const std::string& path) const;  // whole: by a rename

 private:
  void accept_all();
  void begin(int socket);
  void end(int socket);
  void serve(int socket);
  bool serve_early(SSL* ssl, std::string& buffer, bool& goes_on);
  bool serve_one(SSL* ssl, std::string& buffer);
  bool answer_one(SSL* ssl, std::string& buffer);

  SSL_CTX* tls_;
  Handler handler_;
  std::string host_;
  unsigned short port_ = 0;
  int listener_ = -1;
  std::atomic<bool> ending_{false};
  std::mutex mutex_;
  std::condition_variable ended_;
  std::set<int> open_;
  std::thread acceptor_;
};

}  // namespace example
