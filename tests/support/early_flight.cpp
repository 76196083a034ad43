#include "support/early_flight.hpp"

#include <arpa/inet.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>

namespace support {

namespace {

struct Free {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  void operator()(SSL* ssl) const { SSL_free(ssl); }
  void operator()(SSL_SESSION* session) const { SSL_SESSION_free(session); }
  void operator()(BIO* bio) const { BIO_free(bio); }
};

}  // namespace

std::optional<std::string> early_flight(const std::filesystem::path& path, const std::string& name,
                                        const std::string& request) {
  const std::unique_ptr<BIO, Free> file(BIO_new_file(path.c_str(), "r"));
  if (!file) return std::nullopt;
  const std::unique_ptr<SSL_SESSION, Free> session(
      PEM_read_bio_SSL_SESSION(file.get(), nullptr, nullptr, nullptr));
  const std::unique_ptr<SSL_CTX, Free> context(SSL_CTX_new(TLS_client_method()));
  const std::unique_ptr<SSL, Free> ssl(SSL_new(context.get()));
  BIO* out = BIO_new(BIO_s_mem());
  SSL_set_bio(ssl.get(), BIO_new(BIO_s_mem()), out);
  SSL_set_connect_state(ssl.get());
  SSL_set_tlsext_host_name(ssl.get(), name.c_str());
  std::size_t written = 0;
  if (!session || SSL_SESSION_get_max_early_data(session.get()) == 0 ||
      SSL_set_session(ssl.get(), session.get()) != 1 ||
      SSL_write_early_data(ssl.get(), request.data(), request.size(), &written) != 1) {
    return std::nullopt;
  }
  char* bytes = nullptr;
  const auto size = BIO_get_mem_data(out, &bytes);
  return std::string(bytes, static_cast<std::size_t>(size));
}

bool deliver(const std::string& flight, std::uint16_t port) {
  const int connection = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const timeval patience{.tv_sec = 10, .tv_usec = 0};
  setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  bool answered = false;
  if (connect(connection, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 &&
      send(connection, flight.data(), flight.size(), MSG_NOSIGNAL) ==
          static_cast<ssize_t>(flight.size())) {
    // its own end: then it has read all there is, and closes
    shutdown(connection, SHUT_WR);
    char bytes[4096];
    while (recv(connection, bytes, sizeof bytes, 0) > 0) answered = true;
  }
  close(connection);
  return answered;
}

}  // namespace support
