#include "client/dns.hpp"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <stdexcept>

namespace dns {

using namespace std::chrono_literals;

Nsd::Nsd(const std::string& records) : port_(support::unused_port()) {
  const auto at = [&](const char* name) { return "\"" + (folder_ / name).string() + "\"\n"; };
  support::write_text(folder_ / "nsd.conf",
                      "server:\n ip-address: 127.0.0.1\n port: " + std::to_string(port_) +
                          "\n server-count: 1\n username: \"\"\n chroot: \"\"\n database: \"\"\n" +
                          " zonesdir: " + at("") + " zonelistfile: " + at("zones") +
                          " pidfile: " + at("pid") + " xfrdfile: " + at("xfrd") +
                          " xfrdir: " + at("") + " cookie-secret-file: " + at("cookies") +
                          "remote-control:\n control-enable: no\n" +
                          "zone:\n name: \"test\"\n zonefile: \"test.zone\"\n");
  replace(records);
}

void Nsd::write_zone(const std::string& records) {
  support::write_text(folder_ / "test.zone",
                      "$ORIGIN test.\n$TTL 300\n@ SOA ns hostmaster " + std::to_string(++serial_) +
                          " 3600 600 86400 2\n@ NS ns\nns A 127.0.0.1\n" + records);
}

void Nsd::replace(const std::string& records) {
  if (process_) {
    process_->send(SIGTERM);
    process_->wait(5s);
  }
  write_zone(records);
  start();
}

void Nsd::start() {
  process_.emplace(
      std::vector<std::string>{"/usr/sbin/nsd", "-d", "-c", (folder_ / "nsd.conf").string()});
  const bool up = support::wait_until(
      [&] { return process_->output().find("nsd started") != std::string::npos; }, 10s);
  if (!up || !support::wait_until([&] { return answers(); }, 30s)) {
    throw std::runtime_error("nsd does not start: " + process_->output());
  }
}

// Whether it does within a while: having started is not enough.
bool Nsd::answers() const {
  const int socket = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port_);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  // test. SOA
  const std::string question("\1\2\0\0\0\1\0\0\0\0\0\0\4test\0\0\6\0\1", 22);
  char answer[512];
  pollfd ready{socket, POLLIN, 0};
  const bool heard =
      ::connect(socket, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 &&
      ::send(socket, question.data(), question.size(), 0) == 22 && ::poll(&ready, 1, 500) == 1 &&
      ::recv(socket, answer, sizeof answer, 0) > 22;
  ::close(socket);
  return heard;
}

Liar::Liar(Lie lie) : lie_(lie), socket_(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (::bind(socket_, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      ::getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    throw std::runtime_error("no port");
  }
  port_ = ntohs(address.sin_port);
  thread_ = std::thread([this] { run(); });
}

Liar::~Liar() {
  stop_ = true;
  thread_.join();
  ::close(socket_);
}

namespace {

std::string number16(unsigned value) {
  return {static_cast<char>(value >> 8), static_cast<char>(value)};
}

// A record of the name that was asked for (RFC 1035, 4.1.4: a pointer to byte 12).
std::string record(unsigned type, const std::string& data, const char* ttl = "\0\0\1\0") {
  return "\xc0\x0c" + number16(type) + number16(1) + std::string(ttl, 4) +
         number16(static_cast<unsigned>(data.size())) + data;
}

std::string txt(const std::string& text) {
  return std::string(1, static_cast<char>(text.size())) + text;
}

// Header and question as they came, with these flags and so many answers.
std::string answer(const std::string& query, unsigned flags, const std::string& records = {},
                   unsigned count = 0) {
  auto end = query.find('\0', 12);
  end = std::min(end == std::string::npos ? query.size() : end + 5, query.size());
  return query.substr(0, 2) + number16(0x8180 | flags) + number16(1) + number16(count) +
         std::string(4, '\0') + query.substr(12, end - 12) + records;
}

std::string lie_to(Lie lie, const std::string& query) {
  constexpr unsigned type_txt = 16, type_cname = 5;
  std::string many;
  for (int i = 0; i < 40; ++i) many += record(type_txt, txt("v=1 pool=p" + std::to_string(i)));
  const auto one = record(type_txt, txt("v=1 pool=web"));
  switch (lie) {
    case Lie::silence:
      return {};
    case Lie::servfail:
      return answer(query, 2);
    case Lie::refused:
      return answer(query, 5);
    case Lie::nxdomain:
      return answer(query, 3);
    case Lie::empty:
      return answer(query, 0);
    case Lie::garbage:
      return query.substr(0, 2) + std::string(300, '\xff');
    case Lie::cut: {
      const auto whole = answer(query, 0, one, 1);
      return whole.substr(0, whole.size() - 5);
    }
    case Lie::other_id: {
      auto other = answer(query, 0, one, 1);
      other[0] = static_cast<char>(other[0] ^ 1);
      return other;
    }
    case Lie::alias_loop:
      return answer(query, 0, record(type_cname, "\xc0\x0c"), 1);
    case Lie::truncated:
      return answer(query, 0x200);
    case Lie::many:
      return answer(query, 0, many, 40);
    case Lie::malformed:
      return answer(query, 0, record(type_txt, txt("v=1 pool")), 1);
    case Lie::huge_ttl:
      return answer(query, 0, record(type_txt, txt("v=1 pool=web"), "\x7f\xff\xff\xff"), 1);
  }
  return {};
}

}  // namespace

void Liar::run() {
  while (!stop_) {
    pollfd ready{socket_, POLLIN, 0};
    if (::poll(&ready, 1, 20) != 1) continue;
    char bytes[1500];
    sockaddr_in from{};
    socklen_t size = sizeof from;
    const auto got =
        ::recvfrom(socket_, bytes, sizeof bytes, 0, reinterpret_cast<sockaddr*>(&from), &size);
    if (got < 17) continue;
    ++questions_;
    const auto said = lie_to(lie_, std::string(bytes, static_cast<std::size_t>(got)));
    if (said.empty()) continue;
    ::sendto(socket_, said.data(), said.size(), 0, reinterpret_cast<sockaddr*>(&from), size);
  }
}

}  // namespace dns
