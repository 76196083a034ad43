#include "web_server.hpp"

#include <arpa/inet.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <stdexcept>

namespace web {

namespace {

// One connection's bytes, encrypted or not.
class Stream {
 public:
  Stream(int file, SSL_CTX* context) : file_(file) {
    if (context == nullptr) return;
    ssl_ = SSL_new(context);
    SSL_set_fd(ssl_, file);
    good_ = SSL_accept(ssl_) == 1;
  }
  ~Stream() { SSL_free(ssl_); }
  Stream(const Stream&) = delete;

  bool good() const { return good_; }
  int read(char* bytes, int size) const {
    return ssl_ != nullptr
               ? SSL_read(ssl_, bytes, size)
               : static_cast<int>(recv(file_, bytes, static_cast<std::size_t>(size), 0));
  }
  void write(const std::string& bytes) const {
    if (ssl_ != nullptr) {
      SSL_write(ssl_, bytes.data(), static_cast<int>(bytes.size()));
    } else {
      send(file_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    }
  }
  std::string client() const {
    X509* certificate = ssl_ != nullptr ? SSL_get1_peer_certificate(ssl_) : nullptr;
    if (certificate == nullptr) return "";
    char* text = X509_NAME_oneline(X509_get_subject_name(certificate), nullptr, 0);
    std::string subject = text;
    OPENSSL_free(text);
    X509_free(certificate);
    return subject;
  }

 private:
  int file_;
  SSL* ssl_ = nullptr;
  bool good_ = true;
};

std::string lower(std::string text) {
  std::ranges::transform(text, text.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

Request parse_head(const std::string& head) {
  Request request;
  const auto line = head.substr(0, head.find("\r\n"));
  const auto first = line.find(' '), second = line.rfind(' ');
  request.method = line.substr(0, first);
  request.path = line.substr(first + 1, second - first - 1);
  for (auto at = line.size() + 2; at < head.size();) {
    const auto end = head.find("\r\n", at);
    const auto field = head.substr(at, end - at);
    const auto colon = field.find(": ");
    request.headers[lower(field.substr(0, colon))] = field.substr(colon + 2);
    at = end + 2;
  }
  return request;
}

// False at the end of the connection.
bool read_request(const Stream& stream, std::string& buffer, Request& request) {
  const auto more = [&] {
    char bytes[4096];
    const int got = stream.read(bytes, sizeof bytes);
    if (got > 0) buffer.append(bytes, static_cast<std::size_t>(got));
    return got > 0;
  };
  auto end = buffer.find("\r\n\r\n");
  for (; end == std::string::npos; end = buffer.find("\r\n\r\n")) {
    if (!more()) return false;
  }
  request = parse_head(buffer.substr(0, end + 2));
  buffer.erase(0, end + 4);
  const auto length = request.header("content-length");
  const auto size = length.empty() ? 0 : std::stoul(length);
  while (buffer.size() < size) {
    if (!more()) return false;
  }
  request.body = buffer.substr(0, size);
  buffer.erase(0, size);
  return true;
}

std::string text_of(const Answer& answer) {
  std::string text = "HTTP/1.1 " + std::to_string(answer.status) + " Text\r\n";
  for (const auto& line : answer.headers) text += line + "\r\n";
  return text + "Content-Length: " + std::to_string(answer.body.size()) + "\r\n\r\n" + answer.body;
}

SSL_CTX* context_of(const Tls& tls) {
  if (tls.certificate.empty()) return nullptr;
  auto* context = SSL_CTX_new(TLS_server_method());
  const bool good =
      SSL_CTX_use_certificate_chain_file(context, tls.certificate.c_str()) == 1 &&
      SSL_CTX_use_PrivateKey_file(context, tls.key.c_str(), SSL_FILETYPE_PEM) == 1 &&
      (tls.client_ca.empty() || SSL_CTX_load_verify_file(context, tls.client_ca.c_str()) == 1);
  if (!good) throw std::runtime_error(tls.certificate + " cannot be used");
  if (!tls.client_ca.empty()) SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  return context;
}

}  // namespace

Server::Server(Handler handler, const Tls& tls)
    : handler_(std::move(handler)), context_(context_of(tls)) {
  listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      listen(listener_, 16) != 0 ||
      getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    throw std::runtime_error("cannot listen");
  }
  port_ = ntohs(address.sin_port);
  accepting_ = std::thread([this] { accept_all(); });
}

Server::~Server() {
  shutdown(listener_, SHUT_RDWR);
  accepting_.join();
  {
    const std::lock_guard lock(mutex_);
    for (const int file : files_) shutdown(file, SHUT_RDWR);
  }
  for (auto& thread : threads_) thread.join();
  for (const int file : files_) close(file);
  close(listener_);
  SSL_CTX_free(context_);
}

void Server::accept_all() {
  for (;;) {
    const int file = accept(listener_, nullptr, nullptr);
    if (file < 0) return;
    const std::lock_guard lock(mutex_);
    files_.push_back(file);
    threads_.emplace_back([this, file] { serve(file); });
  }
}

void Server::serve(int file) {
  // A client that ends in the middle: of this thread alone, for programs inherit what a
  // process ignores.
  sigset_t pipe;
  sigemptyset(&pipe);
  sigaddset(&pipe, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &pipe, nullptr);
  const Stream stream(file, context_);
  std::string buffer;
  Request request;
  while (stream.good() && read_request(stream, buffer, request)) {
    request.client = stream.client();
    {
      const std::lock_guard lock(mutex_);
      requests_.push_back(request);
    }
    stream.write(text_of(handler_(request)));
  }
  shutdown(file, SHUT_RDWR);
}

std::vector<Request> Server::requests() const {
  const std::lock_guard lock(mutex_);
  return requests_;
}

}  // namespace web
