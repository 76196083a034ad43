#include "support/tls_visit.hpp"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <stdexcept>

namespace support {

namespace {

struct Free {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  void operator()(SSL* ssl) const { SSL_free(ssl); }
};

// A server that turns us away closes while we still write.
class NoPipeSignal {
 public:
  NoPipeSignal() {
    sigemptyset(&pipe_);
    sigaddset(&pipe_, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
  }
  ~NoPipeSignal() {
    const timespec at_once{};
    sigtimedwait(&pipe_, nullptr, &at_once);
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  NoPipeSignal(const NoPipeSignal&) = delete;
  NoPipeSignal& operator=(const NoPipeSignal&) = delete;

 private:
  sigset_t pipe_{}, before_{};
};

class Connection {
 public:
  explicit Connection(std::uint16_t port) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const timeval patience{.tv_sec = 10, .tv_usec = 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  }
  ~Connection() { close(fd_); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  explicit operator bool() const { return connected_; }
  int fd() const { return fd_; }

 private:
  int fd_;
  bool connected_ = false;
};

std::unique_ptr<SSL_CTX, Free> client_context(const Visit& visit) {
  std::unique_ptr<SSL_CTX, Free> context(SSL_CTX_new(TLS_client_method()));
  const int version = visit.version == Tls::v1_2 ? TLS1_2_VERSION : TLS1_3_VERSION;
  SSL_CTX_set_min_proto_version(context.get(), version);
  SSL_CTX_set_max_proto_version(context.get(), version);
  if (!visit.certificate.empty() &&
      (SSL_CTX_use_certificate_file(context.get(), visit.certificate.c_str(), SSL_FILETYPE_PEM) !=
           1 ||
       SSL_CTX_use_PrivateKey_file(context.get(), visit.key.c_str(), SSL_FILETYPE_PEM) != 1)) {
    throw std::runtime_error("no certificate: " + visit.certificate.string());
  }
  return context;
}

// All that it answers.
std::string ask(SSL* ssl, const std::string& name) {
  const auto request = "GET / HTTP/1.1\r\nHost: " + name + "\r\nConnection: close\r\n\r\n";
  if (SSL_write(ssl, request.data(), static_cast<int>(request.size())) <= 0) return {};
  std::string answer;
  char bytes[4096];
  for (int got; (got = SSL_read(ssl, bytes, sizeof bytes)) > 0;) {
    answer.append(bytes, static_cast<std::size_t>(got));
  }
  return answer;
}

}  // namespace

Visited visit(const Visit& visit) {
  const NoPipeSignal no_signal;
  const auto context = client_context(visit);
  const Connection connection(visit.port);
  const std::unique_ptr<SSL, Free> ssl(SSL_new(context.get()));
  SSL_set_fd(ssl.get(), connection.fd());
  SSL_set_tlsext_host_name(ssl.get(), visit.name.c_str());
  // a copy: a session that meets an alert is never offered again
  const Session offer(visit.offer ? SSL_SESSION_dup(visit.offer.get()) : nullptr, SSL_SESSION_free);
  if (offer) SSL_set_session(ssl.get(), offer.get());
  Visited visited{};
  if (!connection || SSL_connect(ssl.get()) != 1) return visited;

  visited.answer = ask(ssl.get(), visit.name);
  visited.ok = visited.answer.starts_with("HTTP/1.1 200");
  visited.reused = SSL_session_reused(ssl.get()) == 1;
  Session session(SSL_get1_session(ssl.get()), SSL_SESSION_free);
  if (SSL_SESSION_has_ticket(session.get()) == 1) visited.session = session;
  SSL_set_shutdown(ssl.get(), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);  // or it is spoilt
  return visited;
}

}  // namespace support
