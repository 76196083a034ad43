#include "http_server.hpp"

#include <netdb.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <fstream>
#include <memory>
#include <optional>
#include <stdexcept>
#include <system_error>

namespace example {

namespace {

constexpr std::size_t most_connections = 512;
constexpr std::size_t longest_request = 16 * 1024;
constexpr timeval idle_timeout{.tv_sec = 30, .tv_usec = 0};

struct FreeSsl {
  void operator()(SSL* ssl) const { SSL_free(ssl); }
};
struct FreeAddresses {
  void operator()(addrinfo* addresses) const { freeaddrinfo(addresses); }
};

[[noreturn]] void fail(const std::string& what) {
  throw std::system_error(errno, std::generic_category(), what);
}

// "HOST:PORT", "[::1]:PORT".
std::pair<std::string, std::string> split_address(const std::string& text) {
  const auto colon = text.rfind(':');
  if (colon == std::string::npos) throw std::invalid_argument(text + ": want HOST:PORT");
  std::string host = text.substr(0, colon);
  if (host.size() > 2 && host.front() == '[') host = host.substr(1, host.size() - 2);
  return {host, text.substr(colon + 1)};
}

int listen_on(const std::string& host, const std::string& port) {
  addrinfo hints{};
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (const int error = getaddrinfo(host.c_str(), port.c_str(), &hints, &found); error != 0) {
    throw std::invalid_argument(host + ':' + port + ": " + gai_strerror(error));
  }
  const std::unique_ptr<addrinfo, FreeAddresses> address(found);
  const int listener = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (listener < 0 || bind(listener, address->ai_addr, address->ai_addrlen) != 0 ||
      listen(listener, SOMAXCONN) != 0) {
    fail("cannot listen on " + host + ':' + port);
  }
  return listener;
}

unsigned short port_of(int listener) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size);
  char port[8] = "";
  getnameinfo(reinterpret_cast<sockaddr*>(&address), size, nullptr, 0, port, sizeof port,
              NI_NUMERICSERV);
  return static_cast<unsigned short>(std::stoi(port));
}

std::string_view take_line(std::string_view& head) {
  const auto end = std::min(head.find('\n'), head.size());
  std::string_view line = head.substr(0, end);
  head.remove_prefix(std::min(end + 1, head.size()));
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  return line;
}

bool same_word(std::string_view a, std::string_view b) {
  return a.size() == b.size() && strncasecmp(a.data(), b.data(), a.size()) == 0;
}

// The value of a header line of that name.
std::optional<std::string_view> header_value(std::string_view line, std::string_view name) {
  if (line.size() <= name.size() || line[name.size()] != ':') return std::nullopt;
  if (!same_word(line.substr(0, name.size()), name)) return std::nullopt;
  return line.substr(std::min(line.find_first_not_of(' ', name.size() + 1), line.size()));
}

bool is_header(std::string_view line, std::string_view name, std::string_view value) {
  const auto found = header_value(line, name);
  return found && same_word(*found, value);
}

std::optional<Request> parse_request(std::string_view head) {
  const std::string_view line = take_line(head);
  const auto first = line.find(' '), last = line.rfind(' ');
  if (first == std::string_view::npos || first == last) return std::nullopt;
  Request request{std::string(line.substr(0, first)),
                  std::string(line.substr(first + 1, last - first - 1)),
                  {},
                  line.substr(last + 1) == "HTTP/1.1"};
  while (!head.empty()) {
    const std::string_view header = take_line(head);
    if (is_header(header, "connection", "close")) request.keep_alive = false;
    if (is_header(header, "connection", "keep-alive")) request.keep_alive = true;
    if (const auto value = header_value(header, "authorization")) {
      if (!request.authorization.empty()) return std::nullopt;  // which of them?
      request.authorization = *value;
    }
  }
  return request;
}

// Behind the empty line that ends a request's head; npos while it is not there.
// People who type end their lines with a bare LF.
std::size_t end_of_head(const std::string& buffer) {
  const auto strict = buffer.find("\r\n\r\n"), typed = buffer.find("\n\n");
  if (strict < typed) return strict + 4;
  return typed == std::string::npos ? typed : typed + 2;
}

const char* phrase(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 404:
      return "Not Found";
    case 503:
      return "Service Unavailable";
    default:
      return "Method Not Allowed";
  }
}

// Also while the client's Finished has not come: to a request that was sent early.
bool write_all(SSL* ssl, const std::string& text) {
  std::size_t written = 0;
  if (SSL_is_init_finished(ssl) == 0) {
    return SSL_write_early_data(ssl, text.data(), text.size(), &written) == 1;
  }
  return SSL_write_ex(ssl, text.data(), text.size(), &written) == 1;
}

bool send_response(SSL* ssl, const Response& response, bool keep_alive) {
  const std::string text =
      "HTTP/1.1 " + std::to_string(response.status) + ' ' + phrase(response.status) +
      "\r\nContent-Type: " + response.type +
      "\r\nContent-Length: " + std::to_string(response.body.size()) +
      (response.authenticate.empty() ? "" : "\r\nWWW-Authenticate: " + response.authenticate) +
      "\r\nConnection: " + (keep_alive ? "keep-alive" : "close") + "\r\n\r\n" + response.body;
  return write_all(ssl, text);
}

}  // namespace

HttpServer::HttpServer(SSL_CTX* tls, const std::string& listen, Handler handler)
    : tls_(tls), handler_(std::move(handler)) {
  const auto [host, port] = split_address(listen);
  listener_ = listen_on(host, port);
  host_ = host.find(':') == std::string::npos ? host : '[' + host + ']';
  port_ = port_of(listener_);
  acceptor_ = std::thread([this] { accept_all(); });
}

HttpServer::~HttpServer() {
  std::unique_lock lock(mutex_);
  ending_ = true;
  ended_.notify_all();
  lock.unlock();
  shutdown(listener_, SHUT_RDWR);
  acceptor_.join();
  close(listener_);
  lock.lock();
  for (const int socket : open_) shutdown(socket, SHUT_RDWR);
  ended_.wait(lock, [this] { return open_.empty(); });
}

void HttpServer::write_port(const std::string& path) const {
  const std::string fresh = path + ".new";
  std::ofstream(fresh) << port_ << '\n';
  if (std::rename(fresh.c_str(), path.c_str()) != 0) fail(path);
}

void HttpServer::accept_all() {
  while (!ending_) {
    const int socket = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (socket >= 0) {
      begin(socket);
    } else if (errno == EMFILE || errno == ENFILE) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  }
}

// Beyond the most connections the next ones wait in the listener's queue.
void HttpServer::begin(int socket) {
  const int on = 1;
  setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &idle_timeout, sizeof idle_timeout);
  setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &idle_timeout, sizeof idle_timeout);
  std::unique_lock lock(mutex_);
  ended_.wait(lock, [this] { return open_.size() < most_connections || ending_; });
  open_.insert(socket);
  lock.unlock();
  try {
    std::thread([this, socket] {
      serve(socket);
      end(socket);
    }).detach();                        // the destructor waits until open_ is empty
  } catch (const std::system_error&) {  // no thread to be had
    end(socket);
  }
}

void HttpServer::end(int socket) {
  const std::lock_guard lock(mutex_);
  open_.erase(socket);
  close(socket);
  ended_.notify_all();  // under the lock: *this may be gone right after it
}

void HttpServer::serve(int socket) {
  const std::unique_ptr<SSL, FreeSsl> ssl(SSL_new(tls_));
  std::string buffer;
  bool goes_on = true;
  if (!ssl || SSL_set_fd(ssl.get(), socket) != 1 || !serve_early(ssl.get(), buffer, goes_on) ||
      SSL_accept(ssl.get()) != 1) {
    ERR_clear_error();
    return;
  }
  while (goes_on && serve_one(ssl.get(), buffer)) {
  }
  SSL_shutdown(ssl.get());
  ERR_clear_error();
}

// Answers what came as early data, if any is taken, before the client's Finished. False
// when the handshake has failed.
bool HttpServer::serve_early(SSL* ssl, std::string& buffer, bool& goes_on) {
  if (SSL_get_max_early_data(ssl) == 0) return true;
  char bytes[4096];
  std::size_t size = 0;
  for (;;) {
    const int result = SSL_read_early_data(ssl, bytes, sizeof bytes, &size);
    if (result == SSL_READ_EARLY_DATA_ERROR) return false;
    if (result == SSL_READ_EARLY_DATA_FINISH) return true;
    buffer.append(bytes, size);
    if (buffer.size() > longest_request) return false;
    while (goes_on && end_of_head(buffer) != std::string::npos) goes_on = answer_one(ssl, buffer);
  }
}

// False when the connection is over.
bool HttpServer::serve_one(SSL* ssl, std::string& buffer) {
  while (end_of_head(buffer) == std::string::npos) {
    char bytes[4096];
    const int size = SSL_read(ssl, bytes, sizeof bytes);
    if (size <= 0) return false;
    buffer.append(bytes, static_cast<std::size_t>(size));
    if (buffer.size() > longest_request) return false;
  }
  return answer_one(ssl, buffer);
}

// The request that the buffer begins with.
bool HttpServer::answer_one(SSL* ssl, std::string& buffer) {
  const auto end = end_of_head(buffer);
  const auto request = parse_request(std::string_view(buffer).substr(0, end));
  buffer.erase(0, end);
  if (!request) return send_response(ssl, {400, "text/plain", "bad request\n"}, false), false;
  const bool known = request->method == "GET";
  const Response response =
      known ? handler_(*request, ssl) : Response{405, "text/plain", "only GET\n"};
  const bool keep_alive = request->keep_alive && known && !ending_;
  return send_response(ssl, response, keep_alive) && keep_alive;
}

}  // namespace example
