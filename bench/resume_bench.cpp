// Resumptions at two servers in turn, a slice each: what their processes took of the
// CPU, as the kernel counts it. For tools/bench, which starts the servers.
//
//   ticket-resume-bench 12|13 SLICES HANDSHAKES PORT PID PORT PID
//
// Prints the quartiles of second over first, and the medians in microseconds.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <stdexcept>
#include <thread>

#include "setting.hpp"

namespace bench {
namespace {

struct Place {
  int port;
  std::string pid;
};

// Nanoseconds that a process has run.
double used(const Place& place) {
  std::ifstream file("/proc/" + place.pid + "/schedstat");
  double nanoseconds = 0;
  if (!(file >> nanoseconds)) throw std::runtime_error("no process " + place.pid);
  return nanoseconds;
}

int dial(int port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (fd < 0 || connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    throw std::runtime_error("no connection to port " + std::to_string(port));
  }
  const int now = 1;  // or the goodbye waits for an acknowledgement
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &now, sizeof now);
  return fd;
}

int keep_session(SSL* ssl, SSL_SESSION* session) {
  static_cast<SessionPtr*>(SSL_get_app_data(ssl))->reset(session);
  return 1;
}

class Client {
 public:
  Client(const Place& place, int version)
      : place_(place), context_(SSL_CTX_new(TLS_client_method())) {
    SSL_CTX_set_min_proto_version(context_.get(), version);
    SSL_CTX_set_max_proto_version(context_.get(), version);
    SSL_CTX_set_session_cache_mode(context_.get(),
                                   SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL_STORE);
    SSL_CTX_sess_set_new_cb(context_.get(), keep_session);
    connect(false);
  }

  // Microseconds of the server's CPU a resumption.
  double slice(int handshakes) {
    const double before = used(place_);
    for (int i = 0; i < handshakes; ++i) connect(true);
    std::this_thread::sleep_for(std::chrono::milliseconds(5));  // it closes the last ones
    return (used(place_) - before) / 1000 / handshakes;
  }

 private:
  void connect(bool resume) {
    const int fd = dial(place_.port);
    const SslPtr ssl(SSL_new(context_.get()));
    SessionPtr received;
    SSL_set_app_data(ssl.get(), &received);
    SSL_set_fd(ssl.get(), fd);
    SSL_set_tlsext_host_name(ssl.get(), "a.test");
    if (resume) SSL_set_session(ssl.get(), session_.get());
    const bool done = SSL_connect(ssl.get()) == 1;
    if (!done || (SSL_session_reused(ssl.get()) == 1) != resume) {
      throw std::runtime_error("a handshake with port " + std::to_string(place_.port) +
                               " did not go as it should");
    }
    SSL_shutdown(ssl.get());
    char rest[256];
    while (SSL_read(ssl.get(), rest, sizeof rest) > 0) {  // TLS 1.3's tickets
    }
    if (!received) received.reset(SSL_get1_session(ssl.get()));
    session_ = std::move(received);
    close(fd);
  }

  Place place_;
  ContextPtr context_;
  SessionPtr session_;
};

}  // namespace
}  // namespace bench

int main(int count, char** arguments) {
  using namespace bench;
  if (count != 8) return std::fputs("see the head of resume_bench.cpp\n", stderr), 2;
  try {
    const int version = std::atoi(arguments[1]) == 12 ? TLS1_2_VERSION : TLS1_3_VERSION;
    const int slices = std::atoi(arguments[2]), handshakes = std::atoi(arguments[3]);
    Client first({std::atoi(arguments[4]), arguments[5]}, version);
    Client second({std::atoi(arguments[6]), arguments[7]}, version);
    first.slice(handshakes);
    second.slice(handshakes);
    std::vector<double> ratios, firsts, seconds;
    for (int i = 0; i < slices; ++i) {
      // the order alternates too: a machine that speeds up favours neither
      const double early = (i % 2 == 0 ? first : second).slice(handshakes);
      const double late = (i % 2 == 0 ? second : first).slice(handshakes);
      firsts.push_back(i % 2 == 0 ? early : late);
      seconds.push_back(i % 2 == 0 ? late : early);
      ratios.push_back(seconds.back() / firsts.back());
    }
    const auto ratio = quartiles(ratios);
    std::printf(
        "{\"ratio\": %.4f, \"q1\": %.4f, \"q3\": %.4f, \"first_us\": %.1f, "
        "\"second_us\": %.1f}\n",
        ratio.middle, ratio.low, ratio.high, quartiles(firsts).middle, quartiles(seconds).middle);
    return 0;
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "ticket-resume-bench: %s\n", failure.what());
    return 1;
  }
}
