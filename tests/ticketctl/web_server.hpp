// A small HTTP/1.1 server inside the test, plain or TLS, whose answers the test makes.
#pragma once

#include <openssl/ssl.h>

#include <functional>
#include <list>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace web {

struct Request {
  std::string method, path;
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;
  std::string client;  // the subject of the client's certificate, if it showed one

  std::string header(const std::string& name) const {
    const auto found = headers.find(name);
    return found == headers.end() ? "" : found->second;
  }
};

struct Answer {
  int status = 200;
  std::vector<std::string> headers;
  std::string body;
};

// Files in PEM; without a certificate it speaks plain HTTP.
struct Tls {
  std::string certificate, key, client_ca;
};

class Server {
 public:
  using Handler = std::function<Answer(const Request&)>;
  explicit Server(Handler handler, const Tls& tls = {});
  ~Server();
  Server(const Server&) = delete;

  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  // All so far, in their order.
  std::vector<Request> requests() const;

 private:
  void accept_all();
  void serve(int file);

  Handler handler_;
  SSL_CTX* context_ = nullptr;
  int listener_ = -1;
  int port_ = 0;
  mutable std::mutex mutex_;  // of what follows
  std::vector<Request> requests_;
  std::vector<int> files_;
  std::list<std::thread> threads_;
  std::thread accepting_;
};

}  // namespace web
